package inputs

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustMarshal(t testing.TB, value any) []byte {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestExample(t *testing.T) {
	required := func(schema string) string {
		return `{"type": "object", "required": ["a"], "properties": {"a": ` + schema + `, "b": {"type": "boolean"}}}`
	}
	cases := map[string]struct {
		reason string
		schema string
		want   any
	}{
		"Default":    {"the default", `{"type": "integer", "default": 7}`, int64(7)},
		"Example":    {"the schema's own example", `{"type": "integer", "example": 9, "default": 7}`, int64(9)},
		"Enum":       {"the first of an enum", `{"type": "string", "enum": ["staging", "production"]}`, "staging"},
		"String":     {"a placeholder", `{"type": "string", "maxLength": 63}`, "example"},
		"Short":      {"a shorter one", `{"type": "string", "maxLength": 3}`, "exa"},
		"LongString": {"a longer one", `{"type": "string", "minLength": 9, "maxLength": 10}`, "examplexx"},
		"Pattern":    {"something that a pattern accepts", `{"type": "string", "maxLength": 99, "pattern": "^[a-z0-9/]+:[0-9]+([.][0-9]{2})?$"}`, "a:1"},
		"Patterns":   {"also one of several", `{"type": "string", "maxLength": 99, "pattern": "^(v[0-9]{3}|latest)(-.{2})$"}`, "v111-aa"},
		"NoLetters":  {"also one without letters or digits", `{"type": "string", "maxLength": 99, "pattern": "^[+*]$"}`, "*"},
		"Format":     {"a value of the format", `{"type": "string", "format": "date"}`, "2027-01-31"},
		"Integer":    {"a number", `{"type": "integer"}`, int64(1)},
		"Minimum":    {"not below the minimum", `{"type": "integer", "minimum": 5}`, int64(5)},
		"Exclusive":  {"nor at an exclusive one", `{"type": "integer", "minimum": 5, "exclusiveMinimum": true}`, int64(6)},
		"Maximum":    {"nor above the maximum", `{"type": "number", "maximum": 0, "exclusiveMaximum": true}`, -1.0},
		"Multiple":   {"a multiple", `{"type": "integer", "multipleOf": 4}`, int64(4)},
		"Boolean":    {"false", `{"type": "boolean"}`, false},
		"List":       {"as many elements as needed", `{"type": "array", "minItems": 2, "maxItems": 3, "items": {"type": "integer"}}`, []any{int64(1), int64(1)}},
		"EmptyList":  {"none if none are needed", `{"type": "array", "maxItems": 3, "items": {"type": "integer"}}`, []any{}},
		"Object":     {"required fields of an object", `{"type": "object", "required": ["x"], "properties": {"x": {"type": "boolean"}, "y": {"type": "boolean"}}}`, map[string]any{"x": false}},
		"Map":        {"an empty map", `{"type": "object", "maxProperties": 1, "additionalProperties": {"type": "integer"}}`, map[string]any{}},
		"Port":       {"an int or string", `{"x-kubernetes-int-or-string": true}`, int64(1)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := compile(t, required(tc.schema))
			want := map[string]any{"a": tc.want}
			if diff := cmp.Diff(want, s.Example()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
			got, errs := s.Resolve(mustMarshal(t, s.Example()), inputsPath)
			if diff := cmp.Diff(want, got); diff != "" || len(errs) > 0 {
				t.Errorf("%s: the example is not valid: %v, -want +got:\n%s", tc.reason, messages(errs), diff)
			}
		})
	}
}

// Every format that needs no maxLength has an example, and the example is valid.
func TestExamplesOfFormats(t *testing.T) {
	for _, format := range shortFormats {
		t.Run(format, func(t *testing.T) {
			s := compile(t, `{"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "format": "`+format+`"}}}`)
			if _, errs := s.Resolve(mustMarshal(t, s.Example()), inputsPath); len(errs) > 0 {
				t.Errorf("the example %v is not valid: %v", s.Example(), messages(errs))
			}
		})
	}
}

func TestNames(t *testing.T) {
	want := []string{"at", "environment", "image", "labels", "note", "parts", "port", "ratio", "replicas"}
	if diff := cmp.Diff(want, compile(t, deploy).Names()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// FuzzCompile: no schema makes the compiler panic, and whatever it accepts can be used.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		deploy, `{"type": "object"}`, `{"type": "object", "properties": {"a": {"type": "array", "maxItems": 1, "items": {"type": "string", "format": "uuid"}}}}`,
		`{"type": "object", "properties": {"a": {"type": "string", "maxLength": -1, "minLength": 9223372036854775807}}}`,
		`{"type": "object", "properties": {"a": {"type": "array", "minItems": 9223372036854775807, "maxItems": 1, "items": {"type": "integer"}}}}`,
		`{"type": "object", "x-kubernetes-validations": [{"rule": "self.x", "messageExpression": "1"}]}`, `{"$ref": "#/x"}`, `{"items": [{}]}`,
		`{"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "maxLength": 5, "pattern": "[^\\x00-\\x{10FFFF}]"}}}`,
		`{"type": "object", "dependencies": {"a": ["b"]}, "definitions": {"a": {}}, "not": {"not": {}}}`,
		`{"type":"object","properties":{"a":{"type":"integer","multipleOf":0,"enum":[null,{}]}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, errs := Compile(raw, schemaPath)
		if (s == nil) != (len(errs) > 0) {
			t.Fatalf("%q: got %v and errors %v", raw, s, messages(errs))
		}
		if s != nil {
			s.Names()
			s.Resolve(mustMarshal(t, s.Example()), inputsPath)
		}
	})
}
