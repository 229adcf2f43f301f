package evidence

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/seal"
)

// maxEdits is how many people are named at most. Beyond it, the list is known to be complete from a later time on only.
const maxEdits = 32

// Edits is what the annotation of an Action holds: who has changed it, each person once, the last one last.
type Edits struct {
	// Since is from when on everybody is named. Nil: since the Action was made.
	Since *metav1.MicroTime `json:"since,omitempty"`
	List  []Edit            `json:"edits"`
	// Created says that the last edit made the Action, so that its seal does not name the uid.
	Created bool   `json:"created,omitempty"`
	Seal    string `json:"seal"`
}

// Edit is one change of an Action.
type Edit struct {
	Username string           `json:"username"`
	Person   string           `json:"person,omitempty"`
	At       metav1.MicroTime `json:"at"`
	// Spec is the digest of the Action after the change.
	Spec string `json:"spec"`
}

// SealEdit gives the annotation of an Action that somebody has just made or changed. Before is the Action as it was; nil: there was none.
// Where it cannot be told who had changed that, the list begins anew.
func (b *Book) SealEdit(action, before *v1alpha1.Action, was string, edit Edit) (string, error) {
	edits := &Edits{Created: before == nil, List: []Edit{edit}}
	if before != nil {
		if known, err := b.Edits(before, was); err == nil {
			edits.Since = known.Since
			edits.List = append(slices.DeleteFunc(known.List, edit.replaces), edit)
			edits.forget(edit.At.Time)
		} else {
			edits.Since = &edit.At
		}
	}
	e, err := b.sign(seal.EditPayload(action, edits.uid(action), edits.content(), b.cluster))
	if err != nil {
		return "", err
	}
	edits.Seal = e.Seal.String()
	text, err := json.Marshal(edits)
	if err != nil {
		return "", fmt.Errorf("failed to write who changed the Action: %w", err)
	}
	return string(text), nil
}

// replaces tells whether an edit is a later one of the same person.
func (e Edit) replaces(earlier Edit) bool {
	return e.Username == earlier.Username || e.Person != "" && e.Person == earlier.Person
}

// forget leaves out edits that are older than any request, and those that there is no room for.
func (e *Edits) forget(now time.Time) {
	for len(e.List) > maxEdits || e.List[0].At.Add(MaxAge).Before(now) {
		if since := e.List[0].At; e.Since == nil || e.Since.Before(&since) {
			e.Since = &since
		}
		e.List = e.List[1:]
	}
}

// uid is the uid of the Action that the seal names.
func (e *Edits) uid(action *v1alpha1.Action) string {
	if e.Created {
		return ""
	}
	return string(action.UID)
}

func (e *Edits) content() seal.Edits {
	var out seal.Edits
	if e.Since != nil {
		out.Since = e.Since.Time
	}
	for _, edit := range e.List {
		out.List = append(out.List, seal.Edit{Username: edit.Username, Person: edit.Person, At: edit.At.Time, Spec: edit.Spec})
	}
	return out
}

// Edits tells who has changed an Action, whose digest is given. It is an error if the Action is not what the last of them made it.
func (b *Book) Edits(action *v1alpha1.Action, digest string) (*Edits, error) {
	edits, _, err := b.edits(action, digest)
	return edits, err
}

// Edited tells who has changed an Action as it was sealed, with the envelope.
func (b *Book) Edited(action *v1alpha1.Action, digest string) (seal.Edits, *seal.Envelope, error) {
	edits, envelope, err := b.edits(action, digest)
	if err != nil {
		return seal.Edits{}, nil, err
	}
	return edits.content(), envelope, nil
}

func (b *Book) edits(action *v1alpha1.Action, digest string) (*Edits, *seal.Envelope, error) {
	what := fmt.Sprintf("who changed Action %s/%s", action.Namespace, action.Name)
	text := action.Annotations[v1alpha1.AnnotationEdits]
	if text == "" {
		return nil, nil, unknownEditor(action)
	}
	edits := &Edits{}
	if err := json.Unmarshal([]byte(text), edits); err != nil || len(edits.List) == 0 {
		return nil, nil, &Error{Reason: v1alpha1.ReasonSealInvalid, Message: what + " cannot be read", cause: err}
	}
	p, err := seal.EditPayload(action, edits.uid(action), edits.content(), b.cluster)
	envelope, err := b.verify(what, p, err, edits.Seal)
	if err != nil {
		return nil, nil, err
	}
	last := edits.List[len(edits.List)-1]
	// Where the seal names no uid, it is of the Action that was made then.
	if edits.Created && action.CreationTimestamp.Sub(last.At.Time).Abs() > seal.MaxSkew+time.Second || last.Spec != digest {
		return nil, nil, unknownEditor(action)
	}
	return edits, envelope, nil
}

// LastEdit is when an Action was changed last, as its annotation says; nothing is verified. Nil: it says nothing.
func LastEdit(action *v1alpha1.Action) *metav1.MicroTime {
	edits := &Edits{}
	if err := json.Unmarshal([]byte(action.Annotations[v1alpha1.AnnotationEdits]), edits); err != nil || len(edits.List) == 0 {
		return nil
	}
	return &edits.List[len(edits.List)-1].At
}

func unknownEditor(action *v1alpha1.Action) *Error {
	return &Error{Reason: v1alpha1.ReasonNotStamped, Message: fmt.Sprintf("Action %s/%s was changed without Signoff's admission webhook", action.Namespace, action.Name)}
}
