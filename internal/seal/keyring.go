package seal

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxKeys is how many keys a keyring holds at most.
const MaxKeys = 64

// PublicKey is a key by which seals are verified.
type PublicKey struct {
	// Key is the key.
	Key ed25519.PublicKey
	// Purpose is what the key may sign.
	Purpose Purpose
	// NotBefore is the time from which seals of the key count.
	NotBefore time.Time
	// RetiredAt is the time until which seals of the key count. Zero: it is in use.
	RetiredAt time.Time
	// RevokedAt is the time from which the key is in wrong hands. Zero: it is not.
	RevokedAt time.Time
}

// KeyID gives the name of a public key: the first 8 bytes of its SHA-256, in hexadecimal.
func KeyID(key ed25519.PublicKey) string { return keyIDOf(sha256.Sum256(key)) }

// ID gives the name of the key.
func (k *PublicKey) ID() string { return KeyID(k.Key) }

func (k *PublicKey) check() error {
	switch {
	case len(k.Key) != ed25519.PublicKeySize:
		return fmt.Errorf("a public key has %d bytes, not %d", len(k.Key), ed25519.PublicKeySize)
	case k.Purpose != Admission && k.Purpose != Controller:
		return fmt.Errorf("key %s has the purpose %q, which is neither %s nor %s", k.ID(), k.Purpose, Admission, Controller)
	case k.NotBefore.IsZero():
		return fmt.Errorf("key %s does not say since when it is in use", k.ID())
	}
	return nil
}

// Keyring holds the public keys that are known. It never changes.
type Keyring struct{ keys map[string]PublicKey }

// NewKeyring makes a keyring. It is an error if a key is there twice: what is said about it must be said once.
func NewKeyring(keys ...PublicKey) (*Keyring, error) {
	if len(keys) > MaxKeys {
		return nil, fmt.Errorf("failed to make keyring: it holds at most %d keys, not %d", MaxKeys, len(keys))
	}
	ring := &Keyring{keys: make(map[string]PublicKey, len(keys))}
	var errs []error
	for _, key := range keys {
		if err := key.check(); err != nil {
			errs = append(errs, err)
			continue
		}
		if _, twice := ring.keys[key.ID()]; twice {
			errs = append(errs, fmt.Errorf("key %s is there twice", key.ID()))
		}
		key.Key = slices.Clone(key.Key)
		ring.keys[key.ID()] = key
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("failed to make keyring: %w", err)
	}
	return ring, nil
}

// Get gives the key of that name.
func (r *Keyring) Get(id string) (PublicKey, bool) {
	if r == nil {
		return PublicKey{}, false
	}
	key, ok := r.keys[id]
	return key, ok
}

// Keys gives all keys, in the order of their purpose, then of their age.
func (r *Keyring) Keys() []PublicKey {
	if r == nil {
		return nil
	}
	keys := make([]PublicKey, 0, len(r.keys))
	for _, key := range r.keys {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b PublicKey) int {
		return cmp.Or(cmp.Compare(a.Purpose, b.Purpose), a.NotBefore.Compare(b.NotBefore), cmp.Compare(a.ID(), b.ID()))
	})
	return keys
}
