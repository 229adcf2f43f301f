package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// someStages applies the Actions of these tests.
func someStages(t *testing.T) {
	t.Helper()
	if err := cluster.ApplyFile(t.Context(), "test/integration/testdata/stages.yaml"); err != nil {
		t.Fatal(err)
	}
}

// openStage asks for an Action and gives its one Approval.
func openStage(t *testing.T, action, inputs string) (*v1alpha1.ActionRequest, *v1alpha1.Approval) {
	t.Helper()
	r := ask(t, users.Alice, request(action, inputs))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	return r, &approvalsOf(t, r, 1)[0]
}

// votes casts a vote that must be accepted.
func votes(t *testing.T, who env.Person, approval *v1alpha1.Approval, decision v1alpha1.Decision, comment string) {
	t.Helper()
	eventually(t, "the vote of "+who.Name, func() (bool, string) {
		err := vote(t, who, approval, decision, comment)
		return err == nil, errText(err)
	})
}

// shows waits until an open Approval tells something.
func shows(t *testing.T, approval *v1alpha1.Approval, words string) {
	t.Helper()
	eventually(t, words, func() (bool, string) {
		live := &v1alpha1.Approval{}
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(approval), live)
		text := live.Status.WaitingFor + "\n" + strings.Join(live.Status.Decided, "\n")
		return err == nil && live.Status.State == v1alpha1.ApprovalOpen && strings.Contains(text, words), text
	})
}

// TestDenialThreshold plays stages that it takes several people to stop.
func TestDenialThreshold(t *testing.T) {
	someStages(t)
	t.Run("TwoDeny", func(t *testing.T) {
		r, approval := openStage(t, "board", `{"board": "three"}`)
		if !slices.Contains(approval.Spec.Summary, "It is denied once 2 different people deny it, or all who are able to.") {
			t.Errorf("the summary must say how many it takes: %q", approval.Spec.Summary)
		}
		votes(t, users.Bob, approval, v1alpha1.DecisionDeny, "")
		shows(t, approval, "denied by bob at")
		votes(t, users.Carol, approval, v1alpha1.DecisionDeny, "too early")
		done := reaches(t, r, v1alpha1.PhaseDenied)
		if want := `Denied by bob and carol in stage board: "too early"`; done.Status.Summary[0] != want {
			t.Errorf("got %q, want %q", done.Status.Summary[0], want)
		}
	})
	t.Run("OneDenies", func(t *testing.T) {
		r, approval := openStage(t, "board", `{"board": "three"}`)
		votes(t, users.Bob, approval, v1alpha1.DecisionDeny, "")
		votes(t, users.Carol, approval, v1alpha1.DecisionApprove, "")
		shows(t, approval, "1 of bob, carol +1")
		votes(t, users.Dave, approval, v1alpha1.DecisionApprove, "")
		reaches(t, r, v1alpha1.PhaseSucceeded)
	})
	t.Run("AsManyAsThereAre", func(t *testing.T) {
		r, approval := openStage(t, "board", `{"board": "two"}`)
		refused(t, vote(t, users.Bob, approval, v1alpha1.DecisionDeny, " "), metav1.StatusReasonInvalid, "spec.vote.comment", "say why")
		votes(t, users.Bob, approval, v1alpha1.DecisionDeny, "no")
		shows(t, approval, "denied by bob at")
		votes(t, users.Carol, approval, v1alpha1.DecisionDeny, "no")
		reaches(t, r, v1alpha1.PhaseDenied)
	})
	t.Run("TogglingLeavesRoom", func(t *testing.T) {
		r, approval := openStage(t, "board", `{"board": "three"}`)
		for i := range 8 {
			votes(t, users.Bob, approval, []v1alpha1.Decision{v1alpha1.DecisionDeny, v1alpha1.DecisionWithdraw}[i%2], "")
		}
		refused(t, vote(t, users.Bob, approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, "too many votes", "A denial is still possible")
		votes(t, users.Bob, approval, v1alpha1.DecisionDeny, "9")
		votes(t, users.Bob, approval, v1alpha1.DecisionDeny, "10")
		refused(t, vote(t, users.Bob, approval, v1alpha1.DecisionDeny, "11"), metav1.StatusReasonForbidden, "too many votes")
		votes(t, users.Carol, approval, v1alpha1.DecisionDeny, "")
		reaches(t, r, v1alpha1.PhaseDenied)
	})
}

// TestApproversFromAFact plays a stage whose approvers an expression takes from a ConfigMap.
func TestApproversFromAFact(t *testing.T) {
	someStages(t)
	r, approval := openStage(t, "computed", `{"service": "checkout"}`)
	if who := approval.Spec.Requirements[0].Approvers; !slices.Equal(who.Users, []string{"bob", "carol"}) || who.Expression != "" {
		t.Errorf("what was computed must stand in the Approval: %+v", who)
	}
	refused(t, vote(t, users.Dave, approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, `you (dave) cannot approve stage "owners"`)
	votes(t, users.Carol, approval, v1alpha1.DecisionApprove, "")
	reaches(t, r, v1alpha1.PhaseSucceeded)
	refused(t, as(t, users.Alice).Create(t.Context(), request("computed", `{"service": "nobodys"}`)), metav1.StatusReasonForbidden,
		"asks for owners.data[inputs.service].split(' ')", "you may not read ConfigMap platform/owners")
}

// TestVerdictOfManyInputs tries a request with more inputs than annotations have room for: the dry run says all but these.
func TestVerdictOfManyInputs(t *testing.T) {
	someStages(t)
	text := strings.Repeat("x", 60<<10)
	inputs := fmt.Sprintf(`{"a": %[1]q, "b": %[1]q, "c": %[1]q, "d": %[1]q, "e": %[1]q}`, text)
	eventually(t, "the verdict", func() (bool, string) {
		tried := request("voluminous", inputs)
		err := as(t, users.Alice).Create(t.Context(), tried, client.DryRunAll)
		verdict := tried.Annotations[v1alpha1.AnnotationVerdict]
		return err == nil && strings.HasPrefix(verdict, `{"allowed":true,`) && strings.HasSuffix(verdict, `"omitted":["inputs"]}`), errText(err) + verdict
	})
}
