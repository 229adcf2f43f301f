package actionrequest

import (
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestMayFill: a Secret that lacks a key keeps nobody from asking people, where an earlier step may write it.
func TestMayFill(t *testing.T) {
	secret := v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Secret", Namespace: "platform", Name: "token"}
	other := secret
	other.Name = "other"
	writes := func(operation v1alpha1.WriteOperation, ref v1alpha1.ObjectReference) []v1alpha1.RenderedStep {
		return []v1alpha1.RenderedStep{{Name: "a"}, {Name: "b", Writes: []v1alpha1.RenderedWrite{{Operation: operation, Object: ref}}}}
	}
	for name, tc := range map[string]struct {
		reason  string
		earlier []v1alpha1.RenderedStep
		want    bool
	}{
		"First":  {"nothing comes before", nil, false},
		"Writes": {"it is written before", writes(v1alpha1.WriteMergePatch, secret), true},
		"Other":  {"another one is written", writes(v1alpha1.WriteApply, other), false},
		"Job":    {"a Job can write anything", writes(v1alpha1.WriteCreateJob, v1alpha1.ObjectReference{APIVersion: "batch/v1", Kind: "Job", Namespace: "a", Name: "b"}), true},
		"Call":   {"so can whoever is called", []v1alpha1.RenderedStep{{Name: "a", HTTP: &v1alpha1.RenderedHTTP{}}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mayFill(tc.earlier, &secret); got != tc.want {
				t.Errorf("%s: got %t", tc.reason, got)
			}
		})
	}
}
