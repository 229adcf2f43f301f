package actionrequest

import (
	"slices"
	"testing"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/evidence"
)

// silent is an audit log that takes everything.
type silent struct{ Audit }

// TestEndFact names the facts that the audit log has of requests that end: only what has no evidence is called rejected, and who stopped an execution is
// told beside how it ended.
func TestEndFact(t *testing.T) {
	for name, tc := range map[string]struct {
		outcome v1alpha1.Outcome
		end     ending
		want    string
		code    string
	}{
		"Drifted":   {v1alpha1.OutcomeFailed, ending{reason: v1alpha1.ReasonDrifted}, audit.TypeRequestFailed, v1alpha1.ReasonDrifted},
		"Unplanned": {v1alpha1.OutcomeFailed, ending{reason: v1alpha1.ReasonPlanFailed}, audit.TypeRequestFailed, v1alpha1.ReasonPlanFailed},
		"Forged":    {v1alpha1.OutcomeFailed, ending{reason: v1alpha1.ReasonSealInvalid, rejected: true}, audit.TypeRejected, v1alpha1.ReasonSealInvalid},
		"Denied":    {v1alpha1.OutcomeDenied, ending{reason: v1alpha1.ReasonDenied}, audit.TypeDenied, ""},
		"Expired":   {v1alpha1.OutcomeExpired, ending{reason: v1alpha1.ReasonExpired}, audit.TypeExpired, ""},
		"Deleted":   {v1alpha1.OutcomeCancelled, ending{reason: v1alpha1.ReasonCancelled}, audit.TypeCancelled, codeDeleted},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scope{Reconciler: &Reconciler{}, request: &v1alpha1.ActionRequest{}, now: time.Now()}
			if got := s.endFact(tc.outcome, tc.end); got.Type != tc.want || got.Data.Code != tc.code {
				t.Errorf("got %s, %q", got.Type, got.Data.Code)
			}
		})
	}
	s := &scope{Reconciler: &Reconciler{Audit: silent{}, Evidence: evidence.NewBook("cluster", nil)}, request: &v1alpha1.ActionRequest{}}
	if facts := s.stopFacts(); facts != nil {
		t.Errorf("nobody stopped it: %+v", facts)
	}
	s.request.UID = "uid"
	s.request.Spec.Cancellation = &v1alpha1.Cancellation{Reason: "forged"}
	facts := s.stopFacts()
	if len(facts) != 1 || facts[0].Type != audit.TypeCancelled || facts[0].Data.Code == "" || facts[0].Data.Reason != "" || facts[0].ID == "uid/cancelled" {
		t.Errorf("who did cannot be told, and it is no second telling of how it ended: %+v", facts)
	}

	log := &ledger{}
	s.Audit = log
	repeated := audit.Repeated(s.request, v1alpha1.ReasonAlreadyExecuted, "", time.Now())
	if err := s.ended(t.Context(), v1alpha1.OutcomeSucceeded, ending{fact: &repeated}); err != nil || !slices.Equal(log.took, []string{"request.cancelled", "request.repeated"}) {
		t.Errorf("who cancels what was executed before is told, too: %v, %q", err, log.took)
	}
}
