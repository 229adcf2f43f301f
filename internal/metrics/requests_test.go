package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// ready is the condition Ready with a reason.
func ready(status metav1.ConditionStatus, reason string) []metav1.Condition {
	return []metav1.Condition{{Type: "Stalled", Reason: "Other"}, {Type: v1alpha1.ConditionReady, Status: status, Reason: reason}}
}

func inPhase(phase v1alpha1.Phase, reason string) *v1alpha1.ActionRequest {
	return &v1alpha1.ActionRequest{Status: v1alpha1.ActionRequestStatus{Phase: phase, Conditions: ready(metav1.ConditionUnknown, reason)}}
}

func action(status metav1.ConditionStatus, reason string) *v1alpha1.Action {
	return &v1alpha1.Action{Status: v1alpha1.ActionStatus{Conditions: ready(status, reason)}}
}

func TestRequestsOpen(t *testing.T) {
	known := func(all ...any) Known { return func() ([]any, bool) { return all, true } }
	unread := func() ([]any, bool) { return []any{inPhase(v1alpha1.PhaseHeld, "Held")}, false }
	c := &counted{}
	if n := testutil.CollectAndCount(c); n != 0 {
		t.Errorf("nobody has said yet what there is: %d series", n)
	}
	c.of.Store(&cached{unread, unread})
	if n := testutil.CollectAndCount(c); n != 0 {
		t.Errorf("half of the requests are no number of requests: %d series", n)
	}
	c.of.Store(&cached{
		known(
			&v1alpha1.ActionRequest{}, inPhase(v1alpha1.PhaseAwaitingApproval, v1alpha1.ReasonAwaitingApproval),
			inPhase(v1alpha1.PhaseAwaitingApproval, v1alpha1.ReasonUnsatisfiable), inPhase(v1alpha1.PhaseOutcomeUnknown, v1alpha1.ReasonOutcomeUnknown),
			inPhase(v1alpha1.PhasePending, v1alpha1.ReasonFactsUnavailable), inPhase(v1alpha1.PhasePending, "Made up"), inPhase("Made up", "Made up"), "no request",
		),
		known(
			action(metav1.ConditionTrue, v1alpha1.ReasonReady), action(metav1.ConditionFalse, v1alpha1.ReasonCannotImpersonate),
			action(metav1.ConditionFalse, v1alpha1.ReasonInvalid), &v1alpha1.Action{}, "no Action",
		),
	})
	const want = `# HELP signoff_actions_unusable Actions that compile and whose requests get stuck all the same, by the reason that they give.
# TYPE signoff_actions_unusable gauge
signoff_actions_unusable{reason="CannotImpersonate"} 1
signoff_actions_unusable{reason="FactsUnavailable"} 0
# HELP signoff_requests_open Requests that are not over, by their phase.
# TYPE signoff_requests_open gauge
signoff_requests_open{phase="Active"} 0
signoff_requests_open{phase="Approved"} 0
signoff_requests_open{phase="AwaitingApproval"} 2
signoff_requests_open{phase="Executing"} 0
signoff_requests_open{phase="Held"} 0
signoff_requests_open{phase="OutcomeUnknown"} 1
signoff_requests_open{phase="Pending"} 4
signoff_requests_open{phase="Reverting"} 0
# HELP signoff_requests_stuck Requests that are not over and wait until a person mends something, by the reason that they give.
# TYPE signoff_requests_stuck gauge
signoff_requests_stuck{reason="ActionUnavailable"} 0
signoff_requests_stuck{reason="FactsUnavailable"} 1
signoff_requests_stuck{reason="Indeterminate"} 0
signoff_requests_stuck{reason="Unsatisfiable"} 1
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want)); err != nil {
		t.Errorf("each request is in one phase, whatever somebody wrote into it, and what is not asked for makes no series:\n%v", err)
	}
}

func TestDurations(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		of     prometheus.Observer
		do     func()
		// bound is that of the first bucket that it is in.
		sum, bound float64
	}{
		"Days":  {"Somebody agreed after two days.", approval, func() { Approved(48 * time.Hour) }, 48 * 60 * 60, 2 * day},
		"Clock": {"The clock of who voted was behind: that is no time at all.", approval, func() { Approved(-time.Second) }, 0, minute},
		"Steps": {"The steps took two minutes and failed.", execution.WithLabelValues("Failed"), func() { Executed(v1alpha1.OutcomeFailed, 2*time.Minute) }, 120, 120},
	} {
		t.Run(name, func(t *testing.T) {
			seen := func() *dto.Histogram {
				t.Helper()
				m := &dto.Metric{}
				if err := tc.of.(prometheus.Metric).Write(m); err != nil {
					t.Fatal(err)
				}
				return m.GetHistogram()
			}
			before := seen()
			tc.do()
			after, bound := seen(), 0.0
			for i, bucket := range after.GetBucket() {
				if bucket.GetCumulativeCount() > before.GetBucket()[i].GetCumulativeCount() {
					bound = bucket.GetUpperBound()
					break
				}
			}
			if sum := after.GetSampleSum() - before.GetSampleSum(); after.GetSampleCount() != before.GetSampleCount()+1 || sum != tc.sum || bound != tc.bound {
				t.Errorf("%s Got %v seconds, in the bucket up to %v; want %v and %v.", tc.reason, sum, bound, tc.sum, tc.bound)
			}
		})
	}
}
