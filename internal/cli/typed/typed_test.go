package typed

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"

	"github.com/signoff-dev/signoff/internal/inputs"
)

func schema(t testing.TB) *structuralschema.Structural {
	t.Helper()
	compiled, errs := inputs.Compile([]byte(`{
		"type": "object", "required": ["service", "level", "tags"],
		"properties": {
			"service": {"type": "string", "maxLength": 63, "description": "which one"},
			"level": {"type": "string", "enum": ["low", "high"], "default": "low"},
			"replicas": {"type": "integer", "minimum": 0, "maximum": 100},
			"share": {"type": "number", "minimum": 0, "maximum": 1},
			"urgent": {"type": "boolean"},
			"port": {"x-kubernetes-int-or-string": true},
			"tags": {"type": "array", "maxItems": 5, "items": {"type": "string", "maxLength": 20}},
			"counts": {"type": "array", "maxItems": 5, "items": {"type": "integer"}},
			"limits": {"type": "object", "properties": {
				"cpu": {"type": "integer"}, "more": {"type": "object", "properties": {"deep": {"type": "boolean"}}}}},
			"labels": {"type": "object", "maxProperties": 5, "additionalProperties": {"type": "string", "maxLength": 20}}
		}}`), nil)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return compiled.Structural()
}

func TestSet(t *testing.T) {
	type m = map[string]any
	cases := map[string]struct {
		reason string
		words  []string
		want   m
		err    string
	}{
		"Types":       {"each by its type", []string{"service=7", "replicas=7", "share=0.5", "urgent=true"}, m{"service": "7", "replicas": int64(7), "share": 0.5, "urgent": true}, ""},
		"Whole":       {"a whole number is a number too", []string{"share=1"}, m{"share": int64(1)}, ""},
		"Wrong":       {"what does not fit is sent as written, and the cluster says so", []string{"replicas=many", "urgent=yes", "share=half"}, m{"replicas": "many", "urgent": "yes", "share": "half"}, ""},
		"NoOctal":     {"no number that others read otherwise", []string{"replicas=017"}, m{"replicas": "017"}, ""},
		"Unknown":     {"a name that does not exist is for the cluster to refuse", []string{"servic=a"}, m{"servic": "a"}, ""},
		"Equals":      {"the rest is the value", []string{"service=a=b=c"}, m{"service": "a=b=c"}, ""},
		"Empty":       {"an empty text is one", []string{"service="}, m{"service": ""}, ""},
		"Port":        {"a number or a name", []string{"port=80"}, m{"port": int64(80)}, ""},
		"PortName":    {"a number or a name", []string{"port=http"}, m{"port": "http"}, ""},
		"List":        {"a key several times", []string{"tags=a", "tags=b"}, m{"tags": []any{"a", "b"}}, ""},
		"ListOne":     {"a list of one", []string{"counts=1"}, m{"counts": []any{int64(1)}}, ""},
		"ListJSON":    {"a list as JSON", []string{`counts=[1, 2]`}, m{"counts": []any{int64(1), int64(2)}}, ""},
		"Inner":       {"keys in objects", []string{"limits.cpu=2", "limits.more.deep=true"}, m{"limits": m{"cpu": int64(2), "more": m{"deep": true}}}, ""},
		"Object":      {"an object as JSON", []string{`limits={"cpu": 3}`}, m{"limits": m{"cpu": int64(3)}}, ""},
		"Labels":      {"keys of one's own", []string{"labels.a/b=1"}, m{"labels": m{"a/b": "1"}}, ""},
		"NoObject":    {"a point in a name that is in no object", []string{"service.x=1"}, m{"service.x": "1"}, ""},
		"Twice":       {"one value only", []string{"service=a", "service=b"}, nil, "service is given twice, and is no list"},
		"NoKey":       {"no key", []string{"=a"}, nil, `failed to read "=a": write inputs as key=value`},
		"NoValue":     {"no value", []string{"service"}, nil, `failed to read "service": write inputs as key=value`},
		"NotAnObject": {"a broken object is for the cluster to refuse", []string{"limits={"}, m{"limits": "{"}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := m{}
			err := Set(got, tc.words, schema(t))
			if tc.err != "" {
				if err == nil || err.Error() != tc.err {
					t.Fatalf("%s: got %v, want %s", tc.reason, err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestSetOverEarlier gives inputs anew that an earlier request had.
func TestSetOverEarlier(t *testing.T) {
	values := map[string]any{"tags": []any{"old"}, "limits": map[string]any{"cpu": int64(1)}, "level": "high"}
	if err := Set(values, []string{"tags=new", "limits.more.deep=false", "level=low"}, schema(t)); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"tags": []any{"new"}, "level": "low", "limits": map[string]any{"cpu": int64(1), "more": map[string]any{"deep": false}}}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSetWithoutSchema(t *testing.T) {
	values := map[string]any{}
	if err := Set(values, []string{"a=1", "b=x", "c=true", "d=[1]", "e=null", "f=: {"}, nil); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"a": int64(1), "b": "x", "c": true, "d": []any{int64(1)}, "e": "null", "f": ": {"}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Errorf("as in a manifest (-want +got):\n%s", diff)
	}
}

func TestWhatIsKnown(t *testing.T) {
	s := schema(t)
	if diff := cmp.Diff([]string{"service", "tags"}, Missing(map[string]any{}, s)); diff != "" {
		t.Errorf("what has a default is not missing (-want +got):\n%s", diff)
	}
	if got := Missing(map[string]any{"service": "a", "tags": []any{}}, s); len(got) > 0 {
		t.Errorf("nothing is missing, and it says %q", got)
	}
	if got := Missing(nil, nil); len(got) > 0 {
		t.Errorf("without a schema nothing is known to be missing, and it says %q", got)
	}
	for name, want := range map[string]string{
		"service": "string", "level": "string: low, high", "replicas": "integer", "urgent": "boolean", "port": "integer or string",
		"tags": "list of string", "limits": "object", "nothing": "string",
	} {
		if got := Kind(name, s); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if diff := cmp.Diff([]string{"true", "false"}, Choices("urgent", s)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff("counts labels level limits port replicas service share tags urgent", strings.Join(Names(s), " ")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestInputs(t *testing.T) {
	got := Inputs(schema(t))
	want := []Input{
		{Name: "service", Kind: "string", Description: "which one", Required: true}, {Name: "tags", Kind: "list of string", Required: true, List: true},
		{Name: "counts", Kind: "list of integer", List: true}, {Name: "labels", Kind: "object"}, {Name: "level", Kind: "string: low, high", Default: "low"},
	}
	if diff := cmp.Diff(want, got[:len(want)]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// FuzzSet finds words that break the reader, or values that a request cannot hold.
func FuzzSet(f *testing.F) {
	for _, word := range []string{"service=a", "replicas=7", "limits.more.deep=1", "limits={", "tags=[1,{}]", "labels.a.b=x", "=", "port=1e9", "share=1e999"} {
		f.Add(word, "limits.cpu=1")
	}
	s := schema(f)
	f.Fuzz(func(t *testing.T, one, two string) {
		for _, of := range []*structuralschema.Structural{s, nil} {
			values := map[string]any{}
			if Set(values, []string{one, two}, of) != nil {
				continue
			}
			for name := range values {
				_ = Text(values[name])
			}
			checked(t, values)
		}
	})
}

// checked fails on what unstructured objects cannot hold.
func checked(t *testing.T, value any) {
	t.Helper()
	switch v := value.(type) {
	case map[string]any:
		for _, inner := range v {
			checked(t, inner)
		}
	case []any:
		for _, inner := range v {
			checked(t, inner)
		}
	case nil, string, bool, int64, float64:
	default:
		t.Errorf("a value is a %T", value)
	}
}

// TestWords takes a list as people type it at a prompt.
func TestWords(t *testing.T) {
	cases := map[string]struct {
		reason string
		list   bool
		text   string
		want   []string
	}{
		"Text":   {"a comma in a text is a comma", false, "a,b", []string{"x=a,b"}},
		"List":   {"several values", true, "a, b", []string{"x=a", "x=b"}},
		"One":    {"one value", true, "a", []string{"x=a"}},
		"JSON":   {"values that have commas themselves", true, `["a,b"]`, []string{`x=["a,b"]`}},
		"Broken": {"what is no JSON is text", true, "[a", []string{"x=[a"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, (&Input{Name: "x", List: tc.list}).Words(tc.text)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
