package seal

import (
	"fmt"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Adoption is adoption.v1: it binds a request to the uid that the API server gave it after it was sealed.
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
}

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
	return m.err()
}

// AdoptionPayload builds adoption.v1 for a request whose seal has been verified.
func AdoptionPayload(ar *v1alpha1.ActionRequest, request *Envelope, nonce string, s Stamp) (*Adoption, error) {
	var m millis
	p := &Adoption{
		Common:    s.common(&m, requests, ar.Namespace),
		Name:      ar.Name,
		UID:       string(ar.UID),
		Nonce:     nonce,
		CreatedAt: m.of("creationTimestamp", ar.CreationTimestamp.Time),
		Request:   request.Hash(),
	}
	if request.Type != TypeRequest {
		m.add(fmt.Errorf("a request is adopted, not %s", request.Type))
	}
	return built(p, &m)
}
