package template

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var root = field.NewPath("spec", "manifests").Index(0)

func tree(t testing.TB, text string) any {
	t.Helper()
	var out any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestObjectRender(t *testing.T) {
	source := tree(t, `{
		"metadata": {"name": "${inputs.name}-x", "annotations": {"signoff.dev/$${a}": "$${b}"}},
		"spec": {"replicas": "${inputs.replicas}", "list": ["${inputs.name}", "plain", 1, true, null], "drop": "${target.a}", "all": "${inputs.list}"},
		"data": "${inputs.text}"
	}`)
	o, errs := ParseObject(source, compiler(t), root)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	want := map[string]any{
		"metadata": map[string]any{"name": "checkout-x", "annotations": map[string]any{"signoff.dev/${a}": "${b}"}},
		"spec": map[string]any{
			"replicas": int64(3), "list": []any{"checkout", "plain", 1.0, true, nil}, "drop": nil, "all": []any{"a", "b"},
		},
		"data": `${inputs.name} $${x} $(HOME) '}`,
	}
	for range 2 {
		got, err := o.Render(context.Background(), vars(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
		// A caller may change what it got.
		spec := got.(map[string]any)["spec"].(map[string]any)
		spec["list"].([]any)[1] = "changed"
		delete(spec, "replicas")
	}
	if !o.Uses("target") || !o.Uses("inputs") || o.Uses("request") {
		t.Error("the variables of an object are those of its strings")
	}
}

func TestParseObjectErrors(t *testing.T) {
	deep := any("x")
	for range maxDepth + 1 {
		deep = []any{deep}
	}
	cases := map[string]struct {
		reason string
		value  any
		want   []string
	}{
		"All": {
			"every error is found, each with its path, in a stable order",
			tree(t, `{"b": ["x", "${inputs.nme}"], "a": {"${inputs.name}": 1, "signoff.dev/x": "${"}, "c": "${'abc}"}`),
			[]string{
				`spec.manifests[0].a[${inputs.name}]: Invalid value: "${inputs.name}": a key cannot hold a template, only a value can; write $${ for a literal ${`,
				`spec.manifests[0].a[signoff.dev/x]: Invalid value: "${": line 1, column 1: ${ is not closed; write $${ for a literal ${`,
				`spec.manifests[0].b[1]: Invalid value: "${inputs.nme}": line 1, column 10: undefined field 'nme' (did you mean "name"?)`,
				`spec.manifests[0].c: Invalid value: "${'abc}": line 1, column 3: the string that begins here is not closed`,
			},
		},
		"Long":      {"long values are cut", map[string]any{"a": "${" + strings.Repeat("x", 100)}, []string{`spec.manifests[0].a: Invalid value: "${` + strings.Repeat("x", 62) + `…": line 1, column 1: ${ is not closed; write $${ for a literal ${`}},
		"SameKey":   {"two keys that become one", map[string]any{"$${a}": 1, "${a}": 2}, []string{`spec.manifests[0][${a}]: Invalid value: "${a}": a key cannot hold a template, only a value can; write $${ for a literal ${`}},
		"NotJSON":   {"something that JSON does not have", map[string]any{"a": struct{}{}}, []string{"spec.manifests[0].a: Forbidden: a struct {} is no JSON value"}},
		"TooDeep":   {"something that nests too deep", deep, []string{"spec.manifests[0]" + strings.Repeat("[0]", maxDepth) + ": Forbidden: nests deeper than 64 levels"}},
		"OpenInKey": {"an open template in a key", map[string]any{"a${": 1}, []string{`spec.manifests[0][a${]: Invalid value: "a${": a key cannot hold a template, only a value can; write $${ for a literal ${`}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, errs := ParseObject(tc.value, compiler(t), root)
			var got []string
			for _, err := range errs {
				got = append(got, err.Error())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestObjectRenderErrors(t *testing.T) {
	cases := map[string]struct{ reason, value, want string }{
		"Path":    {"the error names the place", `{"a": [{"b.c/d": "x ${target.missing}"}]}`, `failed to render spec.manifests[0].a[0][b.c/d]: failed to evaluate "target.missing": no such key: missing`},
		"TooMuch": {"the strings of an object count together", `{"a": "${target.big}", "b": "${target.big}"}`, "failed to render spec.manifests[0].b: " + ErrTooLarge.Error()},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o, errs := ParseObject(tree(t, tc.value), compiler(t), root)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			got, err := o.Render(context.Background(), vars(), nil)
			if err == nil || err.Error() != tc.want {
				t.Errorf("%s: got %v, %v, want error %q", tc.reason, got, err, tc.want)
			}
		})
	}
}

func TestConcurrentRender(t *testing.T) {
	o, errs := ParseObject(tree(t, `{"a": "${inputs.name}", "b": ["${inputs.list}"]}`), compiler(t), root)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if _, err := o.Render(context.Background(), vars(), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
