package seal

import (
	"errors"
	"fmt"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/canonical"
)

// Act is cancel.v1, delegation.v1, edit.v1 and resolve.v1: somebody did something to an object.
type Act struct {
	Common
	Name  string   `json:"name,omitempty"`
	UID   string   `json:"uid,omitempty"`
	Actor Identity `json:"actor,omitzero"`
	// Content is the hash of what was done.
	Content string `json:"content,omitempty"`
	// Seq and Prev make a chain of acts of one type on one object, where they can be repeated.
	Seq  int64  `json:"seq,omitempty"`
	Prev string `json:"prev,omitempty"`

	act Type
}

// Cancellation is the content of cancel.v1.
type Cancellation struct {
	Reason string `json:"reason,omitempty"`
}

var cancelFields = knownOf[v1alpha1.Cancellation](all("reason").under("by", identityFields).
	but("seal", "it is the stamp and the signature of this payload"))

// Resolution is the content of resolve.v1.
type Resolution struct {
	Step    string `json:"step,omitempty"`
	Outcome string `json:"outcome,omitempty"`
	Comment string `json:"comment,omitempty"`
}

var resolveFields = knownOf[v1alpha1.Resolution](all("step", "outcome", "comment").under("by", identityFields).
	but("seal", "it is the stamp and the signature of this payload"))

// Type is cancel.v1, delegation.v1, edit.v1 or resolve.v1.
func (p *Act) Type() Type { return p.act }

func (p *Act) check() error {
	var m missing
	m.add(p.Common.check())
	m.text("name", p.Name)
	if p.act != TypeEdit && p.act != TypeDelegation {
		m.text("uid", p.UID)
	}
	m.sum("content", p.Content)
	if p.Seq < 0 || (p.Seq > 0 && p.Prev == "") {
		m.add(errors.New("seq and prev do not go together"))
	}
	if p.Prev != "" {
		m.sum("prev", p.Prev)
	}
	if err := p.Actor.check(); err != nil {
		m.add(fmt.Errorf("actor: %w", err))
	}
	return m.err()
}

// CancelPayload builds cancel.v1 from a request that somebody cancelled.
func CancelPayload(ar *v1alpha1.ActionRequest, s Stamp) (*Act, error) {
	given := ar.Spec.Cancellation
	if given == nil {
		return nil, malformed("failed to make %s: nobody cancelled", TypeCancel)
	}
	if err := cancelFields.check(TypeCancel, given); err != nil {
		return nil, err
	}
	var m millis
	content, err := canonical.SumOf(Cancellation{given.Reason})
	m.add(err)
	return built(&Act{
		act:     TypeCancel,
		Common:  s.common(&m, requests, ar.Namespace),
		Name:    ar.Name,
		UID:     string(ar.UID),
		Actor:   identity(given.By),
		Content: content,
	}, &m)
}

// ResolvePayload builds resolve.v1 from what somebody decided about a step of a request.
func ResolvePayload(ar *v1alpha1.ActionRequest, given *v1alpha1.Resolution, s Stamp) (*Act, error) {
	if err := resolveFields.check(TypeResolve, given); err != nil {
		return nil, err
	}
	var m millis
	content, err := canonical.SumOf(Resolution{given.Step, string(given.Outcome), given.Comment})
	m.add(err)
	return built(&Act{
		act:     TypeResolve,
		Common:  s.common(&m, requests, ar.Namespace),
		Name:    ar.Name,
		UID:     string(ar.UID),
		Actor:   identity(&given.By),
		Content: content,
	}, &m)
}
