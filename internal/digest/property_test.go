package digest

import (
	"reflect"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/randfill"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// notCovered are the fields, in the API types and in Subject, that may change without another digest.
var notCovered = []string{
	"Action.Spec.Title", "Action.Spec.Description", "Action.Spec.Rules.Message", "Action.Spec.Default.Message",
	"Requester.Groups", "Requester.Extra", "Requester.Person",
	// Which object it is stands in the basis of what is planned: where it is another one, onDrift decides. The seal of the Record covers it.
	"Steps.Writes.UID", "Finally.Writes.UID",
}

// TestEveryFieldCounts changes every field of a subject in which every field is set, one at a time. A field that is added to
// the API is set and changed here without anybody thinking of it.
func TestEveryFieldCounts(t *testing.T) {
	base := filled()
	want := mustDigest(t, base)
	seen := map[string]string{want: "nothing"}
	counted, left := 0, 0
	eachLeaf(reflect.ValueOf(&base).Elem(), "", func(path string) {
		got := mustDigest(t, base)
		if slices.Contains(notCovered, path) {
			left++
			if got != want {
				t.Errorf("%s changes the digest, although it is not to", path)
			}
			return
		}
		counted++
		if other, twice := seen[got]; twice {
			t.Errorf("changing %s gives the same digest as changing %s", path, other)
		}
		seen[got] = path
	})
	if counted < 80 || left < len(notCovered) {
		t.Errorf("only %d fields that count and %d that do not were tried: the subject is not filled", counted, left)
	}
	if got := mustDigest(t, base); got != want {
		t.Error("the walk did not restore what it changed")
	}
}

func mustDigest(t *testing.T, s Subject) string {
	t.Helper()
	got, err := Of(s)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// filled is a subject with every field set.
func filled() Subject {
	fill := randfill.NewWithSeed(1).NilChance(0).NumElements(2, 2).Funcs(
		func(r *runtime.RawExtension, c randfill.Continue) { r.Raw = []byte(`{"a":"b"}`) },
		func(s *string, c randfill.Continue) { *s = "x" + c.String(8) },
	)
	s := Subject{Action: &v1alpha1.Action{}}
	fill.Fill(&s.Action.Spec)
	fill.Fill(&s.Steps)
	fill.Fill(&s.Finally)
	fill.Fill(&s.Requester)
	s.Action.Namespace, s.Action.Name, s.Action.UID = "n", "a", "u"
	s.RequestNamespace, s.RequestName, s.RequestUID = "n", "r", "u"
	s.Inputs = map[string]any{"a": "b"}
	return s
}

// eachLeaf changes every text, number, truth and JSON value below v, calls visit with its path, and changes it back.
func eachLeaf(v reflect.Value, path string, visit func(path string)) {
	switch v.Kind() {
	case reflect.String:
		old := v.String()
		v.SetString(old + "!")
		visit(path)
		v.SetString(old)
	case reflect.Int32, reflect.Int64:
		old := v.Int()
		v.SetInt(old%1000 + 1)
		visit(path)
		v.SetInt(old)
	case reflect.Bool:
		v.SetBool(!v.Bool())
		visit(path)
		v.SetBool(!v.Bool())
	case reflect.Pointer:
		if !v.IsNil() {
			eachLeaf(v.Elem(), path, visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachLeaf(v.Index(i), path, visit)
		}
	case reflect.Map:
		eachEntry(v, path, visit)
	case reflect.Struct:
		eachField(v, path, visit)
	default:
	}
}

func eachEntry(v reflect.Value, path string, visit func(path string)) {
	for _, key := range v.MapKeys() {
		old := v.MapIndex(key)
		v.SetMapIndex(key, reflect.Value{})
		visit(path)
		v.SetMapIndex(key, old)
	}
}

func eachField(v reflect.Value, path string, visit func(path string)) {
	if r, ok := v.Addr().Interface().(*runtime.RawExtension); ok {
		old := r.Raw
		r.Raw = []byte(`{"a":"c"}`)
		visit(path)
		r.Raw = old
		return
	}
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if path == "Action" && (name == "TypeMeta" || name == "Status") {
			continue
		}
		if path == "Action" && name == "ObjectMeta" {
			for _, identity := range []string{"Namespace", "Name", "UID"} {
				eachLeaf(v.Field(i).FieldByName(identity), path+"."+identity, visit)
			}
			continue
		}
		at := name
		if path != "" {
			at = path + "." + name
		}
		eachLeaf(v.Field(i), at, visit)
	}
}

// TestOrderCounts is about the order of steps and writes, which is the order in which they are executed.
func TestOrderCounts(t *testing.T) {
	s := filled()
	want := mustDigest(t, s)
	slices.Reverse(s.Steps)
	if mustDigest(t, s) == want {
		t.Error("other order of steps, same digest")
	}
	slices.Reverse(s.Steps)
	slices.Reverse(s.Steps[0].Writes)
	if mustDigest(t, s) == want {
		t.Error("other order of writes, same digest")
	}
}

// TestFormDoesNotCount is about bodies that differ only in how they are written, as they do once etcd has stored them.
func TestFormDoesNotCount(t *testing.T) {
	s := restart()
	want := mustDigest(t, s)
	s.Steps[0].Writes[0].Body = raw(`{ "spec":{"template": {"metadata":{"annotations":{"signoff.dev\/restarted-by" : "6f1d2c1\u0065"}}}}}`)
	if got := mustDigest(t, s); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
