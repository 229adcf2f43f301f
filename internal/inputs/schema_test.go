package inputs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	schemaPath = field.NewPath("spec", "inputs", "openAPIV3Schema")
	inputsPath = field.NewPath("spec", "inputs")
)

// property wraps the schema of one property in a schema of inputs.
func property(schema string) string {
	return `{"type": "object", "properties": {"a": ` + schema + `}}`
}

func messages(errs field.ErrorList) []string {
	var out []string
	for _, err := range errs {
		out = append(out, err.Error())
	}
	return out
}

func TestCompile(t *testing.T) {
	cases := map[string]struct{ reason, schema string }{
		"Nothing":      {"an object without properties", `{"type": "object"}`},
		"FirstAction":  {"the first Action of the README", `{"type": "object", "required": ["namespace", "name"], "properties": {"namespace": {"type": "string", "maxLength": 63}, "name": {"type": "string", "maxLength": 63}}}`},
		"Enum":         {"a string with an enum needs no other bound", property(`{"type": "string", "enum": ["staging", "production"]}`)},
		"ShortFormat":  {"nor one with a short format", property(`{"type": "string", "format": "date-time"}`)},
		"KubeName":     {"nor one that is a name", property(`{"type": "string", "format": "k8s-short-name"}`)},
		"IntOrString":  {"an int or string", property(`{"x-kubernetes-int-or-string": true}`)},
		"AnyOf":        {"an int or string as Kubernetes' own schemas write it", property(`{"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true}`)},
		"Map":          {"a map of labels", property(`{"type": "object", "maxProperties": 8, "additionalProperties": {"type": "string", "maxLength": 63}}`)},
		"ListOfMaps":   {"a keyed list", property(`{"type": "array", "maxItems": 4, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "maxLength": 8}}}}`)},
		"MetaNames":    {"kind and metadata are names like others", `{"type": "object", "properties": {"kind": {"type": "integer"}, "metadata": {"type": "boolean"}, "apiVersion": {"type": "number"}}}`},
		"Escaped":      {"names that need an escape in expressions", `{"type": "object", "properties": {"image-tag": {"type": "boolean"}, "namespace": {"type": "boolean"}}}`},
		"Rule":         {"a rule of its own", `{"type": "object", "properties": {"a": {"type": "integer"}}, "x-kubernetes-validations": [{"rule": "!has(self.a) || self.a > 3", "message": "too small"}]}`},
		"Default":      {"a default that fits", property(`{"type": "integer", "default": 3, "minimum": 1}`)},
		"NestedBlocks": {"objects inside of objects", property(`{"type": "object", "properties": {"b": {"type": "object", "properties": {"c": {"type": "boolean", "nullable": true}}}}}`)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, errs := Compile([]byte(tc.schema), schemaPath)
			if len(errs) > 0 || s == nil || s.Structural() == nil {
				t.Errorf("%s: refused: %v", tc.reason, messages(errs))
			}
		})
	}
}

func TestCompileErrors(t *testing.T) {
	const a = "spec.inputs.openAPIV3Schema.properties[a]"
	const bound = "Required value: a string needs a bound: maxLength (at most 65536), enum, or a short format such as date, date-time, duration or uuid"
	cases := map[string]struct {
		reason string
		schema string
		want   []string
	}{
		"Keyword":         {"a misspelt keyword would be an input without a bound", property(`{"type": "string", "maxLenght": 63}`), []string{a + `.maxLenght: Forbidden: unknown keyword, did you mean "maxLength"?`}},
		"KeywordInItems":  {"also below items, where the decoder of Kubernetes forgets to be strict", property(`{"type": "array", "maxItems": 2, "items": {"type": "string", "maxLenght": 63}}`), []string{a + `.items.maxLenght: Forbidden: unknown keyword, did you mean "maxLength"?`}},
		"KeywordInValues": {"also below additionalProperties", property(`{"type": "object", "maxProperties": 2, "additionalProperties": {"type": "string", "patern": "x"}}`), []string{a + `.additionalProperties.patern: Forbidden: unknown keyword, did you mean "pattern"?`}},
		"KeywordInAnyOf":  {"also below anyOf", property(`{"type": "string", "anyOf": [{"minLenght": 1}]}`), []string{a + `.anyOf[0].minLenght: Forbidden: unknown keyword, did you mean "minLength"?`}},
		"KeywordCase":     {"keywords have their case", property(`{"Type": "string"}`), []string{a + `.Type: Forbidden: unknown keyword, did you mean "type"?`}},
		"RuleField":       {"a field of a rule", `{"type": "object", "x-kubernetes-validations": [{"rule": "true", "mesage": "x"}]}`, []string{`spec.inputs.openAPIV3Schema.x-kubernetes-validations[0].mesage: Forbidden: unknown field, did you mean "message"?`}},
		"Shapes":          {"keywords of the wrong shape", `{"type": "object", "properties": {"a": 1}, "anyOf": {}, "x-kubernetes-validations": ["x"]}`, []string{"spec.inputs.openAPIV3Schema.anyOf: Invalid value: must be a list, not an object", a + ": Invalid value: must be a schema, not a number", "spec.inputs.openAPIV3Schema.x-kubernetes-validations[0]: Invalid value: must be an object with a rule, not a string"}},
		"NoType":          {"the type of the root", `{"properties": {}}`, []string{`spec.inputs.openAPIV3Schema.type: Unsupported value: "": supported values: "object"`}},
		"RootMap":         {"inputs have names", `{"type": "object", "additionalProperties": {"type": "integer"}}`, []string{"spec.inputs.openAPIV3Schema.additionalProperties: Forbidden: every input has a name: list them in properties"}},
		"RootNull":        {"inputs are not null, and have no default as a whole", `{"type": "object", "nullable": true, "default": {}}`, []string{"spec.inputs.openAPIV3Schema.default: Forbidden: give each property its default instead", "spec.inputs.openAPIV3Schema.nullable: Forbidden: inputs cannot be null"}},
		"UnboundString":   {"a string without a bound", property(`{"type": "string"}`), []string{a + ".maxLength: " + bound}},
		"LongFormat":      {"a format whose values can be long", property(`{"type": "string", "format": "uri"}`), []string{a + ".maxLength: " + bound}},
		"UnboundPattern":  {"a pattern is no bound", property(`{"type": "string", "pattern": "^a*$"}`), []string{a + ".maxLength: " + bound}},
		"HugeString":      {"a bound that is none", property(`{"type": "string", "maxLength": 1000000}`), []string{a + ".maxLength: Invalid value: 1000000: must be at most 65536"}},
		"UnboundList":     {"a list without a bound", property(`{"type": "array", "items": {"type": "integer"}}`), []string{a + ".maxItems: Required value: a list needs a bound, at most 1024"}},
		"UnboundMap":      {"a map without a bound, and its values", property(`{"type": "object", "additionalProperties": {"type": "string"}}`), []string{a + ".additionalProperties.maxLength: " + bound, a + ".maxProperties: Required value: a map needs a bound, at most 256"}},
		"AnyValues":       {"a map of anything", property(`{"type": "object", "maxProperties": 2, "additionalProperties": true}`), []string{a + ".additionalProperties: Forbidden: the values of a map need a schema"}},
		"Preserve":        {"anything at all", property(`{"type": "object", "x-kubernetes-preserve-unknown-fields": true}`), []string{a + ".x-kubernetes-preserve-unknown-fields: Forbidden: an approver must see what every input means: list the inputs in properties"}},
		"Embedded":        {"whole objects", property(`{"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"x": {"type": "integer"}}}`), []string{a + ".x-kubernetes-embedded-resource: Forbidden: inputs cannot be whole Kubernetes objects"}},
		"Password":        {"an input is shown to everybody", property(`{"type": "string", "maxLength": 9, "format": "password"}`), []string{a + `.format: Forbidden: what is given here is stored, and shown to everybody who may read the request: let it name a Secret instead`}},
		"Format":          {"a format that does not exist, which Kubernetes would ignore", property(`{"type": "integer", "format": "int46"}`), []string{a + `.format: Unsupported value: "int46": supported values: "int32", "int64"`}},
		"Name":            {"a name that expressions cannot use", `{"type": "object", "properties": {"a b": {"type": "integer"}}}`, []string{`spec.inputs.openAPIV3Schema.properties[a b]: Invalid value: "a b": must be usable in expressions: a letter first, then letters, digits, '_', '-', '.' or '/', at most 63 characters`}},
		"Required":        {"a required input that does not exist", `{"type": "object", "required": ["b"], "properties": {"a": {"type": "integer"}}}`, []string{`spec.inputs.openAPIV3Schema.required[0]: Invalid value: "b": must be one of properties, or no request could ever be valid`}},
		"Default":         {"a default that does not fit", property(`{"type": "integer", "default": "x"}`), []string{a + `.default: Invalid value: "string": in body must be of type integer: "string"`}},
		"Type":            {"a type that does not exist", property(`{"type": "strng"}`), []string{a + `.type: Unsupported value: "strng": supported values: "array", "boolean", "integer", "number", "object", "string"`}},
		"NotStructural":   {"a schema without a type", property(`{"description": "x"}`), []string{a + ".type: Required value: must not be empty for specified object fields"}},
		"Pattern":         {"a pattern that is none", property(`{"type": "string", "maxLength": 3, "pattern": "("}`), []string{a + `.pattern: Invalid value: "(": must be a valid regular expression, but isn't: error parsing regexp: missing closing ): ` + "`(`"}},
		"Rule":            {"a rule that does not compile", `{"type": "object", "properties": {"a": {"type": "integer"}}, "x-kubernetes-validations": [{"rule": "self.b > 3"}]}`, []string{`spec.inputs.openAPIV3Schema.x-kubernetes-validations[0].rule: Invalid value: "self.b > 3": compilation failed: ERROR: <input>:1:5: undefined field 'b'`}},
		"OldSelf":         {"a rule that would never run", `{"type": "object", "properties": {"a": {"type": "integer"}}, "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}`, []string{`spec.inputs.openAPIV3Schema.x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf": must not use oldSelf: inputs never change, so the rule would never run`}},
		"NoJSON":          {"no JSON", `{`, []string{"spec.inputs.openAPIV3Schema: Invalid value: must be JSON: unexpected end of JSON input"}},
		"NoObject":        {"no object", `[]`, []string{"spec.inputs.openAPIV3Schema: Invalid value: must be an object, not a list"}},
		"Trailing":        {"something behind it", `{} {}`, []string{"spec.inputs.openAPIV3Schema: Invalid value: must be JSON: invalid character '{' after top-level value"}},
		"Twice":           {"a keyword twice", `{"type": "object", "type": "object"}`, []string{"spec.inputs.openAPIV3Schema.type: Duplicate value"}},
		"Deep":            {"a schema that nests too deep", strings.Repeat(`{"type": "object", "properties": {"a": `, 20) + "{}" + strings.Repeat("}}", 20), []string{"spec.inputs.openAPIV3Schema: Invalid value: must not nest deeper than 32 levels"}},
		"WrongKind":       {"a keyword of the wrong type", property(`{"type": "string", "maxLength": "63"}`), []string{"spec.inputs.openAPIV3Schema: Invalid value: must be a schema: json: cannot unmarshal string into Go struct field JSONSchemaProps.properties.maxLength of type int64"}},
		"Empty":           {"nothing", ``, []string{"spec.inputs.openAPIV3Schema: Invalid value: must be JSON: unexpected end of JSON input"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, errs := Compile([]byte(tc.schema), schemaPath)
			if s != nil {
				t.Errorf("%s: a schema came back", tc.reason)
			}
			if diff := cmp.Diff(tc.want, messages(errs)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestCompileSize(t *testing.T) {
	_, errs := Compile([]byte(`{"type": "object", "description": "`+strings.Repeat("x", maxBytes)+`"}`), schemaPath)
	if len(errs) != 1 || errs[0].Type != field.ErrorTypeTooLong {
		t.Errorf("a schema without end: %v", messages(errs))
	}
	_, errs = Compile([]byte("{\"type\": \"object\", \"description\": \"\xff\"}"), schemaPath)
	if len(errs) != 1 || errs[0].Detail != "must be valid UTF-8" {
		t.Errorf("a schema that is no text: %v", messages(errs))
	}
}
