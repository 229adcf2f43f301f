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

// TestAfterACondition: what a later step finds depends on whether an earlier one has run, and whoever agrees must know it.
func TestAfterACondition(t *testing.T) {
	live := parse(t, checkout)
	scale := func(name, when, replicas string) v1alpha1.RenderedStep {
		return v1alpha1.RenderedStep{Name: name, When: when, Writes: []v1alpha1.RenderedWrite{write(t, v1alpha1.WriteMergePatch, checkout, `{spec: {replicas: `+replicas+`}}`)}}
	}
	got := Describe([]v1alpha1.RenderedStep{scale("a", "", "4"), scale("b", "inputs.big", "5"), scale("c", "inputs.huge", "6"), scale("d", "", "7")},
		View{Live: func(v1alpha1.ObjectReference) Found { return Found{Object: live} }})
	want := [][]string{
		{"spec.replicas: 3 → 4"},
		{"only when it holds then: \"inputs.big\"", "spec.replicas: 4 → 5"},
		{"only when it holds then: \"inputs.huge\"", "compared with what is there if these steps have run, which may be skipped: b", "spec.replicas: 5 → 6"},
		{"compared with what is there if these steps have run, which may be skipped: b, c", "spec.replicas: 6 → 7"},
	}
	for i := range got {
		if diff := cmp.Diff(want[i], got[i].Fields); diff != "" {
			t.Errorf("step %s (-want +got):\n%s", got[i].Step, diff)
		}
	}
}
