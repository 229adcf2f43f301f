package steps

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"

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
			{name: a, delete: {target: {apiVersion: v1, kind: ConfigMap, namespace: x, name: made}}}]`, "", `step "b" makes`},
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

// TestDeleteWhatIsApplied deletes what a step before applies. Whoever agrees must know which object it is.
func TestDeleteWhatIsApplied(t *testing.T) {
	const (
		applies = `{name: NAME, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: "${inputs.namespace}", name: a}}]}}`
		deletes = `{name: NAME, delete: {target: {apiVersion: v1, kind: ConfigMap, namespace: "${inputs.namespace}", name: a}}}`
	)
	ref := v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: "production", Name: "a"}
	for name, tc := range map[string]struct {
		reason, steps string
		there         bool
		refused       string
		warned        bool
	}{
		"There":    {"it is the one that people see", "apply delete", true, "", true},
		"Absent":   {"it has no uid yet", "apply delete", false, `step "s0" makes`, true},
		"Replaced": {"the one that is made has another uid", "delete apply delete", true, `step "s1" makes`, true},
		"Twice":    {"there is nothing left to delete", "apply delete delete", true, "", true},
		"Other":    {"what is deleted first is another matter", "delete apply", true, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			var list []string
			for i, kind := range strings.Fields(tc.steps) {
				list = append(list, strings.ReplaceAll(map[string]string{"apply": applies, "delete": deletes}[kind], "NAME", fmt.Sprintf("s%d", i)))
			}
			s, in := mustCompile(t, "["+strings.Join(list, ",")+"]"), input(nil)
			if tc.there {
				in.Objects = existing(ref, "u-1")
			}
			_, err := s.Render(t.Context(), in)
			if tc.refused == "" && err != nil || tc.refused != "" && (err == nil || !strings.Contains(err.Error(), tc.refused)) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.refused)
			}
			if warnings := strings.Join(s.Warnings(), "\n"); strings.Contains(warnings, "applies the same object") != tc.warned {
				t.Errorf("%s: the author of the Action is told: %s", tc.reason, warnings)
			}
		})
	}
	exec := &v1alpha1.Execution{ServiceAccountName: "deployer", Timeout: "30m",
		Steps:   *decode[[]v1alpha1.Step](t, "["+strings.ReplaceAll(applies, "NAME", "make")+"]"),
		Finally: *decode[[]v1alpha1.Step](t, "["+strings.ReplaceAll(deletes, "NAME", "end")+"]")}
	s, errs := Compile(exec, nil, compiler(t), field.NewPath("spec", "execution"))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	want := []string{`spec.execution.finally[0].delete: step "make" applies the same object: where that does not exist yet when somebody asks, nobody can agree to its deletion, and nothing is executed`}
	if diff := cmp.Diff(want, s.Warnings()); diff != "" {
		t.Errorf("at the end it is the same: -want +got:\n%s", diff)
	}
}
