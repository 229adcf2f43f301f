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
	if diff := cmp.Diff(want, policy.PartialMatches()); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// TestPartialMatchesElsewhere: conditions of Roles and expressions for approvers decide as well.
func TestPartialMatchesElsewhere(t *testing.T) {
	role, errs := CompileRole(&v1alpha1.Role{Spec: v1alpha1.RoleSpec{
		Members: v1alpha1.Subjects{Users: []string{"alice"}},
		Permissions: []v1alpha1.Permission{
			{Verbs: []v1alpha1.Verb{v1alpha1.VerbRequest}, Actions: v1alpha1.ActionSelector{Names: []string{"a"}}},
			{Verbs: []v1alpha1.Verb{v1alpha1.VerbRequest}, Actions: v1alpha1.ActionSelector{Names: []string{"b"}}, When: "request.namespace.matches('prod')"},
		},
	}})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	const advice = "matches('prod') also holds where only a part of the text is so. Write ^(prod)$ for all of it, or .* at the ends"
	if diff := cmp.Diff([]string{"permissions[1]: " + advice}, role.PartialMatches()); diff != "" {
		t.Errorf("of a Role (-want +got):\n%s", diff)
	}
	approvers := v1alpha1.Approvers{Expression: "request.namespace.matches('prod') ? ['bob'] : ['carol']"}
	policy, errs := CompilePolicy(&v1alpha1.ActionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "names"},
		Spec: v1alpha1.ActionPolicySpec{
			Rules:  []v1alpha1.PolicyRule{{Name: "asks", Effect: v1alpha1.PolicyRequireApproval, Stages: []string{"s"}}},
			Stages: []v1alpha1.Stage{{Name: "s", Approvers: &approvers}},
		},
	})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if diff := cmp.Diff([]string{`approvers of stage "s": ` + advice}, policy.PartialMatches()); diff != "" {
		t.Errorf("of approvers (-want +got):\n%s", diff)
	}
}
