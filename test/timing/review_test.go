package timing

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/play"
)

// reviewed waits for the reason of the condition Reviewed.
func reviewed(t *testing.T, r *v1alpha1.ActionRequest, reason string) {
	t.Helper()
	eventually(t, fmt.Sprintf("condition Reviewed of %s with reason %s", r.Name, reason), func() (bool, string) {
		live := &v1alpha1.ActionRequest{}
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live)
		condition := meta.FindStatusCondition(live.Status.Conditions, v1alpha1.ConditionReviewed)
		return condition != nil && condition.Status == metav1.ConditionFalse && condition.Reason == reason, fmt.Sprintf("%v %+v", err, condition)
	})
}

// counted waits until the metric says how many reviews are still to be done in time, and how many are overdue.
func counted(t *testing.T, inTime, overdue float64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%v and %v in signoff_reviews_open", inTime, overdue), func() (bool, string) {
		open, shown := play.Metric(t, "signoff_reviews_open", map[string]string{"overdue": "false"})
		late, _ := play.Metric(t, "signoff_reviews_open", map[string]string{"overdue": "true"})
		return shown && open == inTime && late == overdue, fmt.Sprint(open, late)
	})
	if got := play.Rings(t, "SignoffReviewOverdue"); got != (overdue > 0) {
		t.Errorf("with %v overdue, the alert rings: %t", overdue, got)
	}
}

// TestReviewIsOverdue plays a review that nobody does in time: that shows, in the metric and by the alert too, and the review must still be done.
func TestReviewIsOverdue(t *testing.T) {
	if err := cluster.ApplyFile(t.Context(), "test/timing/testdata/review.yaml"); err != nil {
		t.Fatal(err)
	}
	counted(t, 0, 0)
	r := reaches(t, ask(t, "frozen", func(s *v1alpha1.ActionRequestSpec) { s.BreakGlass = &v1alpha1.BreakGlass{Reason: "fire"} }), v1alpha1.PhaseSucceeded)
	open := approval(t, r, v1alpha1.ApprovalOpen)
	step(t, 10*time.Minute)
	counted(t, 1, 0)
	step(t, 14*time.Minute+50*time.Second)
	stays(t, r, v1alpha1.PhaseSucceeded)
	reviewed(t, r, v1alpha1.ReasonAwaitingReview)
	step(t, 11*time.Second)
	reviewed(t, r, v1alpha1.ReasonReviewOverdue)
	step(t, 10*time.Minute)
	counted(t, 0, 1)
	if err := as(t, users.Ada).Delete(t.Context(), r); err == nil || !strings.Contains(err.Error(), "cannot be deleted before it is reviewed") {
		t.Errorf("nobody gets rid of a review by waiting: %v", err)
	}
	if err := approve(t, users.Bob, open); err != nil {
		t.Fatalf("an overdue review can still be done: %v", err)
	}
	approval(t, r, v1alpha1.ApprovalApproved)
	counted(t, 0, 0)
	if err := as(t, users.Ada).Delete(t.Context(), r); err != nil {
		t.Errorf("a request whose review is over can be deleted: %v", err)
	}
}
