package keyholder

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/seal"
)

// tooOld is how old what was read may be while it is signed with: a key is retired on the promise that news arrives within this time.
const tooOld = seal.MaxSkew

// adopt publishes a key that a person put into the files of a purpose and asked for.
const adopt keys.StepKind = "Adopt"

// view is what the process goes by. It never changes.
type view struct {
	ring      *seal.Keyring
	standings map[seal.Purpose]*standing
}

// same tells whether the same keys count, and it stands with those of this process as it did.
func (v *view) same(other *view) bool {
	return slices.EqualFunc(v.ring.Keys(), other.ring.Keys(), func(a, b seal.PublicKey) bool {
		return a.ID() == b.ID() && a.RetiredAt.Equal(b.RetiredAt) && a.RevokedAt.Equal(b.RevokedAt)
	}) && maps.EqualFunc(v.standings, other.standings, func(a, b *standing) bool { return a.state == b.state && a.signs() == b.signs() })
}

// standing is how it stands with the keys of a purpose that this process holds.
type standing struct {
	state   keys.State
	message string
	// signer signs. Nil: nothing does.
	signer *seal.Signer
	// next is what is to be written next. Nil: nothing, or what was read is not fresh.
	next *keys.Step
	// read is when the keys were last read, and failed why not since.
	read   time.Time
	failed error
}

// signs is the key that signs. Empty: none does.
func (s *standing) signs() string {
	if s.signer == nil {
		return ""
	}
	return s.signer.KeyID()
}

// at gives how it stands at a time: what was read too long ago counts for nothing.
func (s *standing) at(now time.Time) *standing {
	// The clock of a machine that slept has stood still, that on the wall may have been set back.
	age := max(now.Sub(s.read), now.Round(0).Sub(s.read.Round(0)))
	if s.signer == nil || age <= tooOld {
		return s
	}
	message := fmt.Sprintf("the keys could not be read for more than %s", tooOld)
	if s.failed != nil {
		message += ": " + s.failed.Error()
	}
	return &standing{state: Unknown, message: message}
}

// decide makes a view of what was read.
func (h *Holder) decide() *view {
	v := &view{ring: h.current.Load().ring, standings: map[seal.Purpose]*standing{}}
	if p := h.readings.public.value; p != nil {
		v.ring = p.ring
	}
	for _, purpose := range h.options.Holds {
		v.standings[purpose] = h.stand(purpose)
	}
	return v
}

// stand decides about the keys of one purpose.
func (h *Holder) stand(purpose seal.Purpose) *standing {
	if s := h.unread(purpose); s != nil {
		return s
	}
	open, own := &h.readings.public, h.readings.private[purpose]
	d := h.ask(purpose)
	s := &standing{
		state: d.State, message: d.Message, signer: own.value.signers[d.Sign],
		read: open.at, failed: errors.Join(open.failed, own.failed),
	}
	if own.at.Before(s.read) {
		s.read = own.at
	}
	if h.fresh(purpose) {
		s.next = d.Next
	}
	if len(d.Stray) > 0 {
		s.remark("not used, because never published or dropped: key " + strings.Join(d.Stray, ", "))
	}
	s.remark(open.value.remarks[purpose])
	if err := h.readings.steps[purpose]; err != nil && d.Next != nil {
		s.remark(err.Error())
	}
	return s
}

// unread says why nothing can be decided, or nil.
func (h *Holder) unread(purpose seal.Purpose) *standing {
	open, own, sealed := &h.readings.public, h.readings.private[purpose], h.readings.sealed[purpose]
	if broken := errors.Join(open.broken, own.broken); broken != nil {
		return &standing{state: Unreadable, message: broken.Error()}
	}
	if !open.at.IsZero() && !own.at.IsZero() && (!h.asks(purpose) || !sealed.at.IsZero()) {
		return nil
	}
	s := &standing{state: Unknown, message: "the keys have not been read yet"}
	if failed := errors.Join(open.failed, own.failed, sealed.failed); failed != nil {
		s.message = failed.Error()
	}
	return s
}

// asks tells whether it matters that something is sealed: no public key of the purpose is known.
func (h *Holder) asks(purpose seal.Purpose) bool {
	return !knows(h.readings.public.value.document, purpose)
}

// fresh tells whether all that a step is decided on has just been read.
func (h *Holder) fresh(purpose seal.Purpose) bool {
	r := h.readings
	return r.public.fresh() && r.private[purpose].fresh() && r.replicas.fresh() && (!h.asks(purpose) || r.sealed[purpose].fresh())
}

// remark adds something to the message for people.
func (s *standing) remark(text string) {
	if text != "" {
		s.message += "; " + text
	}
}

// ask asks internal/keys.
func (h *Holder) ask(purpose seal.Purpose) keys.Decision {
	open, own := h.readings.public.value, h.readings.private[purpose].value
	o := &keys.Observed{
		Purpose: purpose, Document: open.document,
		Private: slices.Sorted(maps.Keys(own.signers)), PrivateSince: own.since,
		Sealed: h.readings.sealed[purpose].value, Asked: open.asked[purpose],
		Replicas: h.live(purpose), Now: h.options.Clock.Now().Truncate(time.Millisecond),
	}
	policy := keys.Policy{KeepFor: h.options.KeepFor, MaxAge: h.options.MaxKeyAge}
	path, file := h.options.Files[purpose]
	if !file {
		return keys.Decide(o, policy)
	}
	o.Private = slices.DeleteFunc(o.Private, func(id string) bool { return over(open.document, id, o.Now) })
	return fromFile(keys.Decide(o, policy), path)
}

// over tells whether a key signs nothing any more. In a file, only a person can remove it, and nothing else must wait for that.
func over(d *keys.Document, id string, now time.Time) bool {
	if d == nil {
		return false
	}
	return slices.ContainsFunc(d.Keys, func(k seal.PublicKey) bool {
		return k.ID() == id && (!k.RevokedAt.IsZero() || (!k.RetiredAt.IsZero() && now.After(k.RetiredAt)))
	})
}

// fromFile turns a decision about keys in files into what can be done there: a new key is one that a person has put beside the old one.
func fromFile(d keys.Decision, path string) keys.Decision {
	if d.Next == nil || (d.Next.Kind != keys.CreateFirst && d.Next.Kind != keys.CreateNext) {
		return d
	}
	if d.Next.Kind == keys.CreateNext && len(d.Stray) == 1 {
		d.Next = &keys.Step{Kind: adopt, KeyIDs: d.Stray, At: d.Next.At}
		return d
	}
	d.Next = nil
	d.Message += "; put a new key into " + path
	return d
}
