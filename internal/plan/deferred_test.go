package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestDeferred says what nobody can know yet, before everything else about the object.
func TestDeferred(t *testing.T) {
	w := write(t, v1alpha1.WriteMergePatch, checkout, `{spec: {replicas: "${steps.count.outputs.n}"}, metadata: {annotations: {a: b}}}`)
	w.Late = []v1alpha1.LateValue{{Path: "/spec/replicas"}, {Path: "/spec/template/spec/containers/0/image"}}
	live := parse(t, checkout)
	got := Describe([]v1alpha1.RenderedStep{{Name: "s", When: "object.spec.replicas > 1", Writes: []v1alpha1.RenderedWrite{w}}},
		View{Live: func(v1alpha1.ObjectReference) Found { return Found{Object: live} }})
	want := []string{
		`only when it holds then: "object.spec.replicas > 1"`,
		"Deferred: known once earlier steps have run: spec.replicas, spec.template.spec.containers[0].image",
		"metadata.annotations.a: (new) b",
		"spec.replicas: 3 → \"${steps.count.outputs.n}\"",
	}
	if diff := cmp.Diff(want, got[0].Fields); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
