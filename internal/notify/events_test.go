package notify

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func condition(kind, reason string, minute int) metav1.Condition {
	return metav1.Condition{Type: kind, Reason: reason, Message: "because", LastTransitionTime: at(minute)}
}

func TestOf(t *testing.T) {
	cases := map[string]struct {
		reason    string
		request   func(*v1alpha1.ActionRequest)
		approvals []v1alpha1.Approval
		want      []string
	}{
		"New":        {"what was not taken up yet may be a forgery", func(r *v1alpha1.ActionRequest) { r.Status.Adoption = nil }, nil, nil},
		"Asked":      {"an Approval is opened after the request", nil, []v1alpha1.Approval{*anApproval(nil)}, []string{"0 Requested", "1 ApprovalNeeded owners"}},
		"Others":     {"an Approval of another request of that name is no matter", nil, []v1alpha1.Approval{*anApproval(func(a *v1alpha1.Approval) { a.Spec.RequestRef.UID = "other" })}, []string{"0 Requested"}},
		"Forged":     {"one without a seal was opened by nobody", nil, []v1alpha1.Approval{*anApproval(func(a *v1alpha1.Approval) { a.Spec.Seal = nil })}, []string{"0 Requested"}},
		"ForgedVote": {"nor does a vote without a seal count", nil, []v1alpha1.Approval{*anApproval(func(a *v1alpha1.Approval) { a.Spec.Votes = []v1alpha1.Vote{{Decision: v1alpha1.DecisionApprove}} })}, []string{"0 Requested", "1 ApprovalNeeded owners"}},
		"Voted": {
			"every vote is told, and the end of the stage", nil,
			[]v1alpha1.Approval{*anApproval(func(a *v1alpha1.Approval) {
				a.Spec.Votes = []v1alpha1.Vote{aVote("bob", v1alpha1.DecisionApprove, 2), aVote("bob", v1alpha1.DecisionWithdraw, 3)}
				a.Status.State, a.Status.ClosedAt = v1alpha1.ApprovalSuperseded, new(at(4))
			})},
			[]string{"0 Requested", "1 ApprovalNeeded owners", "2 Voted owners bob", "3 Voted owners bob", "4 ApprovalClosed owners Superseded"},
		},
		"Impatient": {
			"the last reminder and the escalation", nil,
			[]v1alpha1.Approval{*anApproval(func(a *v1alpha1.Approval) {
				a.Spec.Reminder, a.Status.Reminders = "10m", 2
				a.Spec.Escalation, a.Status.Escalated = &v1alpha1.ApprovalEscalation{At: at(15)}, true
			})},
			[]string{"0 Requested", "1 ApprovalNeeded owners", "15 ApprovalEscalated owners", "21 ApprovalReminder owners"},
		},
		"Held": {
			"the reason is what tells one delay from another",
			func(r *v1alpha1.ActionRequest) {
				r.Status.Phase, r.Status.Conditions = v1alpha1.PhaseHeld, []metav1.Condition{condition("Ready", "Queued", 7)}
			}, nil,
			[]string{"0 Requested", "7 Held Queued"},
		},
		"Done": {
			"from the first step to the end",
			func(r *v1alpha1.ActionRequest) {
				r.Status.Phase, r.Status.Outcome = v1alpha1.PhaseSucceeded, v1alpha1.OutcomeSucceeded
				r.Status.Execution = &v1alpha1.ExecutionClaim{StartedAt: at(5)}
				r.Status.Conditions = []metav1.Condition{condition("Ready", "Succeeded", 6), condition("Finished", "Succeeded", 6)}
			}, nil,
			[]string{"0 Requested", "5 Executing", "6 Succeeded Succeeded"},
		},
		"Review": {
			"a review is told by names of its own",
			func(r *v1alpha1.ActionRequest) {
				r.Status.Conditions = []metav1.Condition{condition("Reviewed", "ReviewOverdue", 1)}
			},
			[]v1alpha1.Approval{*anApproval(func(a *v1alpha1.Approval) {
				a.Spec.Review, a.Spec.ExpiresAt = true, at(30)
				a.Status.State, a.Status.ClosedAt = v1alpha1.ApprovalApproved, new(at(40))
			})},
			[]string{"0 Requested", "1 ReviewNeeded owners", "30 ReviewOverdue owners", "40 ReviewClosed owners Approved"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			request := aRequest(tc.request)
			first, again := Of(request, tc.approvals), Of(request.DeepCopy(), tc.approvals)
			var got []string
			ids := map[string]bool{}
			for i, e := range first {
				text := fmt.Sprintf("%d %s", int(e.Time.Sub(noon).Minutes()), e.Type)
				if e.Approval != nil {
					text += " " + e.Approval.Spec.Stage.Name
				}
				if e.Vote != nil {
					text += " " + e.Vote.Voter.Username
				}
				if e.State != "" {
					text += " " + e.State
				}
				got = append(got, text)
				if ids[e.ID] || e.ID != again[i].ID || len(e.ID) != 32 {
					t.Errorf("%s: the id %q of %s is not its own for ever", tc.reason, e.ID, text)
				}
				ids[e.ID] = true
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestLate: what may be found out long after it happened says so.
func TestLate(t *testing.T) {
	impatient := anApproval(func(a *v1alpha1.Approval) {
		a.Spec.Reminder, a.Status.Reminders = "10m", 2
		a.Spec.Escalation, a.Status.Escalated = &v1alpha1.ApprovalEscalation{At: at(15)}, true
	})
	closed := impatient.DeepCopy()
	closed.Status.State, closed.Status.ClosedAt = v1alpha1.ApprovalApproved, new(at(40))
	for name, tc := range map[string]struct {
		reason    string
		request   func(*v1alpha1.ActionRequest)
		approvals []v1alpha1.Approval
		want      []string
	}{
		"Alone": {"nobody knows when it was taken up", nil, nil, []string{"Requested ?"}},
		"Phase": {
			"a reason may be new however old the conditions are",
			func(r *v1alpha1.ActionRequest) {
				r.Status.Phase, r.Status.Conditions = v1alpha1.PhaseReverting, []metav1.Condition{condition("Ready", "RevertFailed", 7)}
			}, nil,
			[]string{"Requested 7", "Reverting ?"},
		},
		"Open":   {"it is noted that time ran out once somebody looks", nil, []v1alpha1.Approval{*impatient}, []string{"Requested 1", "ApprovalNeeded 1", "ApprovalEscalated ?", "ApprovalReminder ?"}},
		"Closed": {"before it was closed", nil, []v1alpha1.Approval{*closed}, []string{"Requested 1", "ApprovalNeeded 1", "ApprovalEscalated 40", "ApprovalReminder 40", "ApprovalClosed 40"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, e := range Of(aRequest(tc.request), tc.approvals) {
				late := "?"
				if !e.Late.IsZero() {
					late = fmt.Sprint(e.Late.Sub(noon).Minutes())
				}
				got = append(got, string(e.Type)+" "+late)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestEveryEnd: how a request ends is an event, whatever it is.
func TestEveryEnd(t *testing.T) {
	for _, outcome := range []v1alpha1.Outcome{
		v1alpha1.OutcomeSucceeded, v1alpha1.OutcomeFailed, v1alpha1.OutcomeDenied, v1alpha1.OutcomeExpired, v1alpha1.OutcomeCancelled, v1alpha1.OutcomeReverted,
	} {
		if headlines[v1alpha1.NotificationEvent(outcome)] == "" {
			t.Errorf("nothing is said about %s", outcome)
		}
	}
}
