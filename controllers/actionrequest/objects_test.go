package actionrequest

import (
	"errors"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func TestWorkplaces(t *testing.T) {
	name := func(n string) types.NamespacedName { return types.NamespacedName{Namespace: "payments", Name: n} }
	object := func(version, n string) place {
		return placeOf(&v1alpha1.ObjectReference{APIVersion: version, Kind: "Deployment", Namespace: "payments", Name: n})
	}
	var woken []string
	w := newWorkplaces(func(request types.NamespacedName) { woken = append(woken, request.Name) })
	a, b := object("apps/v1", "a"), object("apps/v1", "b")

	// Before a restart, old executed on a. What ended while the Records were read is not taken for it.
	if err := w.recall(func() (map[types.NamespacedName][]place, error) { return nil, errors.New("down") }); err == nil {
		t.Error("who cannot read what is executed must not begin")
	}
	err := w.recall(func() (map[types.NamespacedName][]place, error) {
		w.leave(name("ended"))
		return map[types.NamespacedName][]place{name("old"): {a}, name("ended"): {b}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}

	enter := func(who string, ok bool, holder string, at ...place) {
		t.Helper()
		got, _, free := w.enter(name(who), at)
		if free != ok || got.Name != holder {
			t.Errorf("%s enters: %t, held by %s; expected %t, %s", who, free, got.Name, ok, holder)
		}
	}
	enter("first", false, "old", a, b)
	enter("second", true, "second", b)
	enter("first", false, "old", a, b) // nothing is taken by who does not get everything
	enter("third", false, "old", object("apps/v1beta1", "a"))
	enter("second", true, "second", b)

	w.leave(name("old"))
	if !slices.Equal(woken, []string{"first", "third"}) {
		t.Errorf("who waits is woken, in order: %v", woken)
	}
	enter("third", true, "third", a)
	enter("first", false, "third", a, b)
	w.hold(name("emergency"), []place{a})
	w.leave(name("third"))
	enter("first", false, "emergency", a, b)
	w.leave(name("nobody"))
	w.leave(name("emergency"))
	w.leave(name("second"))
	enter("first", true, "first", a, b)
	w.leave(name("first"))
	if len(w.holders) != 0 || len(w.waiting) != 0 {
		t.Errorf("nothing is left: %v, %v", w.holders, w.waiting)
	}
}
