package seal

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// Signer makes seals with one private key.
type Signer struct {
	// sign holds the private key. It is a function, because whatever prints a signer, or something that holds one, then prints an address.
	sign func(message []byte) []byte
	// keyed holds a key that is derived from it, in the same way.
	keyed   func(message []byte) []byte
	public  ed25519.PublicKey
	id      string
	purpose Purpose
}

// NewSigner makes a signer for a purpose.
func NewSigner(purpose Purpose, key ed25519.PrivateKey) (*Signer, error) {
	if purpose != Admission && purpose != Controller {
		return nil, fmt.Errorf("failed to make signer: %q is no purpose of a key", purpose)
	}
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("failed to make signer: the private key has %d bytes, not %d", len(key), ed25519.PrivateKeySize)
	}
	// A key whose halves do not belong together makes signatures that give the private half away.
	own := ed25519.NewKeyFromSeed(key.Seed())
	if !own.Equal(key) {
		return nil, errors.New("failed to make signer: the two halves of the private key do not belong together")
	}
	derived, err := hkdf.Key(sha256.New, own.Seed(), nil, keyedInfo, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("failed to make signer: failed to derive the key of hashes: %w", err)
	}
	public, _ := own.Public().(ed25519.PublicKey)
	return &Signer{
		sign: func(message []byte) []byte { return ed25519.Sign(own, message) },
		keyed: func(message []byte) []byte {
			mac := hmac.New(sha256.New, derived)
			mac.Write(message)
			return mac.Sum(nil)
		},
		public: public, id: KeyID(public), purpose: purpose,
	}, nil
}

// KeyID is the name of the key.
func (s *Signer) KeyID() string { return s.id }

// Purpose is what the signer may sign.
func (s *Signer) Purpose() Purpose { return s.purpose }

// Public gives the public half of the key.
func (s *Signer) Public() ed25519.PublicKey { return slices.Clone(s.public) }

// keyedInfo says what the derived key is for. It is used for nothing else.
const keyedInfo = "signoff.dev/keyed-hash.v1"

// Keyed gives a hash of a message that tells nothing to whoever has not the private key, also where only few messages are possible. With another key it
// is another one. A signature could not take its place: whoever guesses the message can verify it.
func (s *Signer) Keyed(message []byte) []byte { return s.keyed(message) }

// Sign seals a payload.
func (s *Signer) Sign(p Payload) (*Envelope, error) {
	if by := p.Type().Signer(); by != s.purpose {
		return nil, &Error{Reason: WrongPurpose, KeyID: s.id, text: fmt.Sprintf("failed to seal %s: it takes the %s key, not the %s key", p.Type(), by, s.purpose)}
	}
	body, err := encode(p)
	if err != nil {
		return nil, err
	}
	e := &Envelope{Type: p.Type(), Body: body, Seal: Seal{Version: p.Type().version(), KeyID: s.id}}
	copy(e.Seal.Signature[:], s.sign(PAE(e.Type, body)))
	return e, nil
}
