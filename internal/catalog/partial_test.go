package catalog

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestPartialMatches: who publishes a rule that holds for more names than it says is told by which.
func TestPartialMatches(t *testing.T) {
	policy, errs := CompilePolicy(&v1alpha1.ActionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "names"},
		Spec: v1alpha1.ActionPolicySpec{Rules: []v1alpha1.PolicyRule{
			{Name: "partly", Effect: v1alpha1.PolicyDeny, When: "request.namespace.matches('prod')"},
			{Name: "always", Effect: v1alpha1.PolicyDeny},
			{Name: "whole", Effect: v1alpha1.PolicyDeny, When: "request.namespace.matches('^prod$')"},
		}},
	})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	want := []string{`rule "partly": matches('prod') also holds where only a part of the text is so. Write ^(prod)$ for all of it, or .* at the ends`}
	if diff := cmp.Diff(want, PartialMatches(policy.Rules)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}
