package seal

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"

	"k8s.io/utils/lru"
)

// Verifier verifies seals, and remembers which signatures it has found good. Whether the key still counts is asked every time. It may be
// used concurrently.
type Verifier struct{ good *lru.Cache }

// NewVerifier makes a verifier that remembers so many signatures. With none it remembers nothing.
func NewVerifier(size int) *Verifier {
	if size <= 0 {
		return &Verifier{}
	}
	return &Verifier{good: lru.New(size)}
}

// Verify tells whether a text is the seal of a payload, by the keys of a keyring. The error is an *Error, whose reason says whether
// it is worth to look again.
func Verify(p Payload, text string, ring *Keyring) (*Envelope, error) {
	return (&Verifier{}).Verify(p, text, ring)
}

// Verify tells whether a text is the seal of a payload, as the function Verify does.
func (v *Verifier) Verify(p Payload, text string, ring *Keyring) (*Envelope, error) {
	e, err := v.verify(p, text, ring)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// verify is Verify, which gives the envelope also where its signature is good and only its key does not count.
func (v *Verifier) verify(p Payload, text string, ring *Keyring) (*Envelope, error) {
	s, err := ParseSeal(text)
	if err != nil {
		return nil, err
	}
	t := p.Type()
	if s.Version != t.version() {
		return nil, &Error{Reason: UnknownVersion, KeyID: s.KeyID, text: fmt.Sprintf("failed to verify %s: the seal is of version %d", t, s.Version)}
	}
	key, ok := ring.Get(s.KeyID)
	if !ok {
		return nil, &Error{Reason: UnknownKey, KeyID: s.KeyID, text: fmt.Sprintf("failed to verify %s: key %s is not known", t, s.KeyID)}
	}
	if key.Purpose != t.Signer() {
		return nil, &Error{Reason: WrongPurpose, KeyID: s.KeyID, text: fmt.Sprintf("failed to verify %s: %s is a key for %s", t, s.KeyID, key.Purpose)}
	}
	body, err := encode(p)
	if err != nil {
		return nil, err
	}
	e := &Envelope{Type: t, Body: body, Seal: s}
	if !v.signed(e, key.Key) {
		return nil, &Error{Reason: Mismatch, KeyID: s.KeyID, text: fmt.Sprintf("failed to verify %s: the seal belongs to something else", t)}
	}
	// Only now it is known that the time was not made up by somebody without the key.
	if err := key.at(p); err != nil {
		return e, err
	}
	return e, nil
}

func (v *Verifier) signed(e *Envelope, key ed25519.PublicKey) bool {
	if v.good == nil {
		return ed25519.Verify(key, PAE(e.Type, e.Body), e.Seal.Signature[:])
	}
	seen := seenAs(e, key)
	if _, ok := v.good.Get(seen); ok {
		return true
	}
	if !ed25519.Verify(key, PAE(e.Type, e.Body), e.Seal.Signature[:]) {
		// Not remembered: bad seals are free to make, and would push the good ones out.
		return false
	}
	v.good.Add(seen, struct{}{})
	return true
}

// Remember notes that a signature is good because this process made it, so that it is not computed again where the object comes back.
func (v *Verifier) Remember(e *Envelope, key ed25519.PublicKey) {
	if v.good != nil {
		v.good.Add(seenAs(e, key), struct{}{})
	}
}

// seenAs is what a signature is remembered by. The key is part of it: its name in the envelope is only the beginning of its hash.
func seenAs(e *Envelope, key ed25519.PublicKey) [sha256.Size]byte {
	return sha256.Sum256(append(e.DSSE(), key...))
}

// at tells whether the key counted when the payload was sealed.
func (k *PublicKey) at(p Payload) error {
	issued := p.Issued()
	fail := func(reason Reason, text string) error {
		return &Error{Reason: reason, KeyID: k.ID(), text: fmt.Sprintf("failed to verify %s: it was sealed %s", p.Type(), text)}
	}
	switch {
	case !k.RevokedAt.IsZero() && issued.After(k.RevokedAt):
		return fail(Revoked, "after key "+k.ID()+" was revoked")
	case !k.RetiredAt.IsZero() && issued.After(k.RetiredAt):
		return fail(Retired, "after key "+k.ID()+" was retired")
	case issued.Before(k.NotBefore):
		return fail(NotYetValid, "before key "+k.ID()+" was in use")
	}
	return nil
}

// Open verifies an envelope that was written down, such as one in an audit log, and gives what it says. With the error Revoked it gives that too: the holder of the
// key signed it, whoever that was by then.
func (v *Verifier) Open(t Type, s *Sealed, ring *Keyring) (Payload, *Envelope, error) {
	p, err := ParsePayload(t, s.Payload)
	if err != nil {
		return nil, nil, err
	}
	e, err := v.verify(p, s.Seal, ring)
	if err == nil || ReasonOf(err) == Revoked {
		return p, e, err
	}
	return nil, nil, err
}
