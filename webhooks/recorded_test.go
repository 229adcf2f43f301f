package webhooks

import (
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Somebody who agrees a moment after another one denied is not told that they denied.
func TestDeniedBy(t *testing.T) {
	for name, tc := range map[string]struct {
		reason   string
		tense    *tense
		review   bool
		decision v1alpha1.Decision
		want     string
	}{
		"Denier":      {"Who denies ends it.", &happened, false, v1alpha1.DecisionDeny, "your denial is recorded. The request is denied; that is final."},
		"Approver":    {"Who agrees is too late.", &happened, false, v1alpha1.DecisionApprove, "your approval is recorded, but does not count any more: it was denied before. The request is denied; that is final."},
		"Reviewer":    {"What was reviewed has run.", &happened, true, v1alpha1.DecisionDeny, "your denial is recorded. The review ends as denied; what was done stays done."},
		"Tried":       {"Nothing ends by a dry run.", &tried, false, v1alpha1.DecisionDeny, "your denial would be recorded. The request would be denied; that would be final."},
		"TriedLate":   {"Nothing counts of one.", &tried, false, v1alpha1.DecisionApprove, "your approval would be recorded, but would not count any more: it was denied before. The request would be denied; that would be final."},
		"TriedReview": {"Nor does a review end.", &tried, true, v1alpha1.DecisionDeny, "your denial would be recorded. The review would end as denied; what was done stays done."},
	} {
		t.Run(name, func(t *testing.T) {
			approval := &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{Review: tc.review}}
			if got := tc.tense.denied(approval, &v1alpha1.Vote{Decision: tc.decision}); got != tc.want {
				t.Errorf("%s want %q, got %q", tc.reason, tc.want, got)
			}
		})
	}
}

// Somebody who denies where enough others agree is not told that they agreed.
func TestOutvoted(t *testing.T) {
	approval, vote := &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{Stage: v1alpha1.StageReference{Name: "owners"}}}, &v1alpha1.Vote{Decision: v1alpha1.DecisionDeny}
	for tense, want := range map[*tense]string{
		&happened: `your denial is recorded (1 of 2). The stage is denied once 2 different people deny it. Enough others agree, so that stage "owners" is approved if nobody else denies it.`,
		&tried:    `your denial would be recorded (1 of 2). The stage is denied once 2 different people deny it. Enough others agree, so that stage "owners" would be approved if nobody else denies it.`,
	} {
		if got := tense.outvoted(approval, vote, 1, 2); got != want {
			t.Errorf("want %q, got %q", want, got)
		}
	}
}
