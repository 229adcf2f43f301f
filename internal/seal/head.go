package seal

import (
	"fmt"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Head is head.v1: how many votes an Approval had, and how it stood. It is sealed by the controller, so that a vote that is removed later is
// missed, and that nobody else can close an Approval.
type Head struct {
	Common
	// Approval and Request are the uids of the Approval and of its request.
	Approval string `json:"approval,omitempty"`
	Request  string `json:"request,omitempty"`
	// Count is how many votes there are.
	Count int64 `json:"count,omitempty"`
	// Hash is the hash of the envelope of the last vote, or of the Approval where there is none.
	Hash string `json:"hash,omitempty"`
	// State is the state, and ClosedAt when it was closed, in milliseconds. 0: it is open.
	State    string `json:"state,omitempty"`
	ClosedAt int64  `json:"closed,omitempty"`
}

var headFields = knownOf[v1alpha1.ApprovalStatus](all("state", "closedAt").
	under("seal", cover{}.
		but("at", "it is the stamp, as iat of the payload").
		but("signature", "it is the signature of this payload").
		but("votes", "it is the count of the payload, which says more with the hash")).
	but("observedGeneration", "it is about the bookkeeping of the API server").
	but("waitingFor", "it is for people and is made anew from the votes").
	but("missing", "it is for people and is made anew from the votes").
	but("decided", "it is for people and is made anew from the votes").
	but("reminders", "it only tells which reminders have been sent").
	but("escalated", "it only tells whether people have been told; who may agree when is in the spec").
	but("conditions", "they are for people and are made anew from the votes"))

// Type is head.v1.
func (*Head) Type() Type { return TypeHead }

func (p *Head) check() error {
	var m missing
	m.add(p.Common.check())
	m.text("namespace", p.Namespace)
	m.text("approval", p.Approval)
	m.text("request", p.Request)
	m.sum("hash", p.Hash)
	m.text("state", p.State)
	if p.Count < 0 {
		m.add(fmt.Errorf("count is %d", p.Count))
	}
	return m.err()
}

// HeadPayload builds head.v1 for an Approval, of whose chain of votes that was the end.
func HeadPayload(ap *v1alpha1.Approval, at Position, s Stamp) (*Head, error) {
	if err := headFields.check(TypeHead, ap.Status); err != nil {
		return nil, err
	}
	var m millis
	return built(&Head{
		Common:   s.common(&m, approvals, ap.Namespace),
		Approval: string(ap.UID),
		Request:  string(ap.Spec.RequestRef.UID),
		Count:    at.Count,
		Hash:     at.Hash,
		State:    string(ap.Status.State),
		ClosedAt: m.at("closedAt", ap.Status.ClosedAt),
	}, &m)
}
