package inputs

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const deploy = `{
	"type": "object", "required": ["environment", "image"],
	"properties": {
		"environment": {"type": "string", "enum": ["staging", "production"]},
		"image": {"type": "string", "maxLength": 80, "pattern": "^[a-z/]+:[0-9.]+$"},
		"replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 2},
		"ratio": {"type": "number"},
		"port": {"x-kubernetes-int-or-string": true},
		"at": {"type": "string", "format": "date-time"},
		"labels": {"type": "object", "maxProperties": 2, "additionalProperties": {"type": "string", "maxLength": 5}},
		"parts": {"type": "array", "maxItems": 2, "items": {"type": "object", "required": ["name"], "properties": {
			"name": {"type": "string", "maxLength": 8}, "weight": {"type": "integer", "default": 1}}}},
		"note": {"type": "string", "maxLength": 5, "nullable": true}
	},
	"x-kubernetes-validations": [
		{"rule": "self.environment != 'production' || self.replicas > 1", "message": "production needs two", "fieldPath": ".replicas"}]
}`

func compile(t testing.TB, schema string) *Schema {
	t.Helper()
	s, errs := Compile([]byte(schema), schemaPath)
	if len(errs) > 0 {
		t.Fatal(messages(errs))
	}
	return s
}

func TestResolve(t *testing.T) {
	const base = `"environment": "staging", "image": "a/b:1"`
	with := func(more map[string]any) map[string]any {
		out := map[string]any{"environment": "staging", "image": "a/b:1", "replicas": int64(2)}
		for k, v := range more {
			out[k] = v
		}
		return out
	}
	cases := map[string]struct {
		reason string
		inputs string
		want   map[string]any
	}{
		"Defaults":    {"defaults are filled in", base, with(nil)},
		"Sent":        {"what was sent wins", base + `, "replicas": 5`, with(map[string]any{"replicas": int64(5)})},
		"NullDefault": {"null stands for the default, as in Kubernetes", base + `, "replicas": null`, with(nil)},
		"WholeFloat":  {"3.0 is an integer", base + `, "replicas": 3.0`, with(map[string]any{"replicas": int64(3)})},
		"WholeNumber": {"3 is a number", base + `, "ratio": 3`, with(map[string]any{"ratio": 3.0})},
		"Port":        {"an int or string may be an int", base + `, "port": 80`, with(map[string]any{"port": int64(80)})},
		"PortName":    {"or a string", base + `, "port": "http"`, with(map[string]any{"port": "http"})},
		"Nested":      {"defaults inside of lists", base + `, "parts": [{"name": "x"}]`, with(map[string]any{"parts": []any{map[string]any{"name": "x", "weight": int64(1)}}})},
		"Labels":      {"a map", base + `, "labels": {"a.b/c": "x"}`, with(map[string]any{"labels": map[string]any{"a.b/c": "x"}})},
		"Nullable":    {"null where it is allowed", base + `, "note": null`, with(map[string]any{"note": nil})},
		"MostInteger": {"the largest integer", base + `, "ratio": 9007199254740991`, with(map[string]any{"ratio": 9007199254740991.0})},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, errs := compile(t, deploy).Resolve([]byte("{"+tc.inputs+"}"), inputsPath)
			if len(errs) > 0 {
				t.Fatalf("%s: %v", tc.reason, messages(errs))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestResolveErrors(t *testing.T) {
	const base = `"environment": "staging", "image": "a/b:1"`
	const lossy = "must be between -9007199254740991 and 9007199254740991; write larger numbers as strings"
	long := strings.Repeat("x", 100)
	cases := map[string]struct {
		reason string
		inputs string
		want   []string
	}{
		"Texts": {"as texts.md has it", `{"environment": "prod", "imge": "a/b:1"}`, []string{
			`spec.inputs.environment: Unsupported value: "prod": supported values: "staging", "production"`,
			"spec.inputs.image: Required value",
			`spec.inputs.imge: Forbidden: unknown field, did you mean "image"?`}},
		"Nothing":     {"nothing at all is an empty object", ``, []string{"spec.inputs.environment: Required value", "spec.inputs.image: Required value"}},
		"Null":        {"null too", `null`, []string{"spec.inputs.environment: Required value", "spec.inputs.image: Required value"}},
		"Types":       {"types are named", `{` + base + `, "replicas": "7", "ratio": true, "labels": [], "parts": {}, "at": 3, "port": 1.5}`, []string{"spec.inputs.at: Invalid value: 3: must be a string, not a number", `spec.inputs.labels: Invalid value: "[]": must be an object, not a list`, `spec.inputs.parts: Invalid value: "{}": must be a list, not an object`, "spec.inputs.port: Invalid value: 1.5: must be an integer or a string, not a number with a fraction", "spec.inputs.ratio: Invalid value: true: must be a number, not a boolean", `spec.inputs.replicas: Invalid value: "7": must be an integer, not a string`}},
		"Fraction":    {"a fraction is no integer", `{` + base + `, "replicas": 1.5}`, []string{"spec.inputs.replicas: Invalid value: 1.5: must be an integer, not a number with a fraction"}},
		"NullType":    {"null where nothing stands in for it", `{"environment": null, "image": "a/b:1"}`, []string{"spec.inputs.environment: Invalid value: null: must be a string, not null"}},
		"Bounds":      {"bounds of numbers", `{` + base + `, "replicas": 11}`, []string{"spec.inputs.replicas: Invalid value: 11: should be less than or equal to 10"}},
		"Pattern":     {"a pattern, with a long value cut", `{"environment": "staging", "image": "` + strings.ToUpper(long[:70]) + `"}`, []string{`spec.inputs.image: Invalid value: "` + strings.ToUpper(long[:64]) + `…": should match '^[a-z/]+:[0-9.]+$'`}},
		"Long":        {"a string that is too long", `{` + base + `, "note": "123456"}`, []string{"spec.inputs.note: Too long: may not be more than 5 bytes"}},
		"LongFormat":  {"a string whose format is its bound", `{` + base + `, "at": "2026-01-01T00:00:00.` + strings.Repeat("0", 100) + `Z"}`, []string{"spec.inputs.at: Too long: may not be more than 64 bytes"}},
		"Format":      {"a format", `{` + base + `, "at": "tomorrow"}`, []string{`spec.inputs.at: Invalid value: "tomorrow": must be of type date-time: "tomorrow"`}},
		"LongPort":    {"an int or string that is far too long", `{` + base + `, "port": "` + long + `"}`, []string{"spec.inputs.port: Too long: may not be more than 64 bytes"}},
		"Items":       {"inside of lists", `{` + base + `, "parts": [{"nam": "x"}, {"name": "x", "weight": 9007199254740993}]}`, []string{"spec.inputs.parts[0].nam: Forbidden: unknown field, did you mean \"name\"?", "spec.inputs.parts[0].name: Required value", "spec.inputs.parts[1].weight: Invalid value: 9007199254740993: " + lossy}},
		"Keys":        {"inside of maps", `{` + base + `, "labels": {"a": "123456", "` + strings.Repeat("k", 254) + `": "x"}}`, []string{"spec.inputs.labels.a: Too long: may not be more than 5 bytes", "spec.inputs.labels[" + strings.Repeat("k", 64) + "…]: Invalid value: \"" + strings.Repeat("k", 64) + "…\": must be at most 253 characters"}},
		"TooMany":     {"a map that is too large", `{` + base + `, "labels": {"a": "", "b": "", "c": ""}}`, []string{"spec.inputs.labels: Too many: 3: must have at most 2 items"}},
		"Rule":        {"a rule, once the rest is right", `{"environment": "production", "image": "a/b:1", "replicas": 1}`, []string{"spec.inputs.replicas: Invalid value: production needs two"}},
		"RuleWaits":   {"but not before", `{"environment": "production", "image": "A", "replicas": 1}`, []string{`spec.inputs.image: Invalid value: "A": should match '^[a-z/]+:[0-9.]+$'`}},
		"HugeInteger": {"an integer beyond every integer", `{` + base + `, "replicas": 18446744073709551616}`, []string{"spec.inputs.replicas: Invalid value: 1.8446744073709552e+19: " + lossy}},
		"LargeNumber": {"a float so large is a whole number as well, and nothing could be signed that holds it", `{` + base + `, "ratio": 1e300}`, []string{"spec.inputs.ratio: Invalid value: 1e+300: " + lossy}},
		"HugeNumber":  {"a number beyond every number", `{` + base + `, "ratio": 1e999}`, []string{"spec.inputs: Invalid value: must be JSON: json: cannot unmarshal number 1e999 into Go value of type float64"}},
		"NaN":         {"no number at all", `{` + base + `, "ratio": NaN}`, []string{"spec.inputs: Invalid value: must be JSON: invalid character 'N' looking for beginning of value"}},
		"Twice":       {"a name twice", `{` + base + `, "image": "a/b:2"}`, []string{"spec.inputs.image: Duplicate value"}},
		"Trailing":    {"something behind it", `{` + base + `} x`, []string{"spec.inputs: Invalid value: must be JSON: invalid character 'x' after top-level value"}},
		"List":        {"no object", `[1]`, []string{"spec.inputs: Invalid value: must be an object, not a list"}},
		"Deep":        {"something that nests too deep", `{"note": ` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, []string{"spec.inputs: Invalid value: must not nest deeper than 32 levels"}},
		"LongName":    {"a long unknown name is cut", `{` + base + `, "` + long + `": 1}`, []string{"spec.inputs." + long[:64] + "…: Forbidden: unknown field, there are: at, environment, image, labels, note, parts, port, ratio, replicas"}},
		"Case":        {"names have their case", `{` + base + `, "Replicas": 3}`, []string{`spec.inputs.Replicas: Forbidden: unknown field, did you mean "replicas"?`}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, errs := compile(t, deploy).Resolve([]byte(tc.inputs), inputsPath)
			if got != nil {
				t.Errorf("%s: got %v", tc.reason, got)
			}
			if diff := cmp.Diff(tc.want, messages(errs)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestWithoutInputs(t *testing.T) {
	var s *Schema
	for _, raw := range []string{"", "null", "{}"} {
		got, errs := s.Resolve([]byte(raw), inputsPath)
		if diff := cmp.Diff(map[string]any{}, got); diff != "" || len(errs) > 0 {
			t.Errorf("no inputs (%q) are fine where none are taken: %v, -want +got:\n%s", raw, messages(errs), diff)
		}
	}
	_, errs := s.Resolve([]byte(`{"b": 1, "a": 1}`), inputsPath)
	want := []string{"spec.inputs.a: Forbidden: unknown field, the Action takes no inputs", "spec.inputs.b: Forbidden: unknown field, the Action takes no inputs"}
	if diff := cmp.Diff(want, messages(errs)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if s.Structural() != nil || s.Names() != nil || len(s.Example()) != 0 {
		t.Error("an Action without inputs has no schema, names or example")
	}
}

func TestResolveIsSafeForConcurrentUse(t *testing.T) {
	s := compile(t, deploy)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				raw := fmt.Sprintf(`{"environment": "staging", "image": "a/b:%d", "parts": [{"name": "x"}]}`, i*100+j)
				got, errs := s.Resolve([]byte(raw), inputsPath)
				if len(errs) > 0 || got["image"] != fmt.Sprintf("a/b:%d", i*100+j) {
					t.Errorf("got %v, %v", got, messages(errs))
				}
				got["parts"].([]any)[0].(map[string]any)["weight"] = "changed"
			}
		})
	}
	wg.Wait()
}

// FuzzResolve: whatever is sent, the answer is either values that are valid again or errors that can be read.
func FuzzResolve(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `{"environment": "staging", "image": "a/b:1"}`, `{"environment": "prod", "replicas": 1.0, "labels": {"a": null}}`,
		`{"parts": [{"name": 1}, null, []]}`, `{"ratio": 1e400}`, `{"at": "2026-01-01T00:00:00Z", "port": -0}`, "{\"note\": \"\xff\"}",
		`{"environment": "production", "image": "a:1", "replicas": 1}`, `{"a":{"a":{"a":1}}}`,
	} {
		f.Add([]byte(seed))
	}
	s := compile(f, deploy)
	f.Fuzz(func(t *testing.T, raw []byte) {
		values, errs := s.Resolve(raw, inputsPath)
		if (values == nil) != (len(errs) > 0) {
			t.Fatalf("%q: got %v and errors %v", raw, values, messages(errs))
		}
		for _, err := range errs {
			if text, ok := err.BadValue.(string); ok && utf8.RuneCountInString(text) > maxEcho+1 {
				t.Fatalf("%q: an error repeats %d characters", raw, utf8.RuneCountInString(text))
			}
			if strings.Contains(err.Detail, "\n") {
				t.Fatalf("%q: an error of several lines: %q", raw, err.Detail)
			}
		}
		if tree, parseErrs := parse(raw, inputsPath); len(parseErrs) == 0 && s.root.obvious(tree) {
			if errs := s.judge(tree, inputsPath); len(errs) > 0 {
				t.Fatalf("%q: what is obvious is wrong: %v", raw, messages(errs))
			}
		}
		if values != nil {
			again, errs := s.Resolve(mustMarshal(t, values), inputsPath)
			if diff := cmp.Diff(values, again); diff != "" || len(errs) > 0 {
				t.Fatalf("%q: resolved again: %v, -want +got:\n%s", raw, messages(errs), diff)
			}
		}
	})
}

// FuzzObvious: where one look says that inputs are valid, the checker and the validator of Kubernetes say so as well.
func FuzzObvious(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"type": "integer", "minimum": 0.5, "maximum": 7}`, `1`}, {`{"type": "integer", "maximum": -0.5}`, `0`},
		{`{"type": "number", "minimum": -1e300}`, `-0.0`}, {`{"type": "string", "maxLength": 3, "pattern": "b"}`, `"abc"`},
		{`{"type": "string", "enum": ["a", "b"], "minLength": 2}`, `"a"`}, {`{"type": "boolean", "nullable": true}`, `null`},
		{`{"type": "array", "maxItems": 2, "minItems": 1, "items": {"type": "boolean"}}`, `[true]`},
		{`{"type": "object", "maxProperties": 1, "additionalProperties": {"type": "integer", "format": "int32"}}`, `{"a": 4294967296}`},
		{`{"type": "string", "maxLength": 9, "not": {"enum": ["x"]}}`, `"x"`}, {`{"type": "integer", "multipleOf": 2}`, `3`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, schema, value string) {
		s, errs := Compile([]byte(property(schema)), schemaPath)
		if len(errs) > 0 {
			return
		}
		tree, errs := parse([]byte(`{"a": `+value+`}`), inputsPath)
		if len(errs) > 0 || !s.root.obvious(tree) {
			return
		}
		if errs := s.judge(tree, inputsPath); len(errs) > 0 {
			t.Fatalf("what is obvious is wrong: %v", messages(errs))
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	s := compile(b, deploy)
	raw := []byte(`{"environment": "production", "image": "a/b:1", "replicas": 3}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, errs := s.Resolve(raw, inputsPath); len(errs) > 0 {
			b.Fatal(errs)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		compile(b, deploy)
	}
}

// TestVeryMuchIsWrong: whoever sends tens of thousands of wrong values is told of some, and the work does not grow with the square of them. It
// would take minutes then, and the test would not end in time.
func TestVeryMuchIsWrong(t *testing.T) {
	s := compile(t, `{"type":"object","properties":{
		"map":{"type":"object","maxProperties":5,"additionalProperties":{"type":"string","maxLength":50}},
		"list":{"type":"array","maxItems":7,"items":{"type":"string","maxLength":50}},
		"wide":{"type":"object","maxProperties":256,"additionalProperties":{"type":"string","maxLength":5}}}}`)
	many := func(format string, count int) string {
		var all []string
		for i := range count {
			all = append(all, strings.ReplaceAll(format, "N", fmt.Sprint(i)))
		}
		return strings.Join(all, ",")
	}
	for name, tc := range map[string]struct {
		raw   string
		words string
		most  int
	}{
		"Map":         {`{"map":{` + many(`"kN":1`, 40_000) + `}}`, "spec.inputs.map: Too many: 40000: must have at most 5 items", 1},
		"List":        {`{"list":[` + many(`N`, 40_000) + `]}`, "spec.inputs.list: Too many: 40000: must have at most 7 items", 1},
		"Types":       {`{"wide":{` + many(`"kN":1`, 256) + `}}`, `spec.inputs.wide[k0]: Invalid value: 1: must be a string, not a number`, mostErrors + 1},
		"Unknown":     {`{` + many(`"kN":1`, 40_000) + `}`, "spec.inputs.k0: Forbidden: unknown field", mostErrors + 1},
		"UnknownDeep": {`{"map":{"a":"b"},"list":["a"],` + many(`"kN":{"a":1}`, 20_000) + `}`, "there may be more that is wrong; correct these first", mostErrors + 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := s.Resolve([]byte(tc.raw), field.NewPath("spec", "inputs"))
			if len(errs) == 0 || len(errs) > tc.most || !strings.Contains(errs.ToAggregate().Error(), tc.words) {
				t.Errorf("%d errors, want at most %d, with %q: %v", len(errs), tc.most, tc.words, errs)
			}
		})
	}
	none := (*Schema)(nil)
	if _, errs := none.Resolve([]byte(`{`+many(`"kN":1`, 40_000)+`}`), field.NewPath("spec", "inputs")); len(errs) != mostErrors {
		t.Errorf("an Action without inputs: %d errors", len(errs))
	}
}
