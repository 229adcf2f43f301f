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
		found := w.enter(&waiter{tenant: tenant{name(who), types.UID(who)}, objects: at, temporary: kind == "temporary", emergency: kind == "emergency"})
		got := ""
		if found != nil {
			got = found.by.Name
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
	w.gone(name("first"))
	enter("emergency now", "", a)
	enter("emergency again", "", a)
	w.leave(name("now"))
	w.leave(name("again"))
	calls()
	w.leave(name("first"))
	calls("third", "hasty")

	// third does not come for its object: something else holds it now.
	enter("request late", "third", a)
	w.gone(name("third")) // this was under way before it was called
	calls()
	w.come(name("third"))
	w.gone(name("third"))
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
