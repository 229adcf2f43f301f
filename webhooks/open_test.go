package webhooks

import (
	"slices"
	"testing"
	"time"
)

func TestOpenRequestsAreCounted(t *testing.T) {
	known := map[string][]string{}
	open := &OpenRequests{
		Count: func(person string) int { return len(known[person]) },
		Known: func(request string) bool { return slices.Contains(known["alice"], request) },
		Max:   2,
	}
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	expect := func(person string, count int, more bool) {
		t.Helper()
		if got, ok := open.count(person, now); got != count || ok != more {
			t.Errorf("%s has %d open requests and may ask for more: %t; expected %d, %t", person, got, ok, count, more)
		}
	}
	expect("alice", 0, true)
	admit := func(request string, want bool) {
		t.Helper()
		if _, ok := open.admit("alice", request, now); ok != want {
			t.Errorf("%s was let in: %t", request, ok)
		}
	}
	admit("payments/a", true)
	expect("alice", 1, true)
	known["alice"] = []string{"payments/a"}
	expect("alice", 1, true)
	admit("payments/b", true)
	expect("alice", 2, false)
	admit("payments/c", false)
	expect("alice", 2, false)
	// What is refused after it was let in makes room at once.
	open.leave("alice", "payments/b")
	admit("payments/c", true)
	expect("alice", 2, false)
	expect("bob", 0, true)

	// One that was let through and never stored is forgotten in the end, one that is over at once.
	now = now.Add(notSeenFor + time.Second)
	expect("alice", 1, true)
	known["alice"] = nil
	expect("alice", 0, true)
	if len(open.admitted) != 0 {
		t.Errorf("the book keeps %v", open.admitted)
	}
}
