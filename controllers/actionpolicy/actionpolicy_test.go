package actionpolicy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestStatus(t *testing.T) {
	inForce := metav1.Condition{Status: "True", Reason: "Ready", Message: "in force"}
	stages := []v1alpha1.Stage{{Name: "security", Approvers: &v1alpha1.Approvers{Groups: []string{"security"}}}}
	ask := v1alpha1.PolicyRule{Name: "ask", Effect: v1alpha1.PolicyRequireApproval, Stages: []string{"security"}}
	hold := v1alpha1.PolicyRule{Name: "hold", Effect: v1alpha1.PolicyHold, During: &v1alpha1.During{Calendar: "nights"}}
	deny := v1alpha1.PolicyRule{Name: "deny", Effect: v1alpha1.PolicyDeny}
	for name, tc := range map[string]struct {
		reason string
		rules  []v1alpha1.PolicyRule
		effect string
		ready  metav1.Condition
	}{
		"Ask":  {"One rule gives its effect.", []v1alpha1.PolicyRule{ask}, "RequireApproval", inForce},
		"Hold": {"A Hold is stronger than a demand for approval, in any order.", []v1alpha1.PolicyRule{hold, ask}, "Hold", inForce},
		"Deny": {"A Deny is the strongest.", []v1alpha1.PolicyRule{ask, deny, hold}, "Deny", inForce},
		"Invalid": {
			reason: "A policy that does not compile stops what it is about, and must say so.",
			rules:  []v1alpha1.PolicyRule{ask, {Name: "typo", Effect: v1alpha1.PolicyDeny, When: "requster.username == 'eve'"}},
			effect: "Deny",
			ready: metav1.Condition{
				Status: "False", Reason: "Invalid",
				Message: "Requests that this policy is about are refused or wait, because nobody can tell what it demands: " +
					`spec.rules[1].when: Invalid value: "requster.username == 'eve'": line 1, column 1: undefined variable 'requster' (did you mean "requester"?)`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			policy := &v1alpha1.ActionPolicy{
				ObjectMeta: metav1.ObjectMeta{Name: "freeze", Generation: 5},
				Spec:       v1alpha1.ActionPolicySpec{Rules: tc.rules, Stages: stages},
			}
			tc.ready.Type, tc.ready.ObservedGeneration, tc.ready.LastTransitionTime = "Ready", 5, metav1.NewTime(noon)
			want := v1alpha1.ActionPolicyStatus{ObservedGeneration: 5, Effect: tc.effect, Conditions: []metav1.Condition{tc.ready}}
			if diff := cmp.Diff(want, Status(policy, noon)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}
