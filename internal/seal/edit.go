package seal

import (
	"errors"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/canonical"
)

// Edit is one entry of the content of edit.v1: somebody made an Action what it then was.
type Edit struct {
	Username string
	Person   string
	At       time.Time
	// Spec is the digest of the Action after the edit.
	Spec string
}

// Edits are the content of edit.v1: who has changed an Action, the last one last. All of it is sealed anew with each edit, so that none can be
// taken out.
type Edits struct {
	// Since is from when on everybody is named. Zero: since the Action was made.
	Since time.Time
	List  []Edit
}

type editContent struct {
	Since int64       `json:"since,omitempty"`
	Edits []editEntry `json:"edits,omitempty"`
}

type editEntry struct {
	Username string `json:"username,omitempty"`
	Person   string `json:"person,omitempty"`
	At       int64  `json:"at,omitempty"`
	Spec     string `json:"spec,omitempty"`
}

// EditPayload builds edit.v1 from an Action and who has changed it. The last edit is the act: its time is the stamp. When an Action is made it
// has no uid yet.
func EditPayload(action *v1alpha1.Action, uid string, edits Edits, cluster string) (*Act, error) {
	if len(edits.List) == 0 {
		return nil, malformed("failed to make %s: nobody is named", TypeEdit)
	}
	var m millis
	m.of("since", edits.Since)
	for _, e := range edits.List {
		m.number("at", m.of("at", e.At))
		m.text("username", e.Username)
		m.sum("spec", e.Spec)
	}
	sum, err := edits.Sum()
	m.add(err)
	if action.Namespace == "" {
		m.add(errors.New("namespace is missing"))
	}
	last := edits.List[len(edits.List)-1]
	return built(&Act{
		act:     TypeEdit,
		Common:  Stamp{cluster, last.At}.common(&m, actions, action.Namespace),
		Name:    action.Name,
		UID:     uid,
		Actor:   Identity{Username: last.Username, Person: last.Person},
		Content: sum,
	}, &m)
}

// Sum is the hash that edit.v1 holds.
func (e Edits) Sum() (string, error) {
	return canonical.SumOf(editContent{Since: sinceOf(e.Since), Edits: e.content()})
}

func (e Edits) content() []editEntry {
	out := make([]editEntry, len(e.List))
	for i, one := range e.List {
		out[i] = editEntry{one.Username, one.Person, one.At.UnixMilli(), one.Spec}
	}
	return out
}

func sinceOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
