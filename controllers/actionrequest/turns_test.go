package actionrequest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
)

func named(name string) types.NamespacedName { return types.NamespacedName{Namespace: "a", Name: name} }

// waiters notes who is woken.
type waiters struct {
	clock *clocktesting.FakeClock
	turns *turns
	woken []string
}

func newWaiters() *waiters {
	w := &waiters{clock: clocktesting.NewFakeClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))}
	w.turns = newTurns(w.clock, func(request types.NamespacedName) { w.woken = append(w.woken, request.Name) })
	return w
}

// takes checks who gets a turn.
func (w *waiters) takes(t *testing.T, name string, want bool) {
	t.Helper()
	if got := w.turns.take("platform", named(name)); got != want {
		t.Fatalf("take(%s): want %t, got %t", name, want, got)
	}
}

func TestTurnsAreInLine(t *testing.T) {
	w := newWaiters()
	w.takes(t, "first", true)
	w.takes(t, "second", false)
	w.takes(t, "third", false)
	w.takes(t, "second", false)
	if !w.turns.take("other", named("elsewhere")) {
		t.Error("another catalog has a line of its own")
	}
	w.turns.leave(named("third"))
	w.turns.leave(named("nobody"))
	w.turns.leave(named("first"))
	w.takes(t, "fourth", false)
	w.takes(t, "second", true)
	w.turns.leave(named("second"))
	// The third has changed its mind.
	w.turns.leave(named("third"))
	w.takes(t, "fourth", true)
	w.turns.leave(named("fourth"))
	if diff := cmp.Diff([]string{"second", "third", "fourth"}, w.woken); diff != "" {
		t.Errorf("who waits is woken in line, once each: -want, +got:\n%s", diff)
	}
	w.turns.leave(named("elsewhere"))
	if len(w.turns.lines) != 0 || len(w.turns.places) != 0 {
		t.Errorf("nothing is remembered of what is over: %v, %v", w.turns.lines, w.turns.places)
	}
}

func TestTurnsEnd(t *testing.T) {
	w := newWaiters()
	w.takes(t, "lost", true)
	w.takes(t, "next", false)
	w.clock.Step(turnLasts - time.Second)
	w.takes(t, "next", false)
	w.clock.Step(time.Second)
	w.takes(t, "next", true)
	w.turns.leave(named("lost"))
	w.takes(t, "lost", false)
	w.turns.leave(named("next"))
	// Woken, and never seen again.
	w.clock.Step(turnCheck)
	w.takes(t, "other", true)
}

// TestTurnsKeepTheirOrder: where a turn ends because its holder was not seen again, who came later does not come first.
func TestTurnsKeepTheirOrder(t *testing.T) {
	w := newWaiters()
	w.takes(t, "lost", true)
	w.takes(t, "second", false)
	w.takes(t, "third", false)
	w.clock.Step(turnLasts)
	w.takes(t, "late", false)
	w.takes(t, "third", false)
	w.takes(t, "second", true)
	w.turns.leave(named("second"))
	w.clock.Step(turnCheck)
	w.takes(t, "late", true) // the third was woken, and never seen again
	w.turns.leave(named("late"))
	if diff := cmp.Diff([]string{"second", "third"}, w.woken); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	if len(w.turns.lines) != 0 || len(w.turns.places) != 0 {
		t.Errorf("nothing is remembered of what is over: %v, %v", w.turns.lines, w.turns.places)
	}
}

func TestTurnsAreKept(t *testing.T) {
	w := newWaiters()
	w.takes(t, "unsure", true)
	w.takes(t, "next", false)
	w.turns.keep(named("next"))
	w.turns.keep(named("unsure"))
	w.turns.leave(named("unsure"))
	w.takes(t, "next", false)
	w.takes(t, "unsure", true)
	w.turns.leave(named("unsure"))
	w.takes(t, "next", true)
	if diff := cmp.Diff([]string{"next"}, w.woken); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

// TestTurnsExclude lets many requests at once read a number and write it back, as reconciles would.
func TestTurnsExclude(t *testing.T) {
	const requests = 100
	queue := make(chan types.NamespacedName, 10*requests)
	turns := newTurns(clocktesting.NewFakeClock(time.Now()), func(request types.NamespacedName) { queue <- request })
	for i := range requests {
		queue <- named(fmt.Sprint(i))
	}
	counted, done := 0, atomic.Int64{}
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for request := range queue {
				if turns.take("platform", request) {
					counted++ // the race detector sees two at once
					if done.Add(1) == requests {
						close(queue)
					}
				}
				turns.leave(request)
			}
		})
	}
	workers.Wait()
	if counted != requests {
		t.Errorf("everybody gets a turn: want %d, got %d", requests, counted)
	}
}
