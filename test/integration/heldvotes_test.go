package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestVotesWhileDenied: votes are collected while a later Deny holds the request, and its status and that of the Approval show them.
func TestVotesWhileDenied(t *testing.T) {
	asked := ask(t, users.Alice, request("two-stages", `{}`))
	open := approvalsOf(t, asked, 1)[0]
	policy := &v1alpha1.ActionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "hold-" + asked.Name},
		Spec: v1alpha1.ActionPolicySpec{Rules: []v1alpha1.PolicyRule{{
			Name: "later", Effect: v1alpha1.PolicyDeny, When: fmt.Sprintf("request.name == '%s'", asked.Name), Message: "not now",
		}}},
	}
	if err := admin(t).Create(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin(t).Delete(context.Background(), policy); err != nil {
			t.Error(err)
		}
	})
	reaches(t, asked, v1alpha1.PhaseHeld)
	shows := func(what, waitingFor, decided, condition string) {
		t.Helper()
		eventually(t, what, func() (bool, string) {
			approval, live := &v1alpha1.Approval{}, &v1alpha1.ActionRequest{}
			if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(&open), approval); err != nil {
				return false, err.Error()
			}
			if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(asked), live); err != nil {
				return false, err.Error()
			}
			approved := meta.FindStatusCondition(live.Status.Conditions, v1alpha1.ConditionApproved)
			saw := fmt.Sprintf("%s: %q %q, %s: %+v", approval.Status.State, approval.Status.WaitingFor, approval.Status.Decided, live.Status.Phase, approved)
			return approval.Status.State == v1alpha1.ApprovalOpen && approval.Status.WaitingFor == waitingFor &&
				strings.Contains(strings.Join(approval.Status.Decided, " "), decided) &&
				approved != nil && strings.Contains(approved.Message, condition) && live.Status.Phase == v1alpha1.PhaseHeld, saw
		})
	}
	if err := vote(t, users.Bob, &open, v1alpha1.DecisionApprove, ""); err != nil {
		t.Fatal(err)
	}
	shows("the progress after one vote", "1 of payments", "approved by bob", "Stage owners: 1 of payments more")
	if err := vote(t, users.Carol, &open, v1alpha1.DecisionApprove, ""); err != nil {
		t.Fatal(err)
	}
	shows("the progress after all votes", "", "approved by carol", "Stage owners: everybody agreed who is needed")
}

// TestDenialWithoutMessage: where the author of a rule wrote no message, the table says which rule it is and what it read.
func TestDenialWithoutMessage(t *testing.T) {
	asked := reaches(t, ask(t, users.Alice, request("two-stages", `{}`)), v1alpha1.PhaseAwaitingApproval)
	policyFor(t, "silent", fmt.Sprintf(`{rules: [{name: wordless, when: "request.name == '%s'", effect: Deny}]}`, asked.Name))
	held := reaches(t, asked, v1alpha1.PhaseHeld)
	if want := fmt.Sprintf("rule policy/silent/wordless: request.name is %q", asked.Name); held.Status.WaitingFor != want {
		t.Errorf("waitingFor: want %q, got %q", want, held.Status.WaitingFor)
	}
}
