package actionrequest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/kinds"
)

func TestWorkplaces(t *testing.T) {
	name := func(n string) types.NamespacedName { return types.NamespacedName{Namespace: "payments", Name: n} }
	object := func(version, n string) kinds.Place {
		return kinds.PlaceOf(&v1alpha1.ObjectReference{APIVersion: version, Kind: "Deployment", Namespace: "payments", Name: n})
	}
	var woken []string
	w := newWorkplaces(func(request types.NamespacedName) { woken = append(woken, request.Name) })
	a, b, c := object("apps/v1", "a"), object("apps/v1", "b"), object("apps/v1", "c")

	// Before a restart, old executed on a. What ended while the Records were read is not taken for it.
	if err := w.recall(func() (*occupied, error) { return nil, errors.New("down") }); err == nil {
		t.Error("who cannot read what is executed must not begin")
	}
	err := w.recall(func() (*occupied, error) {
		w.leave(name("ended"))
		w.giveBack("returned")
		return &occupied{
			executing: map[types.NamespacedName][]kinds.Place{name("old"): {a}, name("ended"): {b}},
			lent:      map[tenant][]kinds.Place{{name("gone"), "gone"}: {c}, {name("returned"), "returned"}: {b}},
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}

	enter := func(who string, holder string, at ...kinds.Place) {
		t.Helper()
		kind, who, _ := strings.Cut(who, " ")
		found, again := w.enter(&waiter{tenant: tenant{name(who), types.UID(who)}, objects: at, temporary: kind == "temporary", emergency: kind == "emergency"})
		got := ""
		if found != nil {
			got = found.by.Name
		}
		if again {
			got = "again"
		}
		if got != holder {
			t.Errorf("%s enters: held by %q, expected %q", who, got, holder)
		}
	}
	calls := func(who ...string) {
		t.Helper()
		if !slices.Equal(woken, who) {
			t.Errorf("who can go on is woken, in order: %v, expected %v", woken, who)
		}
		woken = nil
	}
	enter("request first", "old", a, b)
	enter("request second", "", b)
	enter("request third", "old", object("apps/v1beta1", "a"))
	enter("request first", "old", a, b) // nothing is taken by who does not get everything, and nobody loses their place
	enter("request second", "", b)
	enter("request permanent", "", c)
	enter("temporary borrower", "gone", c) // what is lent cannot be lent again
	w.leave(name("permanent"))
	calls()
	w.giveBack("gone")
	calls("borrower")
	enter("temporary borrower", "", c)
	w.lend(name("borrower"), "borrower", []kinds.Place{c})
	enter("emergency lender", "", a)
	w.leave(name("lender"))
	w.leave(name("borrower"))
	enter("temporary other", "borrower", c)
	w.forget(name("other"))
	enter("request permanent", "", c) // nobody is kept waiting by who does not execute
	w.leave(name("permanent"))

	w.leave(name("second"))
	calls()
	w.leave(name("old"))
	calls("first") // third waits for the same object
	enter("request hasty", "first", b)
	w.come(name("first"))
	enter("request first", "", a, b)
	w.gone(name("first"), nil)
	enter("emergency now", "", a)
	enter("emergency again", "", a)
	w.leave(name("now"))
	w.leave(name("again"))
	calls()
	w.leave(name("first"))
	calls("third", "hasty")

	// third does not come for its object: something else holds it now.
	enter("request late", "third", a)
	w.gone(name("third"), nil) // this was under way before it was called
	calls()
	w.come(name("third"))
	w.gone(name("third"), nil)
	calls("late")
	enter("request late", "", a)
	enter("request hasty", "", b)
	w.leave(name("late"))
	w.leave(name("hasty"))
	w.leave(name("nobody"))
	w.giveBack("borrower")
	if len(w.holders)+len(w.waiting)+len(w.lent) != 0 {
		t.Errorf("nothing is left: %v, %v, %v", w.holders, w.waiting, w.lent)
	}
}

// queue plays requests that execute on objects.
type queue struct {
	*workplaces
	*testing.T

	woken []string
}

func newQueue(t *testing.T) *queue {
	q := &queue{T: t}
	q.workplaces = newWorkplaces(func(request types.NamespacedName) { q.woken = append(q.woken, request.Name) })
	return q
}

// enters demands what comes of it that a request enters: who holds it up, "again", or nothing.
func (q *queue) enters(who, want string, temporary bool, at ...kinds.Place) {
	q.Helper()
	got := ""
	switch found, again := q.enter(&waiter{tenant: tenant{named(who), types.UID(who)}, objects: at, temporary: temporary}); {
	case again:
		got = "again"
	case found != nil:
		got = found.by.Name
	}
	if got != want {
		q.Errorf("%s enters: got %q, expected %q", who, got, want)
	}
}

// wakes demands who was woken since it was asked last.
func (q *queue) wakes(who ...string) {
	q.Helper()
	if !slices.Equal(q.woken, who) {
		q.Errorf("woken: %v, expected %v", q.woken, who)
	}
	q.woken = nil
}

// TestWorkplacesLookAgain: who has compared an object before another request has left it compares it again, and loses it to nobody meanwhile.
func TestWorkplacesLookAgain(t *testing.T) {
	q, x, y := newQueue(t), kinds.Place{Kind: "ConfigMap", Name: "x"}, kinds.Place{Kind: "ConfigMap", Name: "y"}
	q.enters("first", "", false, x)
	q.come(named("second"))
	q.leave(named("first"))
	q.enters("second", "again", false, x, y)
	q.wakes("second")
	q.enters("third", "second", false, x)
	q.gone(named("second"), nil)
	q.wakes()
	q.come(named("second"))
	q.enters("second", "", false, x, y)
	q.gone(named("second"), nil)

	// It is about the objects of a request, and about what others have done.
	q.come(named("elsewhere"))
	q.come(named("second"))
	q.leave(named("second"))
	q.enters("elsewhere", "", false, kinds.Place{Kind: "ConfigMap", Name: "z"})
	q.wakes("third")
	q.forget(named("third"))
	q.enters("second", "", false, x, y)
	q.gone(named("second"), nil)
	q.gone(named("elsewhere"), nil)
	q.leave(named("second"))

	// What was lent was written as well when it was taken back.
	q.enters("lender", "", true, y)
	q.leave(named("lender"))
	q.come(named("borrower"))
	q.giveBack("lender")
	q.enters("borrower", "again", true, y)
	q.gone(named("borrower"), nil)
	if len(q.freed) != 0 {
		t.Errorf("nothing is kept of what is done: %v", q.freed)
	}
}

// TestWorkplacesAfterAnError: who was called and could not go on is tried again by itself. It keeps its place among those who wait, keeps nobody waiting until
// then, and is not woken without a pause.
func TestWorkplacesAfterAnError(t *testing.T) {
	q, x, err := newQueue(t), kinds.Place{Kind: "ConfigMap", Name: "x"}, errors.New("the API server is away")
	q.enters("holder", "", false, x)
	q.enters("first", "holder", false, x)
	q.enters("second", "holder", false, x)
	q.leave(named("holder"))
	q.wakes("first")
	q.come(named("first"))
	q.gone(named("first"), err)
	q.wakes("second")
	q.come(named("second"))
	q.gone(named("second"), err)
	q.leave(named("nobody"))
	q.wakes()
	q.come(named("second"))
	q.gone(named("second"), err)
	q.wakes() // nor after the second time

	q.come(named("second"))
	q.enters("second", "", false, x)
	q.gone(named("second"), nil)
	q.enters("third", "second", false, x)
	q.come(named("first"))
	q.enters("first", "second", false, x)
	q.gone(named("first"), nil)
	q.leave(named("second"))
	q.wakes("first")
}

// TestWorkplacesAfterAnErrorInside: who has got its objects and could not begin leaves them to the next, and stands before those who came later.
func TestWorkplacesAfterAnErrorInside(t *testing.T) {
	q, x, err := newQueue(t), kinds.Place{Kind: "ConfigMap", Name: "x"}, errors.New("too many requests")
	q.hold(named("holder"), []kinds.Place{x})
	q.enters("first", "holder", false, x)
	q.enters("second", "holder", false, x)
	q.enters("third", "holder", false, x)
	q.leave(named("holder"))
	q.wakes("first")
	q.come(named("first"))
	q.enters("first", "", false, x)
	q.enters("first", "", false, x) // in its turn, once more
	q.leave(named("first"))
	q.gone(named("first"), err)
	q.wakes("second")
	q.come(named("second"))
	q.enters("second", "", false, x)
	q.gone(named("second"), err) // it was claimed, or may be
	q.come(named("first"))
	q.enters("first", "second", false, x)
	q.gone(named("first"), nil)
	q.leave(named("second"))
	q.wakes("first")
	q.come(named("first"))
	q.enters("first", "", false, x)
	q.leave(named("first"))
	q.forget(named("first"))
	q.gone(named("first"), err) // the error came after it was over
	q.wakes("third")
	q.come(named("third"))
	q.enters("third", "", false, x)
	q.hold(named("hasty"), []kinds.Place{x})
	q.enters("third", "hasty", false, x) // in its turn, something is in the way
	q.leave(named("third"))
	q.gone(named("third"), err)
	if len(q.waiting) != 1 {
		t.Errorf("it stands in the queue more than once: %v", q.waiting)
	}
	q.leave(named("hasty"))
	q.forget(named("third"))
	if len(q.waiting)+len(q.entered)+len(q.holders) != 0 {
		t.Errorf("nothing is left: %v, %v, %v", q.waiting, q.entered, q.holders)
	}
}
