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

// TestReviewIsOverdue plays a review that nobody does in time: that shows, and the review must still be done.
func TestReviewIsOverdue(t *testing.T) {
	if err := cluster.ApplyFile(t.Context(), "test/timing/testdata/review.yaml"); err != nil {
		t.Fatal(err)
	}
	r := reaches(t, ask(t, "frozen", func(s *v1alpha1.ActionRequestSpec) { s.BreakGlass = &v1alpha1.BreakGlass{Reason: "fire"} }), v1alpha1.PhaseSucceeded)
	open := approval(t, r, v1alpha1.ApprovalOpen)
	step(t, 4*time.Minute+50*time.Second)
	stays(t, r, v1alpha1.PhaseSucceeded)
	reviewed(t, r, v1alpha1.ReasonAwaitingReview)
	step(t, 11*time.Second)
	reviewed(t, r, v1alpha1.ReasonReviewOverdue)
	if err := as(t, users.Ada).Delete(t.Context(), r); err == nil || !strings.Contains(err.Error(), "cannot be deleted before it is reviewed") {
		t.Errorf("nobody gets rid of a review by waiting: %v", err)
	}
	if err := approve(t, users.Bob, open); err != nil {
		t.Fatalf("an overdue review can still be done: %v", err)
	}
	approval(t, r, v1alpha1.ApprovalApproved)
	if err := as(t, users.Ada).Delete(t.Context(), r); err != nil {
		t.Errorf("a request whose review is over can be deleted: %v", err)
	}
}
