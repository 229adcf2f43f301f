package evidence

import (
	"fmt"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/seal"
)

// SealApproval seals an Approval before it is created.
func (b *Book) SealApproval(ap *v1alpha1.Approval, at time.Time) (*seal.Envelope, error) {
	s := &v1alpha1.Seal{At: Instant(at)}
	e, err := b.sign(seal.ApprovalPayload(ap, b.stamp(s)))
	if err != nil {
		return nil, err
	}
	s.Signature = e.Seal.String()
	ap.Spec.Seal = s
	return e, nil
}

// Ballot is an Approval of which every part has been verified.
type Ballot struct {
	// Root is the envelope of the Approval, and Votes are those of its votes.
	Root  *seal.Envelope
	Votes []*seal.Envelope
	// End is the end of the chain of votes.
	End seal.Position
}

// Approval verifies an Approval: that the operator opened it, that each vote was given on it by whom it says, that none is missing, and
// that only the operator closed it.
func (b *Book) Approval(ap *v1alpha1.Approval) (*Ballot, error) {
	what := "the Approval " + ap.Name
	if ap.Spec.Seal == nil {
		return nil, &Error{Reason: v1alpha1.ReasonSealInvalid, Message: what + " has no seal: it was not opened by Signoff"}
	}
	p, err := seal.ApprovalPayload(ap, b.stamp(ap.Spec.Seal))
	root, err := b.verify(what, p, err, ap.Spec.Seal.Signature)
	if err != nil {
		return nil, err
	}
	ballot := &Ballot{Root: root, End: seal.Position{Hash: root.Hash()}}
	links := make([]seal.Link, 0, len(ap.Spec.Votes))
	for i := range ap.Spec.Votes {
		link, err := b.vote(ap, p, i, ballot)
		if err != nil {
			return nil, err
		}
		links = append(links, *link)
	}
	return ballot, b.head(ap, links, ballot)
}

// vote verifies one vote, which must continue those before.
func (b *Book) vote(ap *v1alpha1.Approval, of *seal.Approval, i int, ballot *Ballot) (*seal.Link, error) {
	vote := &ap.Spec.Votes[i]
	what := fmt.Sprintf("vote %d on %s (%s by %s)", i+1, ap.Name, vote.Decision, vote.By())
	if vote.Seal == "" {
		return nil, absent(what)
	}
	p, err := b.votePayload(ap, i, ballot.End.Hash)
	e, err := b.verify(what, p, err, vote.Seal)
	if err != nil {
		return nil, err
	}
	if err := p.On(of, ap.UID); err != nil {
		return nil, &Error{Reason: v1alpha1.ReasonSealInvalid, Message: what + " does not belong there: " + err.Error(), cause: err}
	}
	link := &seal.Link{Seq: p.Seq, Prev: p.Prev, Hash: e.Hash()}
	ballot.Votes = append(ballot.Votes, e)
	ballot.End = seal.Position{Count: int64(i + 1), Hash: link.Hash}
	return link, nil
}

func (b *Book) votePayload(ap *v1alpha1.Approval, i int, prev string) (*seal.Vote, error) {
	return seal.VotePayload(ap, &ap.Spec.Votes[i], seal.VoteStamp{Cluster: b.cluster, Seq: int64(i), Prev: prev})
}

// head verifies what the operator knew last.
func (b *Book) head(ap *v1alpha1.Approval, links []seal.Link, ballot *Ballot) error {
	s := ap.Status.Seal
	if s == nil {
		if ap.Status.State != v1alpha1.ApprovalOpen && ap.Status.State != "" {
			return &Error{Reason: v1alpha1.ReasonSealInvalid, Message: fmt.Sprintf("the Approval %s is %s, but not by Signoff", ap.Name, ap.Status.State)}
		}
		return nil
	}
	known := seal.Position{Count: int64(s.Votes), Hash: ballot.Root.Hash()}
	if n := int(s.Votes); n > len(links) {
		return lost("the Approval %s has %d votes, and had %d", ap.Name, len(links), n)
	} else if n > 0 {
		known.Hash = links[n-1].Hash
	}
	p, err := seal.HeadPayload(ap, known, b.stamp(&s.Seal))
	_, err = b.verify(fmt.Sprintf("how the Approval %s stands", ap.Name), p, err, s.Signature)
	return err
}

// SealVote seals the last vote of an Approval, whose other votes are verified first: what continues a broken chain would never count.
func (b *Book) SealVote(ap *v1alpha1.Approval) error {
	last := len(ap.Spec.Votes) - 1
	before := *ap
	before.Spec.Votes = ap.Spec.Votes[:last]
	ballot, err := b.Approval(&before)
	if err != nil {
		return err
	}
	e, err := b.sign(b.votePayload(ap, last, ballot.End.Hash))
	if err != nil {
		return err
	}
	ap.Spec.Votes[last].Seal = e.Seal.String()
	return nil
}

// SealHead seals how an Approval stands, before its status is written. Its votes have been verified.
func (b *Book) SealHead(ap *v1alpha1.Approval, ballot *Ballot, at time.Time) error {
	s := &v1alpha1.ApprovalSeal{Seal: v1alpha1.Seal{At: Instant(at)}, Votes: int32(ballot.End.Count)} //nolint:gosec // the API bounds the votes
	e, err := b.sign(seal.HeadPayload(ap, ballot.End, b.stamp(&s.Seal)))
	if err != nil {
		return err
	}
	s.Signature = e.Seal.String()
	ap.Status.Seal = s
	return nil
}
