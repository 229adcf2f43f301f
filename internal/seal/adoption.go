package seal

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Adoption is adoption.v1: it binds a request to the uid that the API server gave it after it was sealed, and to the Approvals that were
// opened for it, so that one that is removed is missed.
type Adoption struct {
	Common
	Name string `json:"name,omitempty"`
	// UID is the uid of the request.
	UID   string `json:"uid,omitempty"`
	Nonce string `json:"nonce,omitempty"`
	// CreatedAt is the creationTimestamp, in milliseconds.
	CreatedAt int64 `json:"creationTimestamp,omitempty"`
	// Request is the hash of the envelope of the request.
	Request string `json:"request,omitempty"`
	// Approvals are a set, sorted by their uid.
	Approvals []Reference `json:"approvals,omitempty"`
}

var adoptionFields = knownOf[v1alpha1.Adoption](all("approvals[].name", "approvals[].uid").
	but("at", "it is the stamp, as iat of the payload").
	but("signature", "it is the signature of this payload"))

// Type is adoption.v1.
func (*Adoption) Type() Type { return TypeAdoption }

func (p *Adoption) check() error {
	var m missing
	m.add(p.Common.check())
	m.text("namespace", p.Namespace)
	m.text("name", p.Name)
	m.text("uid", p.UID)
	m.nonce(p.Nonce)
	m.number("creationTimestamp", p.CreatedAt)
	m.sum("request", p.Request)
	for _, a := range p.Approvals {
		m.text("name of an Approval", a.Name)
		m.text("uid of an Approval", a.UID)
	}
	return m.err()
}

// AdoptionPayload builds adoption.v1 for a request whose seal has been verified, and which names its Approvals in its status.
func AdoptionPayload(ar *v1alpha1.ActionRequest, request *Envelope, nonce string, s Stamp) (*Adoption, error) {
	var m millis
	var opened []Reference
	if given := ar.Status.Adoption; given != nil {
		if err := adoptionFields.check(TypeAdoption, given); err != nil {
			return nil, err
		}
		opened = references(given.Approvals)
	}
	p := &Adoption{
		Common:    s.common(&m, requests, ar.Namespace),
		Name:      ar.Name,
		UID:       string(ar.UID),
		Nonce:     nonce,
		CreatedAt: m.of("creationTimestamp", ar.CreationTimestamp.Time),
		Request:   request.Hash(),
		Approvals: opened,
	}
	if request.Type != TypeRequest {
		m.add(fmt.Errorf("a request is adopted, not %s", request.Type))
	}
	return built(p, &m)
}

func references(list []v1alpha1.OpenedApproval) []Reference {
	out := make([]Reference, 0, len(list))
	for _, a := range list {
		out = append(out, Reference{Name: a.Name, UID: string(a.UID)})
	}
	slices.SortFunc(out, func(a, b Reference) int { return cmp.Or(cmp.Compare(a.UID, b.UID), cmp.Compare(a.Name, b.Name)) })
	return out
}
