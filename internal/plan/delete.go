package plan

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// owned says what becomes of what the object owns.
var owned = map[v1alpha1.Propagation]string{
	v1alpha1.PropagationBackground: "deletes it, and then what it owns",
	v1alpha1.PropagationForeground: "deletes it, after what it owns",
	v1alpha1.PropagationOrphan:     "deletes it, and leaves what it owns",
}

// deleteFields describes a deletion: that it happens, and what it takes along or waits for.
func (b bounds) deleteFields(ref v1alpha1.ObjectReference, options map[string]any, found Found) []string {
	if uid, _, _ := unstructured.NestedString(options, "preconditions", "uid"); uid == "" {
		return []string{"does not exist now: there is nothing to delete"}
	}
	policy, _ := options["propagationPolicy"].(string)
	lines := []string{owned[v1alpha1.Propagation(policy)]}
	if ref.APIVersion == "v1" && ref.Kind == "Namespace" {
		lines = append(lines, "with everything that is in the namespace")
	}
	live := found.Object
	if live == nil || found.Hidden {
		return lines
	}
	if live.GetDeletionTimestamp() != nil {
		lines = append(lines, "somebody is deleting it already")
	}
	if finalizers := slices.Sorted(slices.Values(live.GetFinalizers())); len(finalizers) > 0 {
		lines = append(lines, cutTo("waits for those who hold it back: "+b.valueText(strings.Join(finalizers, ",")), b.line))
	}
	return lines
}
