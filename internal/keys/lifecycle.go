package keys

import (
	"fmt"
	"time"

	"github.com/signoff-dev/signoff/internal/seal"
)

// State is how it stands with the keys of a purpose.
type State string

const (
	// Absent means that there is no key and never was one.
	Absent State = "Absent"
	// Unpublished means that there is a private key that nobody can verify with yet.
	Unpublished State = "Unpublished"
	// Ready means that there is one key, and it is used.
	Ready State = "Ready"
	// Rotating means that a key is about to replace another one.
	Rotating State = "Rotating"
	// KeyLost means that there was a key, and its private half is gone. Nothing is signed or executed until a person brings it back, or
	// asks for a new one.
	KeyLost State = "KeyLost"
	// DocumentLost means that the public keys are gone, and nobody knows since when the private ones were in use.
	DocumentLost State = "DocumentLost"
	// Ended means that all keys were retired or revoked. Nothing is signed or executed until a person asks for a new one.
	Ended State = "Ended"
)

// StepKind is what is to be written next.
type StepKind string

const (
	// CreateFirst makes the first key. It creates the Secret, and fails where there is one.
	CreateFirst StepKind = "CreateFirst"
	// CreateNext makes a further key: it is published first, so that a private key that was never published is not ours.
	CreateNext StepKind = "CreateNext"
	// Publish puts public keys into the document.
	Publish StepKind = "Publish"
	// Retire says from when a key no longer counts.
	Retire StepKind = "Retire"
	// RemovePrivate removes a private key that must no longer sign.
	RemovePrivate StepKind = "RemovePrivate"
	// Drop removes a public key that nobody needs any more.
	Drop StepKind = "Drop"
)

// Step is what is to be written next. One replica does it, and everything is observed again.
type Step struct {
	Kind StepKind
	// KeyIDs are the keys that it is about.
	KeyIDs []string
	// At is the time that is written: notBefore or retiredAt.
	At time.Time
}

// Decision is what to do about the keys of a purpose.
type Decision struct {
	// State is how it stands.
	State State
	// Sign is the id of the key to sign with. Empty: nothing may be signed.
	Sign string
	// Next is what to write next. Nil: nothing.
	Next *Step
	// Stray are private keys that were never published or were dropped, such as from a backup. They are never used.
	Stray []string
	// Message tells people.
	Message string
}

// Decide says what to do about the keys of a purpose.
func Decide(o *Observed, policy Policy) Decision {
	known := o.Document.of(o.Purpose)
	if len(known) == 0 {
		return o.first()
	}
	d := Decision{Stray: o.stray(known)}
	if own := o.own(); len(own) > 0 {
		o.choose(&d, own)
		d.Next = o.next(d.Sign, known, own, policy)
		return d
	}
	o.lost(&d, known)
	return d
}

// first decides where no public key is known.
func (o *Observed) first() Decision {
	notBefore := o.Now.Add(-before)
	switch {
	case len(o.Private) == 0 && !o.Sealed:
		return Decision{State: Absent, Next: &Step{Kind: CreateFirst}, Message: "there is no key yet"}
	case len(o.Private) == 0 && o.askedLately():
		return Decision{State: KeyLost, Next: o.createNext(), Message: "all keys are lost; somebody asked for a new one"}
	case len(o.Private) == 0:
		return Decision{State: KeyLost, Message: "there are seals, and both halves of their key are gone: bring " + SecretName(o.Purpose) + " and " + DocumentName +
			" back from a backup, or ask for a new key; open requests must then be asked again"}
	case o.Sealed && o.PrivateSince.IsZero():
		return Decision{State: DocumentLost, Message: "there are seals, and " + DocumentName + " is gone: bring it back from a backup"}
	case o.Sealed:
		// No key in the Secret is older than the Secret, so no seal of it becomes too old by this.
		notBefore = o.PrivateSince.Add(-before)
	}
	return Decision{State: Unpublished, Next: &Step{Kind: Publish, KeyIDs: o.Private, At: notBefore}, Message: "the key is not published yet"}
}

// lost decides where public keys are known and none of them can sign.
func (o *Observed) lost(d *Decision, known []seal.PublicKey) {
	d.State, d.Message = Ended, "all keys were retired or revoked: ask for a new one"
	for i := range known {
		if active(&known[i]) {
			d.State = KeyLost
			d.Message = fmt.Sprintf("the private half of key %s is gone: bring %s back from a backup, or ask for a new key; open requests must then be asked again",
				known[i].ID(), SecretName(o.Purpose))
			break
		}
	}
	switch {
	case o.revoked(known) != nil:
		d.Next = o.revoked(known)
	case o.askedLately() && o.askedSince(&known[0]):
		d.Next = o.createNext()
	}
}

// choose decides which key signs: the newest that all replicas know. Until they all do, it is the oldest.
func (o *Observed) choose(d *Decision, own []seal.PublicKey) {
	d.State, d.Message = Ready, "key "+own[0].ID()+" is used"
	d.Sign = own[len(own)-1].ID()
	if len(own) == 1 {
		return
	}
	d.State = Rotating
	waiting := ""
	for i := range own[:len(own)-1] {
		if waiting = o.ignorant(own[i].ID()); waiting == "" && len(o.Replicas) > 0 {
			d.Sign = own[i].ID()
			break
		}
	}
	d.Message = fmt.Sprintf("key %s replaces key %s: %s signs now", own[0].ID(), own[len(own)-1].ID(), d.Sign)
	if d.Sign != own[0].ID() && waiting != "" {
		d.Message += "; " + waiting + " does not know the new one yet"
	}
}

func (o *Observed) createNext() *Step { return &Step{Kind: CreateNext, At: o.Now.Add(-before)} }

// askedLately tells whether a person asked so recently that they know what they ask for: the old key is lost.
func (o *Observed) askedLately() bool {
	return !o.Asked.IsZero() && !o.Asked.After(o.Now) && o.Now.Sub(o.Asked) <= askedFor
}

// askedSince tells whether a person asked for a new key after this one was made. It must not be in the future, or the new key would be
// older than the wish as well, and one key would be made after the other.
func (o *Observed) askedSince(k *seal.PublicKey) bool {
	return !o.Asked.After(o.Now) && o.Asked.After(made(k))
}

// stray are private keys without a public one.
func (o *Observed) stray(known []seal.PublicKey) []string {
	var out []string
	for _, id := range o.Private {
		if find(known, id) == nil {
			out = append(out, id)
		}
	}
	return out
}

func find(known []seal.PublicKey, id string) *seal.PublicKey {
	for i := range known {
		if known[i].ID() == id {
			return &known[i]
		}
	}
	return nil
}
