package schema

import (
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// mutable are, per kind, the only properties of spec that may ever change; the transitions of the kind say how.
func mutable() map[string][]string {
	return map[string][]string{
		"actionrequest": {"cancellation", "resolution", "resolutions"},
		"approval":      {"vote", "votes"},
		"record":        {},
	}
}

// TestSpecNeverChanges walks the schema of spec and tries, for each property at every depth, to change it, to remove it, and to
// add it where it was absent. The cases are made from the schema, so a property that is added later without a rule fails.
func TestSpecNeverChanges(t *testing.T) {
	t.Parallel()
	for kind, allowed := range mutable() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			good, other := sample(t, kind), sample(t, kind+"-other")
			spec := loadSchema(t, kind).Properties["spec"]
			for _, name := range sortedKeys(spec.Properties) {
				inBoth := get(good.Object, "spec", name) != nil && get(other.Object, "spec", name) != nil
				if !inBoth && !slices.Contains(allowed, name) {
					t.Errorf("the samples do not both set spec.%s: set it, with another value in each, and give it a rule", name)
				}
			}
			stored := created(t, good)
			for _, p := range places(node{path: "spec", schema: &spec}, good.Object["spec"]) {
				if len(p.at) > 0 && !slices.Contains(allowed, as[string](p.at[0])) {
					p.at = append([]any{"spec"}, p.at...)
					neverChanges(t, p, stored, other)
				}
			}
		})
	}
}

// neverChanges tries to change, remove and add one property.
func neverChanges(t *testing.T, p place, stored, other *unstructured.Unstructured) {
	t.Helper()
	if value := get(other.Object, p.at...); value != nil {
		t.Run(p.String()+"/change", func(t *testing.T) {
			t.Parallel()
			wantUnchanged(t, p, tryUpdate(t, stored, p.at, value))
		})
	}
	if _, element := p.at[len(p.at)-1].(int); element {
		return // Its list is tried as a whole.
	}
	t.Run(p.String()+"/remove", func(t *testing.T) {
		t.Parallel()
		wantUnchanged(t, p, tryUpdate(t, stored, p.at, nil))
	})
	t.Run(p.String()+"/add", func(t *testing.T) {
		t.Parallel()
		bare := stored.DeepCopy()
		bare.SetResourceVersion("")
		set(bare.Object, p.at, nil)
		if err := tryCreate(t, bare); err != nil {
			wantUnchanged(t, p, err) // What is required is never absent, so it cannot be added.
			return
		}
		wantUnchanged(t, p, tryUpdate(t, created(t, bare), p.at, p.value))
	})
}

// wantUnchanged demands a refusal by the rule of the property, or, before that, by the schema of the value itself.
func wantUnchanged(t *testing.T, p place, err error) {
	t.Helper()
	if !apierrors.IsInvalid(err) {
		t.Fatalf("want %s to be refused with status 422, got: %v", p, err)
	}
	property := as[string](p.at[1])
	parts := []string{property + " cannot change", "a claim never changes", p.String() + ": Required"}
	if len(p.at) > 2 {
		parts = append(parts, place{at: p.at[:len(p.at)-1]}.String()+": Invalid value")
	}
	for _, part := range parts {
		if strings.Contains(err.Error(), part) {
			return
		}
	}
	t.Errorf("want a refusal because %s cannot change, got: %v", property, err)
}

func tryUpdate(t *testing.T, stored *unstructured.Unstructured, at []any, value any) error {
	t.Helper()
	object := stored.DeepCopy()
	set(object.Object, at, runtime.DeepCopyJSONValue(value))
	return server.admin.Update(t.Context(), object, client.DryRunAll)
}
