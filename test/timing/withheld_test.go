package timing

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// denies stores a policy that denies one request, and takes it away after the test.
func denies(t *testing.T, r *v1alpha1.ActionRequest, during *v1alpha1.During) {
	t.Helper()
	policy := &v1alpha1.ActionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "denies-" + r.Name},
		Spec: v1alpha1.ActionPolicySpec{Rules: []v1alpha1.PolicyRule{{
			Name: "later", Effect: v1alpha1.PolicyDeny, During: during, When: fmt.Sprintf("request.name == '%s'", r.Name), Message: "not now",
		}}},
	}
	create(t, policy)
}

func create(t *testing.T, object client.Object) {
	t.Helper()
	if err := admin(t).Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The context of the test is over by now.
		if err := admin(t).Delete(context.Background(), object); err != nil {
			t.Error(err)
		}
	})
}

// TestDeniedUntilItExpires: a rule that denies only later refuses nothing for good. The request is held, and ends when it expires.
func TestDeniedUntilItExpires(t *testing.T) {
	at := metav1.NewTime(clock.Now().Add(2 * time.Hour))
	r := reaches(t, ask(t, "valid-for-an-hour", func(s *v1alpha1.ActionRequestSpec) { s.ExpiresAt = &at }), v1alpha1.PhaseAwaitingApproval)
	denies(t, r, nil)
	reaches(t, r, v1alpha1.PhaseHeld)
	step(t, 119*time.Minute)
	stays(t, r, v1alpha1.PhaseHeld)
	step(t, 2*time.Minute)
	reaches(t, r, v1alpha1.PhaseExpired)
}

// TestDeniedUntilTheCalendarCloses: what people approved meanwhile runs by itself, in the second in which the time of the denial is over.
func TestDeniedUntilTheCalendarCloses(t *testing.T) {
	r := reaches(t, ask(t, "one-hour", nil), v1alpha1.PhaseAwaitingApproval)
	ends := clock.Now().UTC().Truncate(time.Minute).Add(31 * time.Minute)
	begins := ends.Add(-time.Hour)
	freeze := &v1alpha1.Calendar{ObjectMeta: metav1.ObjectMeta{Namespace: env.SystemNamespace, Name: "freeze-" + r.Name}, Spec: v1alpha1.CalendarSpec{
		TimeZone: "UTC", Windows: []v1alpha1.Window{{Weekly: &v1alpha1.WeeklyWindow{
			Days: []v1alpha1.Weekday{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}, From: begins.Format("15:04"), To: ends.Format("15:04"),
		}}},
	}}
	create(t, freeze)
	denies(t, r, &v1alpha1.During{Calendar: freeze.Name})
	held := reaches(t, r, v1alpha1.PhaseHeld)
	if next := held.Status.Verdict.NextChange; next == nil || !next.Time.Equal(ends) {
		t.Fatalf("the verdict must say when time changes it, %s: %v", ends, next)
	}
	if err := approve(t, users.Bob, approval(t, r, v1alpha1.ApprovalOpen)); err != nil {
		t.Fatal(err)
	}
	moveTo(t, ends.Add(-time.Second))
	stays(t, r, v1alpha1.PhaseHeld)
	step(t, time.Second)
	reaches(t, r, v1alpha1.PhaseSucceeded)
}
