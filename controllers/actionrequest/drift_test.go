package actionrequest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/plan"
)

// TestDriftIsCompared compares what people saw with what is there now, as far as anybody can look.
func TestDriftIsCompared(t *testing.T) {
	change := func(object, basis string) v1alpha1.PlannedChange {
		return v1alpha1.PlannedChange{Object: object, Basis: basis, Fields: []string{"a: 1 → 2"}}
	}
	list := func(changes ...v1alpha1.PlannedChange) []v1alpha1.PlannedChange { return changes }
	const changed = "Pod b/c is no longer as it was when people were asked: a: 1 → 2."
	unknown := []string{"Nobody can tell whether Pod b/c is still as it was when people were asked: the key or the version of Signoff has changed since."}
	absent := plan.Describe([]v1alpha1.RenderedStep{{Writes: []v1alpha1.RenderedWrite{{Operation: v1alpha1.WriteApply, Body: runtime.RawExtension{Raw: []byte("{}")}}}}},
		plan.View{Live: func(v1alpha1.ObjectReference) plan.Found { return plan.Found{} }})[0].Basis
	for name, tc := range map[string]struct {
		reason      string
		shown       []v1alpha1.PlannedChange
		now         []v1alpha1.PlannedChange
		unread      []string
		lines, away []string
		rekeyed     []string
	}{
		"Same":    {"Nothing has changed.", list(change("Pod b/c", "x")), list(change("Pod b/c", "x")), nil, nil, nil, nil},
		"Changed": {"It is another one.", list(change("Pod b/c", "x")), list(change("Pod b/c", "y")), nil, []string{changed}, nil, nil},
		"Unread":  {"Nobody can tell, so it has not drifted.", list(change("Pod b/c", "x")), list(change("Pod b/c", "")), []string{"Pod b/c"}, nil, []string{"Pod b/c"}, nil},
		"UnreadTwice": {"What a blind write will have made is nothing to compare with.", list(change("Pod b/c", "x"), change("Pod b/c", "y")),
			list(change("Pod b/c", ""), change("Pod b/c", "z")), []string{"Pod b/c"}, nil, []string{"Pod b/c", "Pod b/c"}, nil},
		"Never":       {"What nobody could look at before cannot be compared.", list(change("Pod b/c", "")), list(change("Pod b/c", "y")), nil, nil, nil, nil},
		"Misfit":      {"It could be shown and no longer can, although it is there: it has changed.", list(change("Pod b/c", "x")), list(change("Pod b/c", "")), nil, []string{changed}, nil, nil},
		"UnreadOther": {"Another one has no part in it.", list(change("Pod b/c", "x")), list(change("Pod b/c", "y")), []string{"Pod b/d"}, []string{changed}, nil, nil},
		"Keyed":       {"It is another one, by the same key.", list(change("Pod b/c", "keyed-a:x")), list(change("Pod b/c", "keyed-a:y")), nil, []string{changed}, nil, nil},
		"Rekeyed": {"By another key nobody can tell.", list(change("Pod b/c", "keyed-a:x")), list(change("Pod b/c", "keyed-b:x")), nil, nil, nil,
			unknown},
		"KeyedGone":  {"What is gone is gone, whatever the key.", list(change("Pod b/c", "keyed-a:x")), list(change("Pod b/c", absent)), nil, []string{changed}, nil, nil},
		"KeyedThere": {"What is there now was not.", list(change("Pod b/c", absent)), list(change("Pod b/c", "keyed-a:x")), nil, []string{changed}, nil, nil},
		"Unkeyed":    {"It was noted by a version that took no key.", list(change("Pod b/c", "sha256:x")), list(change("Pod b/c", "keyed-a:x")), nil, nil, nil, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			got := drift(tc.shown, &preparation{changes: tc.now, unread: tc.unread})
			if diff := cmp.Diff(compared{tc.lines, tc.away, tc.rekeyed}, got, cmp.AllowUnexported(compared{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestUnreadBeyondThePlan: of what has no room in the plan one that nobody can read now is not drift either.
func TestUnreadBeyondThePlan(t *testing.T) {
	many := func(unread ...string) []v1alpha1.PlannedChange {
		var all []v1alpha1.PlannedChange
		for i := range plan.MaxChanges + 3 {
			all = append(all, v1alpha1.PlannedChange{Object: fmt.Sprintf("Pod b/%d", i), Basis: fmt.Sprint(i)})
		}
		return plan.Stored(all, unread)
	}
	const last = "Pod b/66"
	shown, now := many(), &preparation{changes: many(last), unread: []string{last}}
	if got := drift(shown, now); len(got.drifted) != 0 || len(got.unread) != 1 {
		t.Errorf("got %+v", got)
	}
	if got := drift(shown, &preparation{changes: many()}); len(got.drifted)+len(got.unread) != 0 {
		t.Errorf("got %+v", got)
	}
}

// TestRekeyedBeyondThePlan: of what has no room in the plan nobody can tell either, by another key.
func TestRekeyedBeyondThePlan(t *testing.T) {
	many := func(key, last string) []v1alpha1.PlannedChange {
		var all []v1alpha1.PlannedChange
		for i := range plan.MaxChanges + 3 {
			all = append(all, v1alpha1.PlannedChange{Object: fmt.Sprintf("Pod b/%d", i), Basis: fmt.Sprintf("keyed-%s:%d", key, i)})
		}
		all[len(all)-1].Basis = "keyed-" + key + ":" + last
		return plan.Stored(all, nil)
	}
	if got := drift(many("a", "x"), &preparation{changes: many("b", "x")}); len(got.drifted) != 0 || len(got.rekeyed) != plan.MaxChanges {
		t.Errorf("%d have drifted, and of %d nobody can tell", len(got.drifted), len(got.rekeyed))
	}
	if got := drift(many("a", "x"), &preparation{changes: many("a", "y")}); len(got.drifted) != 1 || len(got.rekeyed) != 0 {
		t.Errorf("%d have drifted, and of %d nobody can tell", len(got.drifted), len(got.rekeyed))
	}
}

// TestUnmergeableDrifts: where nobody can tell what a write makes of an object, the whole object is what people saw.
func TestUnmergeableDrifts(t *testing.T) {
	write := v1alpha1.RenderedWrite{Operation: v1alpha1.WriteStrategicPatch, Object: v1alpha1.ObjectReference{APIVersion: "example.com/v1", Kind: "Thing", Namespace: "b", Name: "c"}}
	write.Body.Raw = []byte(`{"spec":{"size":2}}`)
	shown := func(version string, generation int64, keyed func([]byte) string) []v1alpha1.PlannedChange {
		object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"size": int64(1)}}}
		object.SetUID("u")
		object.SetResourceVersion(version)
		object.SetGeneration(generation)
		return plan.Describe([]v1alpha1.RenderedStep{{Name: "s", Writes: []v1alpha1.RenderedWrite{write}}},
			plan.View{Keyed: keyed, Live: func(v1alpha1.ObjectReference) plan.Found { return plan.Found{Object: object} }})
	}
	for name, keyed := range map[string]func([]byte) string{"Keyed": func(what []byte) string { return "keyed-a:" + string(what) }, "Unkeyed": nil} {
		t.Run(name, func(t *testing.T) {
			before := shown("5", 1, keyed)
			if text := strings.Join(before[0].Fields, "\n"); !strings.Contains(text, "cannot be shown") {
				t.Fatalf("it can be merged: %q", text)
			}
			if got := drift(before, &preparation{changes: shown("6", 1, keyed)}); len(got.drifted)+len(got.rekeyed)+len(got.unread) > 0 {
				t.Errorf("its status does not count: %+v", got)
			}
			if got := drift(before, &preparation{changes: shown("7", 2, keyed)}); len(got.drifted) != 1 || !strings.HasPrefix(got.drifted[0], "Thing b/c is no longer as it was") {
				t.Errorf("somebody has changed it: %+v", got)
			}
			if got := drift(shown("5", 0, keyed), &preparation{changes: shown("6", 0, keyed)}); len(got.drifted) != 1 {
				t.Errorf("it has no generation, so its version counts: %+v", got)
			}
		})
	}
}
