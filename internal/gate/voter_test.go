package gate

import (
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestStillNeeded: nobody is told to wait for a requirement whose members have all voted.
func TestStillNeeded(t *testing.T) {
	gate := newGate(t, readable{fakeFacts{labels: map[string]any{"team": "payments"}}})
	judgement := gate.Judge(t.Context(), asking("alice", "deploy", `{"service":"checkout","environment":"production"}`), monday)
	if judgement.Problem != nil {
		t.Fatal(judgement.Problem.Message)
	}
	approval := &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{
		Digest: "d", Requester: v1alpha1.Identity{Username: "alice", Person: "alice"},
		Requirements: []v1alpha1.Requirement{
			{Name: "team", Count: 1, Approvers: v1alpha1.Approvers{Teams: []string{"payments"}}},
			{Name: "expert", Count: 1, Approvers: v1alpha1.Approvers{Users: []string{"bob"}}},
		},
		Votes: []v1alpha1.Vote{{Voter: v1alpha1.Identity{Username: "bob", Person: "bob"}, Decision: v1alpha1.DecisionApprove, Digest: "d"}},
	}}
	votes, err := gate.Votes(t.Context(), judgement, approval)
	if err != nil {
		t.Fatal(err)
	}
	result := gate.Count(judgement, approval, votes)
	if got, want := Needs(approval.Spec.Requirements, result.Missing), "1 of payments"; got != want {
		t.Errorf("bob is the only expert and has agreed, so carol must: want %q, got %q", want, got)
	}
}
