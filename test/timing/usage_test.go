package timing

import (
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestBudgetComesBack plays a budget of two an hour: what is over it waits for a person, and runs by itself at the second at which the first
// execution no longer counts, and not before. The next one waits on, until the second no longer counts.
func TestBudgetComesBack(t *testing.T) {
	moveTo(t, clock.Now().Truncate(time.Second).Add(time.Second+300*time.Millisecond))
	first := reaches(t, ask(t, "two-an-hour", nil), v1alpha1.PhaseSucceeded)
	step(t, 10*time.Minute)
	reaches(t, ask(t, "two-an-hour", nil), v1alpha1.PhaseSucceeded)
	third := reaches(t, ask(t, "two-an-hour", nil), v1alpha1.PhaseAwaitingApproval)
	next := third.Status.Verdict.NextChange
	if want := first.Status.Execution.StartedAt.Add(time.Hour + time.Second); next == nil || !next.Time.Equal(want) {
		t.Fatalf("the verdict says when the budget comes back: want %s, got %v", want, next)
	}
	fourth := reaches(t, ask(t, "two-an-hour", nil), v1alpha1.PhaseAwaitingApproval)
	moveTo(t, next.Add(-time.Second))
	stays(t, third, v1alpha1.PhaseAwaitingApproval)
	step(t, time.Second)
	eventually(t, "one of both runs", func() (bool, string) { return phases(t, third, fourth, v1alpha1.PhaseSucceeded) == 1, "" })
	// For a moment the other may wait for the first to be done with their object.
	eventually(t, "the other waits on", func() (bool, string) { return phases(t, third, fourth, v1alpha1.PhaseAwaitingApproval) == 1, "" })
	step(t, 10*time.Minute)
	reaches(t, third, v1alpha1.PhaseSucceeded)
	reaches(t, fourth, v1alpha1.PhaseSucceeded)
}

func phaseOf(t *testing.T, r *v1alpha1.ActionRequest) v1alpha1.Phase {
	t.Helper()
	live := &v1alpha1.ActionRequest{}
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil {
		t.Fatal(err)
	}
	return live.Status.Phase
}

// phases counts which of two requests are in a phase.
func phases(t *testing.T, a, b *v1alpha1.ActionRequest, phase v1alpha1.Phase) int {
	t.Helper()
	count := 0
	for _, r := range []*v1alpha1.ActionRequest{a, b} {
		if phaseOf(t, r) == phase {
			count++
		}
	}
	return count
}
