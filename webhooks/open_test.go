package webhooks

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
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
		if got, ok := open.count(person, open.Max, now); got != count || ok != more {
			t.Errorf("%s has %d open requests and may ask for more: %t; expected %d, %t", person, got, ok, count, more)
		}
	}
	expect("alice", 0, true)
	admit := func(request string, want bool) {
		t.Helper()
		if _, ok := open.admit("alice", open.Max, types.UID("review of "+request), request, now); ok != want {
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
	open.leave("alice", "review of payments/b")
	admit("payments/c", true)
	expect("alice", 2, false)
	expect("bob", 0, true)
	// What waits keeps nobody from an emergency, and emergencies are bounded too.
	fire := &v1alpha1.ActionRequest{Spec: v1alpha1.ActionRequestSpec{BreakGlass: &v1alpha1.BreakGlass{Reason: "fire"}}}
	if _, ok := open.count("alice", open.most(fire), now); !ok || open.most(&v1alpha1.ActionRequest{}) != open.Max {
		t.Error("an emergency is kept back by requests that wait")
	}
	if open.most(fire) != open.Max+moreInEmergency {
		t.Error("emergencies have no end")
	}

	// One that was let through and never stored is forgotten in the end, one that is over at once.
	now = now.Add(notSeenFor + time.Second)
	expect("alice", 1, true)
	known["alice"] = nil
	expect("alice", 0, true)
	if len(open.admitted) != 0 {
		t.Errorf("the book keeps %v", open.admitted)
	}
}

// TestOneNameTwice: of two requests with one name that come at once, the one that is refused takes the other one out of no count.
func TestOneNameTwice(t *testing.T) {
	open := &OpenRequests{Count: func(string) int { return 0 }, Known: func(string) bool { return false }, Max: 3}
	now, through := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC), 0
	for n := range 10 {
		name := fmt.Sprintf("payments/%d", n)
		if _, ok := open.admit("alice", open.Max, types.UID(name+" good"), name, now); ok {
			through++
		}
		if _, ok := open.admit("alice", open.Max, types.UID(name+" bad"), name, now); ok {
			open.leave("alice", types.UID(name+" bad"))
		}
	}
	if through != open.Max {
		t.Errorf("%d were let through, and %d are allowed", through, open.Max)
	}
}
