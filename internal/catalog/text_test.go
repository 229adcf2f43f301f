package catalog

import (
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestTextsShowWhatTheyHold: names and messages end up in what other people read, and decide by.
func TestTextsShowWhatTheyHold(t *testing.T) {
	role := &v1alpha1.Role{Spec: v1alpha1.RoleSpec{
		Members: v1alpha1.Subjects{Users: []string{"bob\nWho can: eve"}, Groups: []string{"sre\u202e"}},
		Permissions: []v1alpha1.Permission{{
			Verbs: []v1alpha1.Verb{v1alpha1.VerbRequest}, Actions: v1alpha1.ActionSelector{Names: []string{"*"}}, Message: "no\x1b[2J",
		}},
	}}
	_, errs := CompileRole(role)
	check(t, "A Role.", errs, map[string]string{
		"spec.members.users[0]": "do not show", "spec.members.groups[0]": "do not show", "spec.permissions[0].message": "do not show",
	})
	object := &v1alpha1.Action{}
	parse(t, action, object)
	object.Spec.Rules[0].Message = "frozen\u200b"
	object.Spec.Default = &v1alpha1.DefaultRule{Effect: v1alpha1.EffectDeny, Message: "two\nlines"}
	_, errs = CompileAction(object)
	check(t, "An Action. Lines may end.", errs, map[string]string{"spec.rules[0].message": "do not show"})
	policy := &v1alpha1.ActionPolicy{Spec: v1alpha1.ActionPolicySpec{Rules: []v1alpha1.PolicyRule{{Name: "r", Effect: v1alpha1.PolicyDeny, Message: "\u2066"}}}}
	_, errs = CompilePolicy(policy)
	check(t, "A policy.", errs, map[string]string{"spec.rules[0].message": "do not show"})
	check(t, "A name that a fact gives.", CheckApprover(ApproverUsers, "bob\u202e", field.NewPath("users")), map[string]string{"users": "do not show"})
}
