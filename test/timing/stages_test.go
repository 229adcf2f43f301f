package timing

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// lapsing asks for the Action whose second stage is open when the agreement of its first stage has lapsed. It gives the Approval of the second.
func lapsing(t *testing.T) (*v1alpha1.ActionRequest, *v1alpha1.Approval) {
	t.Helper()
	applied(t, "stages.yaml")
	r := reaches(t, ask(t, "lapsing", nil), v1alpha1.PhaseAwaitingApproval)
	if err := approve(t, users.Bob, stageOf(t, r, "owners")); err != nil {
		t.Fatal(err)
	}
	open := stageOf(t, r, "security")
	if err := approve(t, users.Carol, open); err != nil {
		t.Fatal(err)
	}
	becomes(t, open, func(s *v1alpha1.ApprovalStatus) bool { return strings.HasPrefix(s.WaitingFor, "1 of ") })
	step(t, 30*time.Minute+time.Second)
	stageOf(t, r, "owners")
	stays(t, r, v1alpha1.PhaseAwaitingApproval)
	return r, open
}

// stageOf waits for the open Approval of a stage.
func stageOf(t *testing.T, r *v1alpha1.ActionRequest, stage string) *v1alpha1.Approval {
	t.Helper()
	var found *v1alpha1.Approval
	eventually(t, "the open Approval of stage "+stage, func() (bool, string) {
		list := &v1alpha1.ApprovalList{}
		err := admin(t).List(t.Context(), list, client.InNamespace(r.Namespace), client.MatchingLabels{v1alpha1.LabelRequestUID: string(r.UID)})
		for i := range list.Items {
			if a := &list.Items[i]; a.Status.State == v1alpha1.ApprovalOpen && a.Spec.Stage.Name == stage {
				found = a
			}
		}
		return found != nil, fmt.Sprintf("%d Approvals, %v", len(list.Items), err)
	})
	return found
}

// TestStageStaysOpen: a stage whose turn is over, since the one before it must agree again, keeps its votes, and people are reminded of it.
func TestStageStaysOpen(t *testing.T) {
	r, open := lapsing(t)
	if text := strings.Join(reaches(t, r, v1alpha1.PhaseAwaitingApproval).Status.Summary, "\n"); strings.Contains(text, "opens after") || !strings.Contains(text, open.Name) {
		t.Errorf("it is open:\n%s", text)
	}
	moveTo(t, open.Spec.Seal.At.Add(40*time.Minute))
	becomes(t, open, func(s *v1alpha1.ApprovalStatus) bool { return s.Reminders == 1 })
	if err := approve(t, users.Erin, open); err != nil {
		t.Fatal(err)
	}
	becomes(t, open, func(s *v1alpha1.ApprovalStatus) bool { return s.State == v1alpha1.ApprovalOpen && len(s.Decided) == 2 })
	moveTo(t, open.Spec.ExpiresAt.Add(time.Second))
	stays(t, r, v1alpha1.PhaseAwaitingApproval)
	if err := approve(t, users.Bob, stageOf(t, r, "owners")); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
}

// TestStageThatStaysOpenExpires: its time runs on, and ends the request at its second, not once the stage before it has agreed.
func TestStageThatStaysOpenExpires(t *testing.T) {
	r, open := lapsing(t)
	moveTo(t, open.Spec.ExpiresAt.Add(-time.Second))
	stays(t, r, v1alpha1.PhaseAwaitingApproval)
	moveTo(t, open.Spec.ExpiresAt.Time)
	reaches(t, r, v1alpha1.PhaseExpired)
	becomes(t, open, func(s *v1alpha1.ApprovalStatus) bool { return s.State == v1alpha1.ApprovalExpired })
}
