package actionrequest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestBind is about which writes go to one object and no other.
func TestBind(t *testing.T) {
	ref := func(namespace, name string) v1alpha1.ObjectReference {
		return v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: namespace, Name: name}
	}
	step := func(operation v1alpha1.WriteOperation, object v1alpha1.ObjectReference) v1alpha1.RenderedStep {
		return v1alpha1.RenderedStep{Writes: []v1alpha1.RenderedWrite{{Operation: operation, Object: object}}}
	}
	uids := map[v1alpha1.ObjectReference]types.UID{ref("a", "c"): "u", ref("b", "c"): "v", {APIVersion: "v1", Kind: "Namespace", Name: "b"}: "n"}
	for name, tc := range map[string]struct {
		reason string
		steps  []v1alpha1.RenderedStep
		want   []types.UID
	}{
		"There":      {"what was there is meant", []v1alpha1.RenderedStep{step(v1alpha1.WriteJSONPatch, ref("a", "c")), step(v1alpha1.WriteApply, ref("a", "c"))}, []types.UID{"u", "u"}},
		"New":        {"what was not there has no uid", []v1alpha1.RenderedStep{step(v1alpha1.WriteApply, ref("a", "new"))}, []types.UID{""}},
		"Deleted":    {"what is deleted is made anew", []v1alpha1.RenderedStep{step(v1alpha1.WriteDelete, ref("a", "c")), step(v1alpha1.WriteApply, ref("a", "c"))}, []types.UID{"", ""}},
		"Namespace":  {"and so is what goes with its namespace", []v1alpha1.RenderedStep{step(v1alpha1.WriteDelete, v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: "b"}), step(v1alpha1.WriteApply, ref("b", "c"))}, []types.UID{"", ""}},
		"CreatesJob": {"a Job is new", []v1alpha1.RenderedStep{step(v1alpha1.WriteCreateJob, ref("a", "c"))}, []types.UID{""}},
	} {
		t.Run(name, func(t *testing.T) {
			bind(tc.steps, uids)
			var got []types.UID
			for _, s := range tc.steps {
				got = append(got, s.Writes[0].UID)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
