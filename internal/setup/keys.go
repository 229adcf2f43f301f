package setup

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"time"

	"github.com/signoff-dev/signoff/internal/seal"
)

// ephemeral holds keys in memory. It is replaced by internal/keyholder.
type ephemeral struct {
	signers map[seal.Purpose]*seal.Signer
	ring    *seal.Keyring
}

func newEphemeral(now time.Time) (*ephemeral, error) {
	out := &ephemeral{signers: map[seal.Purpose]*seal.Signer{}}
	var public []seal.PublicKey
	for _, purpose := range []seal.Purpose{seal.Admission, seal.Controller} {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		signer, err := seal.NewSigner(purpose, key)
		if err != nil {
			return nil, err
		}
		out.signers[purpose] = signer
		public = append(public, seal.PublicKey{Key: signer.Public(), Purpose: purpose, NotBefore: now.Add(-time.Minute)})
	}
	ring, err := seal.NewKeyring(public...)
	out.ring = ring
	return out, err
}

func (e *ephemeral) Sign(p seal.Payload) (*seal.Envelope, error) {
	signer := e.signers[p.Type().Signer()]
	if signer == nil {
		return nil, errors.New("there is no key")
	}
	return signer.Sign(p)
}

func (e *ephemeral) Keyring() *seal.Keyring { return e.ring }
