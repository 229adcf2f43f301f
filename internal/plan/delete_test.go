package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func TestDelete(t *testing.T) {
	const object = "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: production, name: limits}}"
	held := Found{Object: parse(t, `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: production, name: limits, finalizers: [b.example.com/x, a.example.com/x], deletionTimestamp: "2026-01-01T00:00:00Z"}}`)}
	hidden := held
	hidden.Hidden = true
	for name, tc := range map[string]struct {
		reason, object, options string
		found                   Found
		want                    []string
	}{
		"Absent": {"nothing will be done", object, `{}`, Found{}, []string{"does not exist now: there is nothing to delete"}},
		"Held": {"why it may take long", object, `{preconditions: {uid: u}, propagationPolicy: Background}`, held,
			[]string{"deletes it, and then what it owns", "somebody is deleting it already", "waits for those who hold it back: a.example.com/x,b.example.com/x"}},
		"Hidden": {"the requester may not read it", object, `{preconditions: {uid: u}, propagationPolicy: Orphan}`, hidden, []string{"deletes it, and leaves what it owns"}},
		"Namespace": {"people must see how much that is", "{apiVersion: v1, kind: Namespace, metadata: {name: old}}", `{preconditions: {uid: u}, propagationPolicy: Foreground}`, Found{},
			[]string{"deletes it, after what it owns", "with everything that is in the namespace"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := write(t, v1alpha1.WriteDelete, tc.object, tc.options)
			got := Describe([]v1alpha1.RenderedStep{{Name: "s", Writes: []v1alpha1.RenderedWrite{w}}}, View{Live: func(v1alpha1.ObjectReference) Found { return tc.found }})
			if diff := cmp.Diff(tc.want, got[0].Fields); diff != "" || got[0].Operation != "delete" {
				t.Errorf("%s: %s, -want +got:\n%s", tc.reason, got[0].Operation, diff)
			}
		})
	}
}

// TestDeleteThenApply compares a later write with what the deletion leaves: nothing.
func TestDeleteThenApply(t *testing.T) {
	const object = "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: production, name: limits}}"
	live := parse(t, `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: production, name: limits}, data: {a: b}}`)
	got := Describe([]v1alpha1.RenderedStep{{Name: "s", Writes: []v1alpha1.RenderedWrite{
		write(t, v1alpha1.WriteDelete, object, `{preconditions: {uid: u}, propagationPolicy: Background}`),
		write(t, v1alpha1.WriteApply, object, `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: production, name: limits}, data: {a: c}}`),
	}}}, View{Live: func(v1alpha1.ObjectReference) Found {
		return Found{Object: (&unstructured.Unstructured{Object: live.Object}).DeepCopy()}
	}})
	if diff := cmp.Diff([]string{"creates it", "data.a: (new) c"}, got[1].Fields); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
