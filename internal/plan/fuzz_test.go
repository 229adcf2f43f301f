package plan

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// checkLines demands what the API and people demand of lines.
func checkLines(t *testing.T, fields []string) {
	t.Helper()
	if len(fields) == 0 || len(fields) > stored.lines {
		t.Errorf("%d lines", len(fields))
	}
	for _, line := range fields {
		checkShown(t, line)
		if n := utf8.RuneCountInString(line); n > stored.line {
			t.Errorf("a line of %d characters", n)
		}
	}
}

// checkShown demands that nothing in a line is hidden.
func checkShown(t *testing.T, line string) {
	t.Helper()
	if i := strings.IndexFunc(line, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }); i >= 0 {
		t.Errorf("%q has a character at %d that is not seen", line, i)
	}
	if !utf8.ValidString(line) {
		t.Errorf("%q is not text", line)
	}
}

func FuzzDescribe(f *testing.F) {
	f.Add(0, `{"apiVersion":"v1","spec":{"template":{"spec":{"containers":[{"name":"app","$patch":"delete"}]}}}}`)
	f.Add(3, `[{"op":"add","path":"/metadata/labels/x","value":"\u202e"},{"op":"copy","from":"/data","path":"/x"}]`)
	f.Add(1, `{"data":{"password":null},"metadata":null,"spec":[{}]}`)
	f.Add(4, `{"spec":{"template":{"spec":{"containers":[1,{"env":[{"name":"A","value":{}}]}]}}}}`)
	f.Add(2, `{"data":{"page":"one\ntwo\n\u202e","password":"a\nb\n"}}`)
	operations := []v1alpha1.WriteOperation{
		v1alpha1.WriteApply, v1alpha1.WriteStrategicPatch, v1alpha1.WriteMergePatch, v1alpha1.WriteJSONPatch, v1alpha1.WriteCreateJob, "Other",
	}
	objects := []*unstructured.Unstructured{parse(f, checkout), parse(f, secret), parse(f, custom)}
	f.Fuzz(func(t *testing.T, operation int, body string) {
		for _, object := range objects {
			w := v1alpha1.RenderedWrite{Operation: operations[uint(operation)%uint(len(operations))], FieldManager: "m"}
			w.Object = v1alpha1.ObjectReference{APIVersion: object.GetAPIVersion(), Kind: object.GetKind(), Name: object.GetName()}
			w.Body.Raw = []byte(body)
			steps := []v1alpha1.RenderedStep{{Name: "s", Writes: []v1alpha1.RenderedWrite{w, w}}}
			live := func(v1alpha1.ObjectReference) Found { return Found{Object: object} }
			fields := Describe(steps, View{Live: live})[1].Fields
			checkLines(t, fields)
			for _, change := range Describe(steps, View{Live: live, Whole: true}) {
				for _, line := range change.Fields {
					checkShown(t, line)
				}
				fields = append(fields, change.Fields...)
			}
			if all := strings.Join(fields, "\n"); strings.Contains(all, "aHVudGVyMg==") && !strings.Contains(body, "aHVudGVyMg==") {
				t.Errorf("a Secret is shown:\n%s", all)
			}
		}
	})
}

func FuzzValueText(f *testing.F) {
	for _, s := range []string{"", "a", "true", "a b", "\u202e", "\xff", `"\`, "(removed)", "1e5", strings.Repeat("é", 130)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := stored.valueText(s)
		checkLines(t, []string{got})
		if n := utf8.RuneCountInString(got); n > stored.value+40 {
			t.Errorf("%d characters for %d", n, utf8.RuneCountInString(s))
		}
		if strings.ContainsAny(got, "→() ") && !strings.HasPrefix(got, `"`) {
			t.Errorf("%q can be taken for a part of the line", got)
		}
	})
}
