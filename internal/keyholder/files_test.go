package keyholder

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/seal"
)

// newKey makes a key that everybody can make: its id, and as PEM.
func newKey(t *testing.T, name string) (string, []byte) {
	t.Helper()
	seed := sha256.Sum256([]byte("signoff test key " + name))
	key := ed25519.NewKeyFromSeed(seed[:])
	encoded, err := keys.EncodePrivate(key)
	if err != nil {
		t.Fatal(err)
	}
	return seal.KeyID(key.Public().(ed25519.PublicKey)), encoded
}

func write(t *testing.T, path string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func from(path string) func(*Options) {
	return func(o *Options) { o.Files = map[seal.Purpose]string{seal.Admission: path} }
}

// TestFile takes a key from a file: no Secret is made for it, and where the file is not there, no key is.
func TestFile(t *testing.T) {
	p := newPlace(t)
	path := filepath.Join(t.TempDir(), "admission.pem")
	r := p.start("a", from(path))
	if message := p.is(r, seal.Admission, keys.Absent); !strings.Contains(message, path) {
		t.Errorf("the message does not say where a key is missing: %s", message)
	}
	p.is(r, seal.Controller, keys.Ready)
	id, raw := newKey(t, "one")
	write(t, path, raw)
	p.eventually(r.Ready)
	if got := p.sign(r, seal.Admission); got != id || p.secret(seal.Admission) != nil {
		t.Errorf("key %s signs, not that of the file, or there is a Secret", got)
	}

	p.sealed.Store(true)
	write(t, path, []byte("c2VjcmV0IG1hdGVyaWFs"))
	if message := p.is(r, seal.Admission, Unreadable); strings.Contains(message, "c2Vj") || !strings.Contains(message, path) {
		t.Errorf("the message is %s", message)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	p.is(r, seal.Admission, keys.KeyLost)
	p.refuses(r, seal.Admission, Lost)
	write(t, path, raw)
	p.eventually(r.Ready)

	p.remove(p.configMap())
	p.is(r, seal.Admission, keys.DocumentLost)
	p.refuses(r, seal.Admission, Lost)
}

// TestFolder rotates keys in a folder: a person puts the new one beside the old one, asks, and removes the old one when it is retired.
func TestFolder(t *testing.T) {
	p := newPlace(t)
	folder := t.TempDir()
	old, raw := newKey(t, "one")
	write(t, filepath.Join(folder, keys.EntryName(old)), raw)
	// As in a mounted Secret.
	write(t, filepath.Join(folder, "..data"), nil)
	r := p.ready("a", from(folder))
	p.sealed.Store(true)
	p.ask(seal.Admission)
	p.eventually(func() error {
		if _, message := r.State(seal.Admission); !strings.Contains(message, "put a new key into") {
			return errors.New(message)
		}
		return nil
	})
	fresh, raw := newKey(t, "two")
	write(t, filepath.Join(folder, keys.EntryName(fresh)), raw)
	p.eventually(func() error {
		if e, err := r.Sign(p.payload(seal.Admission)); err != nil || e.Seal.KeyID != fresh {
			return errors.Join(errors.New("the new key does not sign"), err)
		}
		return nil
	})
	p.eventually(func() error {
		if public := p.public(seal.Admission); len(public) != 2 || public[0].RetiredAt.IsZero() {
			return errors.New("the old key is not retired")
		}
		return nil
	})
	// The old file is still there, and holds nothing up.
	p.clock.Step(2*seal.MaxSkew + keepFor)
	p.eventually(func() error {
		if public := p.public(seal.Admission); len(public) != 1 {
			return errors.New("the old public key is still there")
		}
		return r.Ready()
	})
	if got := p.sign(r, seal.Admission); got != fresh {
		t.Errorf("key %s signs", got)
	}
	if err := os.Remove(filepath.Join(folder, keys.EntryName(old))); err != nil {
		t.Fatal(err)
	}
	p.passes(r)
	p.eventually(r.Ready)
}
