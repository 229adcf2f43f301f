package webhooks

import (
	"fmt"
	"testing"
	"time"
)

// TestDryRuns: a repository of a hundred requests is judged at once, a flood is not, and nobody else has fewer for it.
func TestDryRuns(t *testing.T) {
	dry, now := NewDryRuns(120), time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	judged := func(person string, tries int) (count int) {
		for range tries {
			if dry.take(person, now) {
				count++
			}
		}
		return count
	}
	expect := func(reason, person string, tries, want int) {
		t.Helper()
		if got := judged(person, tries); got != want {
			t.Errorf("%s %d of %d are judged, want %d", reason, got, tries, want)
		}
	}
	expect("A repository is tried as a whole.", "flux", 100, 100)
	expect("There is an end.", "flux", 1000, 20)
	expect("Nobody else is concerned.", "alice", 120, 120)
	now = now.Add(time.Second)
	expect("Some come back each second.", "flux", 1000, 12)
	now = now.Add(time.Hour)
	expect("Never more than at first.", "flux", 1000, 120)

	for n := range 2 * maxDryRunners {
		judged(fmt.Sprint("stranger ", n), 1)
	}
	if n := dry.left.Len(); n != maxDryRunners {
		t.Errorf("%d people are remembered", n)
	}
}
