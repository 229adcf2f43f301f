package steps

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// existing is an object with a uid that a step deletes.
func existing(ref v1alpha1.ObjectReference, uid string) map[v1alpha1.ObjectReference]*unstructured.Unstructured {
	return map[v1alpha1.ObjectReference]*unstructured.Unstructured{ref: {Object: map[string]any{"metadata": map[string]any{"uid": uid}}}}
}

func TestRenderDelete(t *testing.T) {
	checkout := v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "production", Name: "checkout"}
	for name, tc := range map[string]struct {
		reason, steps string
		objects       map[v1alpha1.ObjectReference]*unstructured.Unstructured
		object        v1alpha1.ObjectReference
		body          string
	}{
		"Target": {"without a target it is the Action's, by its uid", `[{name: a, delete: {}}]`, existing(checkout, "u-1"), checkout,
			`{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"u-1"},"propagationPolicy":"Background"}`},
		"Absent": {"there is nothing to delete, and nothing will be", `[{name: a, delete: {}}]`, nil, checkout,
			`{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"}`},
		"Propagation": {"what it owns goes first", `[{name: a, delete: {propagation: Foreground, target: {apiVersion: v1, kind: Namespace, name: "${inputs.name}"}}}]`,
			existing(v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: "checkout"}, "u-2"),
			v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: "checkout"},
			`{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"u-2"},"propagationPolicy":"Foreground"}`},
	} {
		t.Run(name, func(t *testing.T) {
			s, in := mustCompile(t, tc.steps), input(nil)
			in.Objects = tc.objects
			got, err := renderOne(t, s, in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]any{v1alpha1.WriteDelete, tc.object, tc.body}, []any{got.Operation, got.Object, string(got.Body.Raw)}); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
			refs, err := s.Deleted(t.Context(), in)
			if diff := cmp.Diff([]v1alpha1.ObjectReference{tc.object}, refs); diff != "" || err != nil {
				t.Errorf("what is deleted: %v, -want +got:\n%s", err, diff)
			}
			touched, err := s.Touched(t.Context(), in)
			if err != nil || len(touched) != 1 || touched[0].Operation != OperationDelete || touched[0].Object != tc.object {
				t.Errorf("what is touched: %v, %+v", err, touched)
			}
		})
	}
}

func TestDeleteRefused(t *testing.T) {
	const namespace = `[{name: a, delete: {target: {apiVersion: v1, kind: Namespace, name: "${inputs.text}"}}}]`
	for name, tc := range map[string]struct{ reason, steps, text, want string }{
		"Own":      {"the request would vanish before it could say how it ended", namespace, "payments", "may not delete a namespace that it needs itself"},
		"Operator": {"nothing would bring it to its end", namespace, "signoff-system", "may not delete a namespace that it needs itself"},
		"Catalog":  {"the ServiceAccount that executes is there", namespace, "platform", "may not delete a namespace that it needs itself"},
		"Definition": {"the kinds of Signoff are needed too", `[{name: a, delete: {target: {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, name: "${inputs.text}"}}}]`,
			"actions.signoff.dev", "may not write the definitions"},
		"Made": {"nobody could agree to what has no uid yet", `[{name: b, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: x, name: made}}]}},
			{name: a, delete: {target: {apiVersion: v1, kind: ConfigMap, namespace: x, name: made}}}]`, "", `step "b" applies`},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(map[string]any{"text": tc.text})
			in.Needed = []string{"payments", "signoff-system"}
			if _, err := mustCompile(t, tc.steps).Render(t.Context(), in); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
	in := input(map[string]any{"text": "other"})
	in.Needed = []string{"payments"}
	if s := mustCompile(t, namespace); !s.DeletesNamespaces() {
		t.Error("a step that deletes a Namespace does not say so")
	} else if _, err := s.Render(t.Context(), in); err != nil {
		t.Errorf("another namespace may be deleted: %v", err)
	}
}
