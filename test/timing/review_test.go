package timing

import (
	"fmt"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
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
	due := open.Spec.ExpiresAt.Time
	moveTo(t, due.Add(-time.Second))
	counted(t, 1, 0)
	// At the second at which it is due, it is counted and the alert rings.
	moveTo(t, due)
	counted(t, 0, 1)
	reviewed(t, r, v1alpha1.ReasonReviewOverdue)
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

// TestOrphanedReviewIsOverdueOnce plays the same where the review is gone from beside its request, and is asked for again: however often it is looked at,
// people are told once.
func TestOrphanedReviewIsOverdueOnce(t *testing.T) {
	if err := cluster.ApplyFile(t.Context(), "test/timing/testdata/review.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Grant(t.Context(), env.RoleApprover, env.SystemNamespace, env.ToUser(users.Bob.Name)); err != nil {
		t.Fatal(err)
	}
	r := reaches(t, ask(t, "frozen", func(s *v1alpha1.ActionRequestSpec) { s.BreakGlass = &v1alpha1.BreakGlass{Reason: "fire"} }), v1alpha1.PhaseSucceeded)
	open := approval(t, r, v1alpha1.ApprovalOpen)
	world.Unguarded(t, func() {
		play.Written(t, func() error { return client.IgnoreNotFound(admin(t).Delete(t.Context(), open)) })
	})
	// Nothing is delivered to this host, but what should be shows.
	if err := cluster.Apply(t.Context(), []byte(`{"apiVersion":"signoff.dev/v1alpha1","kind":"Notifier","metadata":{"namespace":"`+env.SystemNamespace+`","name":"reviews"},"spec":{
		"channels":[{"name":"bus","cloudEvents":{"url":"https://nowhere.example.org"}}],"routes":[{"events":["ReviewOverdue"],"to":[{"channel":"bus"}]}]}}`)); err != nil {
		t.Fatal(err)
	}
	beside := r.DeepCopy()
	beside.Namespace = env.SystemNamespace
	again := approval(t, beside, v1alpha1.ApprovalOpen)
	counted(t, 1, 0)
	moveTo(t, again.Spec.ExpiresAt.Time)
	counted(t, 0, 1)
	told(t, again, v1alpha1.ReasonReviewOverdue)
	eventually(t, "that people are told by a Notifier too", func() (bool, string) {
		step(t, time.Second) // after which status says it
		object := &v1alpha1.Notifier{}
		err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: env.SystemNamespace, Name: "reviews"}, object)
		d := object.Status.Deliveries
		return len(d) == 1 && d[0].Event == v1alpha1.EventReviewOverdue && d[0].Request == r.Namespace+"/"+r.Name, fmt.Sprintf("%v %+v", err, object.Status)
	})
	looks := func() float64 {
		count, _ := play.Metric(t, "controller_runtime_reconcile_total", map[string]string{"controller": "review"})
		return count
	}
	for n := range 3 {
		before, note := looks(), client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{"note":"%d"}}}`, n))
		if err := admin(t).Patch(t.Context(), again.DeepCopy(), note); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is looked at again", func() (bool, string) { return looks() > before, "it is not" })
	}
	if err := approve(t, users.Bob, again); err != nil {
		t.Fatal(err)
	}
	told(t, r, v1alpha1.ReasonReviewed)
	list := &eventsv1.EventList{}
	if err := admin(t).List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	times := 0
	for i := range list.Items {
		if e := &list.Items[i]; e.Reason == v1alpha1.ReasonReviewOverdue && strings.Contains(e.Note, again.Name) {
			times++
			if e.Series != nil {
				times += int(e.Series.Count)
			}
		}
	}
	if times != 1 {
		t.Errorf("people were told %d times that it is overdue", times)
	}
	counted(t, 0, 0)
}
