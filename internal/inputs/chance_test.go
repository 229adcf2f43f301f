package inputs

import "math/rand/v2"

// someSchema is a schema by chance, mostly one that makes sense.
func someSchema(random *rand.Rand, depth int) map[string]any {
	s := map[string]any{}
	kind := oneOf(random, "object", "object", "array", "string", "integer", "number", "boolean")
	if depth == 0 && (kind == "object" || kind == "array") {
		kind = "string"
	}
	s["type"] = kind
	switch kind {
	case "object":
		someObject(random, s, depth)
	case "array":
		someList(random, s, depth)
	case "string":
		s["maxLength"] = oneOf(random, 1, 10, 1000)
		rarely(random, 6, func() { s["enum"] = []any{"a", "b"} })
		rarely(random, 6, func() { s["pattern"] = oneOf(random, "^a", "(") })
		rarely(random, 5, func() { s["default"] = oneOf[any](random, "a", "b", 1) })
	case "integer":
		rarely(random, 5, func() { s["default"] = oneOf[any](random, 1, 5, "a", 1.5) })
		rarely(random, 4, func() { s["minimum"] = 3 })
	}
	rarely(random, 8, func() { s["nullable"] = true })
	rarely(random, 12, func() { someOddity(random, s, depth) })
	rarely(random, 6, func() { s["x-kubernetes-validations"] = []any{someRule(random, kind)} })
	return s
}

func someObject(random *rand.Rand, s map[string]any, depth int) {
	if random.IntN(4) == 0 {
		s["additionalProperties"] = someSchema(random, depth-1)
		rarely(random, 2, func() { s["maxProperties"] = oneOf(random, 1, 20) })
		return
	}
	properties := map[string]any{}
	for _, name := range []string{"a", "b", "metadata"}[:random.IntN(4)] {
		properties[name] = someSchema(random, depth-1)
	}
	s["properties"] = properties
	rarely(random, 3, func() { s["required"] = []any{"a"} })
	rarely(random, 6, func() { s["x-kubernetes-map-type"] = oneOf(random, "atomic", "granular", "x") })
	rarely(random, 8, func() {
		s["default"] = oneOf[any](random, map[string]any{}, map[string]any{"a": "a"}, map[string]any{"z": 1})
	})
}

func someList(random *rand.Rand, s map[string]any, depth int) {
	rarely(random, 8, func() { s["x-kubernetes-list-map-keys"] = []any{"a"} })
	s["items"] = someSchema(random, depth-1)
	rarely(random, 2, func() { s["maxItems"] = oneOf(random, 1, 20, 10000) })
	rarely(random, 3, func() {
		s["x-kubernetes-list-type"] = oneOf(random, "atomic", "set", "map", "map", "x")
		if s["x-kubernetes-list-type"] == "map" {
			s["x-kubernetes-list-map-keys"] = oneOf(random, []any{"a"}, []any{"a", "b"}, []any{"a", "a"}, []any{})
		}
	})
}

// someOddity is what is rarely right.
func someOddity(random *rand.Rand, s map[string]any, depth int) {
	switch random.IntN(8) {
	case 0:
		s["type"] = oneOf(random, "null", "any", "")
	case 1:
		s["uniqueItems"] = true
	case 2:
		s[oneOf(random, "not", "additionalItems")] = map[string]any{"maxLength": 1}
	case 3:
		s[oneOf(random, "allOf", "anyOf", "oneOf")] = []any{map[string]any{"minLength": 1}, someSchema(random, 0)}
	case 4:
		s["x-kubernetes-preserve-unknown-fields"] = random.IntN(2) == 0
	case 5:
		s["x-kubernetes-int-or-string"] = true
	case 6:
		s["definitions"] = map[string]any{"x": someSchema(random, max(depth-1, 0))}
	case 7:
		s["x-kubernetes-embedded-resource"] = true
	}
}

func someRule(random *rand.Rand, kind string) map[string]any {
	rule := map[string]any{"rule": oneOf(random, "true", "self == self", "1", "self == oldSelf", " ", "self.a == self.a")}
	switch kind {
	case "array":
		rule["rule"] = oneOf(random, "self.all(x, x == x)", "self.all(x, self.all(y, x == y))", "size(self) > 0")
	case "object":
		rule["rule"] = oneOf(random, "has(self.a)", "!has(self.a) || self.a == self.a", "true")
	}
	rarely(random, 5, func() { rule["message"] = oneOf(random, "m", " ", "a\nb") })
	rarely(random, 5, func() { rule["messageExpression"] = oneOf(random, "'m'", "1", " ") })
	rarely(random, 5, func() { rule["fieldPath"] = oneOf(random, ".a", ".zz", " ", "a") })
	rarely(random, 8, func() { rule["reason"] = oneOf(random, "FieldValueInvalid", "x") })
	return rule
}

func oneOf[T any](random *rand.Rand, values ...T) T { return values[random.IntN(len(values))] }

func rarely(random *rand.Rand, one int, do func()) {
	if random.IntN(one) == 0 {
		do()
	}
}
