package audit

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/internal/seal"
)

// maxOpen is how many Approvals may be open at the same time in a log.
const maxOpen = 1 << 20

// opened is an Approval whose votes are followed.
type opened struct {
	approval *seal.Approval
	// head is the hash of the envelope that the next vote must name, and votes are those of the votes so far.
	head  string
	votes []string
}

// follow carries on what proofs of several lines make together: checkpoints, and the votes on an Approval.
func (v *verifier) follow(l *line, d *Data, p proof) *Gap {
	switch payload := p.payload.(type) {
	case *seal.Checkpoint:
		if !p.valid {
			v.chain().claimed = l.number()
			return nil
		}
		return v.checkpoint(l, payload)
	case *seal.Record:
		return v.rests(l, payload)
	case *seal.Approval:
		return v.approval(l, d, payload, p.envelope)
	case *seal.Vote:
		return v.vote(l, d, payload, p.envelope)
	default:
		return nil
	}
}

func (v *verifier) checkpoint(l *line, p *seal.Checkpoint) *Gap {
	chain := v.chain()
	switch {
	case p.Chain != l.Chain || l.ID != checkpointID(p.Chain, p.Count):
		// No later line says what this one was before it was changed, so all that it says must be signed.
		return v.gap(GapForeign, l.ID, "it signs %d lines of log %s", p.Count, p.Chain)
	case p.Count != l.number()-1:
		return v.gap(GapRemoved, l.ID, "it signs %d lines, and there are %d", p.Count, l.number()-1)
	case p.Head != l.Prev:
		// Which of the lines it was cannot be told: whoever changed one made the hashes of all others anew.
		return &Gap{
			Line: v.lines.number - (l.number() - 1 - chain.Signed), Kind: GapRewritten,
			Message: fmt.Sprintf("the checkpoint on line %d (%s) has signed something else as %s of log %s", v.lines.number, l.ID, numbers(chain.Signed+1, l.number()-1), l.Chain),
		}
	}
	chain.Signed, chain.SignedAt, chain.known = l.number(), p.Issued(), true
	v.report.Checkpoints++
	return nil
}

func checkpointID(chain string, count int64) string {
	return fmt.Sprintf("%s/checkpoint/%d", chain, count)
}

func (v *verifier) approval(l *line, d *Data, p *seal.Approval, e *seal.Envelope) *Gap {
	if _, again := v.open[d.Approval.UID]; again {
		return nil
	}
	if told := v.agreed[d.Request.UID][d.Approval.UID]; told != nil { // told again, after it was closed
		v.open[d.Approval.UID] = told
		return nil
	}
	if len(v.open) >= maxOpen {
		return v.gap(GapMalformed, l.ID, "more than %d Approvals are open at the same time", maxOpen)
	}
	// What it demands is not needed to follow its votes, and there may be many.
	p.Requirements = nil
	v.open[d.Approval.UID] = &opened{approval: p, head: e.Hash()}
	return nil
}

func (v *verifier) vote(l *line, d *Data, p *seal.Vote, e *seal.Envelope) *Gap {
	o, ok := v.open[d.Approval.UID]
	if !ok {
		v.report.Unlinked++
		return nil
	}
	if err := p.On(o.approval, types.UID(d.Approval.UID)); err != nil {
		return v.gap(GapForeign, l.ID, "%s", err)
	}
	hash := e.Hash()
	next := int64(len(o.votes))
	if p.Seq >= 0 && p.Seq < next && o.votes[p.Seq] == hash {
		// The same fact, written twice: a process died before it knew that the first was written.
		return nil
	}
	if p.Seq != next || p.Prev != o.head {
		return v.gap(GapVotes, l.ID, "it is vote %d after %.15s…, and vote %d after %.15s… was to come", p.Seq, p.Prev, next, o.head)
	}
	o.votes, o.head = append(o.votes, hash), hash
	return nil
}

// close forgets an Approval that gets no more votes. How it stood is kept until its request has started or ended.
func (v *verifier) close(l *line, d *Data) {
	switch l.Type {
	case TypeStageClosed:
		if o := v.open[d.Approval.UID]; o != nil && len(v.agreed) < maxOpen {
			if v.agreed[d.Request.UID] == nil {
				v.agreed[d.Request.UID] = map[string]*opened{}
			}
			v.agreed[d.Request.UID][d.Approval.UID] = o
		}
		delete(v.open, d.Approval.UID)
	case TypeReviewDone:
		delete(v.open, d.Approval.UID)
	case TypeStarted, TypeDenied, TypeExpired, TypeCancelled, TypeRejected, TypeRepeated, TypeRequestFailed:
		if d.Request != nil {
			delete(v.agreed, d.Request.UID)
		}
	}
}

// rests tells whether an execution began on the votes that are in the log. What was decided in an earlier log is not known.
func (v *verifier) rests(l *line, p *seal.Record) *Gap {
	if l.Type != TypeStarted {
		return nil
	}
	for i := range p.Approvals {
		on := &p.Approvals[i]
		stood := v.open[on.UID]
		if stood == nil {
			stood = v.agreed[p.Request.UID][on.UID]
		}
		switch {
		case stood == nil:
			v.report.Unlinked += max(on.Votes, 1)
		case int64(len(stood.votes)) != on.Votes || stood.head != on.Head:
			return v.gap(GapVotes, l.ID, "it began on %d votes in stage %s up to %.15s…, and the log has %d up to %.15s…", on.Votes, on.Stage.Name, on.Head, len(stood.votes), stood.head)
		}
	}
	return nil
}

// resumed notes the lines that nobody had signed when another process went on.
func (v *verifier) resumed(l *line, d *Data) *Gap {
	if l.Type != TypeLogResumed {
		return nil
	}
	chain := v.chain()
	if signed := chain.counts(); chain.known && (d.Log.Signed != signed || d.Log.Unsigned != l.number()-1-signed) {
		return v.gap(GapForeign, l.ID, "it says that %d lines were signed and %d were not, which are %d and %d", d.Log.Signed, d.Log.Unsigned, signed, l.number()-1-signed)
	}
	from := d.Log.Signed
	if chain.claimed > chain.Signed {
		from = chain.Signed // what a revoked key has signed, nobody vouches for
	}
	v.unvouched(l.Chain, from+1, l.number()-1)
	return nil
}
