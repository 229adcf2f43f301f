package timing

import (
	"fmt"
	"testing"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
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
