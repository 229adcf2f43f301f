package seal

import (
	"fmt"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Head is head.v1: how many votes an Approval had. It is sealed by the controller, so that a vote that is removed later is missed.
type Head struct {
	Common
	// Approval and Request are the uids of the Approval and of its request.
	Approval string `json:"approval,omitempty"`
	Request  string `json:"request,omitempty"`
	// Count is how many votes there are.
	Count int64 `json:"count,omitempty"`
	// Hash is the hash of the envelope of the last vote, or of the Approval where there is none.
	Hash string `json:"hash,omitempty"`
}

// Type is head.v1.
func (*Head) Type() Type { return TypeHead }

func (p *Head) check() error {
	var m missing
	m.add(p.Common.check())
	m.text("namespace", p.Namespace)
	m.text("approval", p.Approval)
	m.text("request", p.Request)
	m.sum("hash", p.Hash)
	if p.Count < 0 {
		m.add(fmt.Errorf("count is %d", p.Count))
	}
	return m.err()
}

// HeadPayload builds head.v1 for an Approval whose chain of votes has been verified.
func HeadPayload(ap *v1alpha1.Approval, at Position, s Stamp) (*Head, error) {
	var m millis
	return built(&Head{
		Common:   s.common(&m, approvals, ap.Namespace),
		Approval: string(ap.UID),
		Request:  string(ap.Spec.RequestRef.UID),
		Count:    at.Count,
		Hash:     at.Hash,
	}, &m)
}
