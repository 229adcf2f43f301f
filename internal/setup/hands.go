package setup

import (
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/facts"
	"github.com/signoff-dev/signoff/internal/gate"
)

// hands tells the gate who had a hand in a request: from what the webhook sealed, and from what RBAC says.
type hands struct {
	*facts.Reviews
	book *evidence.Book
}

var _ gate.Hands = (*hands)(nil)

// Edits tells who has changed an Action.
func (h *hands) Edits(action *v1alpha1.Action, digest string) ([]gate.Edit, time.Time, error) {
	known, err := h.book.Edits(action, digest)
	if err != nil {
		return nil, time.Time{}, err //nolint:wrapcheck // it is a sentence for people
	}
	var since time.Time
	if known.Since != nil {
		since = known.Since.Time
	}
	edits := make([]gate.Edit, len(known.List))
	for i, e := range known.List {
		edits[i] = gate.Edit{By: v1alpha1.Identity{Username: e.Username, Person: e.Person}, At: e.At.Time, Digest: e.Spec}
	}
	return edits, since, nil
}

// Delegation tells whether a Delegation is genuine.
func (h *hands) Delegation(d *v1alpha1.Delegation) (string, error) {
	envelope, err := h.book.Delegation(d)
	if err != nil {
		return "", evidence.Of(err)
	}
	return envelope.Hash(), nil
}
