package kinds

import (
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestHolds: an object goes with its namespace, and is the same in every version of its API.
func TestHolds(t *testing.T) {
	ref := func(apiVersion, kind, namespace, name string) *v1alpha1.ObjectReference {
		return &v1alpha1.ObjectReference{APIVersion: apiVersion, Kind: kind, Namespace: namespace, Name: name}
	}
	scaler := ref("autoscaling/v2", "HorizontalPodAutoscaler", "a", "b")
	for name, tc := range map[string]struct {
		ref, other *v1alpha1.ObjectReference
		want       bool
	}{
		"Version":        {ref("autoscaling/v1", "HorizontalPodAutoscaler", "a", "b"), scaler, true},
		"Group":          {ref("example.com/v2", "HorizontalPodAutoscaler", "a", "b"), scaler, false},
		"Name":           {ref("autoscaling/v2", "HorizontalPodAutoscaler", "a", "c"), scaler, false},
		"Namespace":      {ref("v1", "Namespace", "", "a"), scaler, true},
		"OtherNamespace": {ref("v1", "Namespace", "", "b"), scaler, false},
		"OtherGroup":     {ref("example.com/v1", "Namespace", "", "a"), scaler, false},
		"Outside":        {scaler, ref("v1", "Namespace", "", "a"), false},
		"NoNamespace":    {ref("v1", "Namespace", "", "a"), ref("v1", "Node", "", "a"), false},
	} {
		if got := PlaceOf(tc.ref).Holds(PlaceOf(tc.other)); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
