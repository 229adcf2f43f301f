package steps

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// expand replaces variables as the kubelet does: $(NAME) by the variable, $$ by $, anything else stays.
func expand(s string, lookup func(string)) string {
	var out strings.Builder
	for len(s) > 0 {
		switch {
		case strings.HasPrefix(s, "$$"):
			out.WriteByte('$')
			s = s[2:]
		case strings.HasPrefix(s, "$(") && strings.Contains(s, ")"):
			end := strings.Index(s, ")")
			lookup(s[2:end])
			s = s[end+1:]
		default:
			out.WriteByte(s[0])
			s = s[1:]
		}
	}
	return out.String()
}

// FuzzDouble checks that a container sees what the requester wrote, and nothing else.
func FuzzDouble(f *testing.F) {
	for _, s := range []string{"$(A)", "$$(A)", "$$$(A)", "$", "a$", "$(", "(A)", "$ (A)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, literal := range []string{"", "x", "(", "(A)"} {
			got := expand(double(s)+literal, func(name string) { t.Errorf("%q before %q looks up %q", s, literal, name) })
			if got != s+literal {
				t.Errorf("%q before %q is seen as %q", s, literal, got)
			}
		}
	})
}

// FuzzPointer checks that what is written as a JSON pointer is read as the same path, in so many segments.
func FuzzPointer(f *testing.F) {
	f.Add("a/b", "~0~1")
	f.Add("", "~")
	f.Fuzz(func(t *testing.T, a, b string) {
		got := segments(pointer([]string{a, b}))
		if len(got) != 2 || got[0] != a || got[1] != b {
			t.Errorf("%q, %q became %q", a, b, got)
		}
	})
}

// FuzzCompile compiles and renders a manifest, a patch, a JSON patch and a pod template out of any bytes.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"${inputs.name}"}}`,
		`{"spec":{"containers":[{"name":"a","args":["${inputs.text}"]}]},"metadata":{"labels":{"a":"$${"}}}`,
		`{"op":"add","path":"/a/${inputs.text}","value":{"a":["${inputs.list}"]}}`,
		`{"op":"copy","path":"/a","from":"/b"}`, `{"a":{"$patch":"delete"}}`, `[]`, `null`, `{"spec":null,"metadata":[]}`,
	} {
		f.Add([]byte(s))
	}
	templates := compiler(f)
	in := input(map[string]any{"text": "$(A)/b", "list": []any{"x"}, "free": map[string]any{}, "objects": []any{}, "number": int64(1)})
	f.Fuzz(func(t *testing.T, raw []byte) {
		ext := runtime.RawExtension{Raw: raw}
		for _, step := range []v1alpha1.Step{
			{Name: "apply", Apply: &v1alpha1.ApplyStep{Manifests: []v1alpha1.Manifest{{RawExtension: ext}}}},
			{Name: "strategic", Patch: &v1alpha1.PatchStep{Strategic: &ext}},
			{Name: "merge", Patch: &v1alpha1.PatchStep{Merge: &ext}},
			{Name: "json", Patch: &v1alpha1.PatchStep{JSON: []v1alpha1.Manifest{{RawExtension: ext}}}},
			{Name: "job", Job: &v1alpha1.JobStep{Namespace: "x", Template: &ext, Container: "a", Args: []string{string(raw)}}},
		} {
			s, errs := Compile(&v1alpha1.Execution{Steps: []v1alpha1.Step{step}}, deployment, templates, field.NewPath("execution"))
			if (s == nil) == (len(errs) == 0) {
				t.Fatalf("steps %v and errors %v", s, errs)
			}
			if s != nil {
				checkRendered(t, s, in)
			}
		}
	})
}

func checkRendered(t *testing.T, s *Steps, in Input) {
	t.Helper()
	rendered, err := s.Render(context.Background(), in)
	if err != nil {
		return
	}
	w := rendered[0].Writes[0]
	if !json.Valid(w.Body.Raw) || checkName(w.Object.APIVersion, w.Object.Kind, w.Object.Name) != nil || w.FieldManager == "" {
		t.Errorf("rendered %+v with body %s", w, w.Body.Raw)
	}
	if isOwn(kindOf(w.Object.APIVersion, w.Object.Kind).Group) {
		t.Errorf("writes %+v", w.Object)
	}
}
