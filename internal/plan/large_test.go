package plan

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestLargeObjectsAreNotFollowed: what would take minutes to compare is shown as it is sent, and compared by its version.
func TestLargeObjectsAreNotFollowed(t *testing.T) {
	object := func(size int, version string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"namespace": "a", "name": "b", "resourceVersion": version, "uid": "u"},
			"data": map[string]any{"large": strings.Repeat("a", size), "mode": "old"},
		}}
	}
	operations := make([]string, 64)
	for i := range operations {
		operations[i] = fmt.Sprintf(`{"op":"add","path":"/data/k%d","value":"v"}`, i)
	}
	write := v1alpha1.RenderedWrite{Operation: v1alpha1.WriteJSONPatch, Object: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: "a", Name: "b"}}
	write.Body.Raw = []byte("[" + strings.Join(operations, ",") + "]")
	steps := []v1alpha1.RenderedStep{{Name: "s", Writes: []v1alpha1.RenderedWrite{write}}}
	describe := func(size int, version string) v1alpha1.PlannedChange {
		return Describe(steps, View{
			Keyed: func([]byte) string { return "keyed" },
			Live:  func(v1alpha1.ObjectReference) Found { return Found{Object: object(size, version)} },
		})[0]
	}
	const words = "cannot be compared with what is there, which is too large together with what else is written"
	small, large, later := describe(1000, "1"), describe(1_000_000, "1"), describe(1_000_000, "2")
	if strings.Contains(strings.Join(small.Fields, "\n"), words) {
		t.Errorf("a small one is compared: %q", small.Fields)
	}
	if text := strings.Join(large.Fields, "\n"); !strings.Contains(text, words) || !strings.Contains(text, "/data/k0") {
		t.Errorf("a large one is not, and people read what is sent: %.2000q", text)
	}
	if large.Basis == "" || large.Basis == later.Basis || large.Basis == small.Basis {
		t.Errorf("its version tells whether it has drifted: %q %q %q", small.Basis, large.Basis, later.Basis)
	}
}
