package timing

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/test/env"
)

// TestVotesThatTimeCounts plays somebody who may approve every other day: the vote does not count in between, and counts again by itself.
func TestVotesThatTimeCounts(t *testing.T) {
	day := func(offset int) time.Time { return clock.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, offset) }
	today, later := day(0), day(2)
	if err := cluster.Apply(t.Context(), fmt.Appendf(nil, `{"apiVersion":"signoff.dev/v1alpha1","kind":"Calendar","metadata":{"namespace":"platform","name":"every-other-day"},
		"spec":{"timeZone":"UTC","windows":[{"dates":{"from":%[1]q,"through":%[1]q}},{"dates":{"from":%[2]q,"through":%[2]q}}]}}`,
		today.Format(time.DateOnly), later.Format(time.DateOnly))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the calendar", func() (bool, string) {
		_, err := signoff.Process.Store.Current().CalendarOf(env.CatalogNamespace, "every-other-day")
		return err == nil, fmt.Sprint(err)
	})
	if err := cluster.ApplyFile(t.Context(), "test/timing/testdata/votes.yaml"); err != nil {
		t.Fatal(err)
	}
	r := reaches(t, ask(t, "two-of-us", nil), v1alpha1.PhaseAwaitingApproval)
	open := approval(t, r, v1alpha1.ApprovalOpen)
	eventually(t, "the vote of erin", func() (bool, string) {
		err := approve(t, users.Erin, open)
		return err == nil, fmt.Sprint(err)
	})
	moveTo(t, day(1))
	if err := approve(t, users.Carol, approval(t, r, v1alpha1.ApprovalOpen)); err != nil {
		t.Fatal(err)
	}
	stays(t, r, v1alpha1.PhaseAwaitingApproval)
	moveTo(t, later)
	reaches(t, r, v1alpha1.PhaseSucceeded)
}

// TestApproveAtExpiry votes after the end while nobody has closed the stage: it is over by its time alone. Then votes race the end: one that is accepted counts, and
// one that is refused does not.
func TestApproveAtExpiry(t *testing.T) {
	applied(t, "expiry.yaml")
	opened := func() (*v1alpha1.ActionRequest, *v1alpha1.Approval) {
		r := reaches(t, ask(t, "one-minute", nil), v1alpha1.PhaseAwaitingApproval)
		return r, approval(t, r, v1alpha1.ApprovalOpen)
	}
	r, open := opened()
	if err := signoff.RestartAs(t.Context(), setup.Parts{Admission: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() { // other tests need the controllers
			_ = signoff.RestartAs(context.WithoutCancel(t.Context()), setup.Everything())
		}
	})
	clock.SetTime(open.Spec.ExpiresAt.Time)
	if err := approve(t, users.Bob, open); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `stage "s" expired `) {
		t.Fatalf("it must say that the time is over: %v", err)
	}
	if left := approval(t, r, v1alpha1.ApprovalOpen); len(left.Spec.Votes) > 0 {
		t.Errorf("nothing is recorded: %+v", left.Spec.Votes)
	}
	if err := signoff.RestartAs(t.Context(), setup.Everything()); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseExpired)
	for i := range 8 {
		r, open := opened()
		moveTo(t, open.Spec.ExpiresAt.Add(-time.Second))
		var all sync.WaitGroup
		var err error
		all.Go(func() { err = approve(t, users.Bob, open) })
		all.Go(func() { <-time.After(time.Duration(i*i*3) * time.Millisecond); clock.SetTime(open.Spec.ExpiresAt.Time) })
		all.Wait()
		phase := v1alpha1.PhaseSucceeded
		if err != nil {
			phase = v1alpha1.PhaseExpired
			if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "Nothing more can be decided here") {
				t.Errorf("it must say that it is over: %v", err)
			}
		}
		reaches(t, r, phase)
	}
}
