package keys

import (
	"cmp"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	stdjson "encoding/json"

	"sigs.k8s.io/json"

	"github.com/signoff-dev/signoff/internal/seal"
)

const (
	// DocumentName is the ConfigMap that holds the public keys, and DocumentKey the entry in it.
	DocumentName = "signoff-keys"
	// DocumentKey is the entry of the ConfigMap.
	DocumentKey = "keys.json"
	// APIVersion stands at the head of the document.
	APIVersion = "keys.signoff.dev/v1"
	// maxDocument is how large a document may be, in bytes.
	maxDocument = 64 << 10
)

// Document is what is known about all keys: their public halves, and since and until when each counts. It may be given to anybody; it is
// all that is needed to verify offline.
type Document struct {
	// Keys are sorted as in a keyring.
	Keys []seal.PublicKey
}

type document struct {
	APIVersion string  `json:"apiVersion"`
	Keys       []entry `json:"keys"`
}

type entry struct {
	ID        string `json:"id"`
	Purpose   string `json:"purpose"`
	PublicKey string `json:"publicKey"`
	NotBefore string `json:"notBefore"`
	RetiredAt string `json:"retiredAt,omitempty"`
	RevokedAt string `json:"revokedAt,omitempty"`
}

// ParseDocument reads a document. It is strict: a misspelt revokedAt would otherwise revoke nothing.
func ParseDocument(raw []byte) (*Document, error) {
	if len(raw) > maxDocument {
		return nil, fmt.Errorf("failed to read public keys: the document has %d bytes, more than %d", len(raw), maxDocument)
	}
	var doc document
	strict, err := json.UnmarshalStrict(raw, &doc)
	if err := errors.Join(append(strict, err)...); err != nil {
		return nil, fmt.Errorf("failed to read public keys: %w", err)
	}
	if doc.APIVersion != APIVersion {
		return nil, fmt.Errorf("failed to read public keys: apiVersion is %q, not %q", doc.APIVersion, APIVersion)
	}
	out := &Document{}
	for i := range doc.Keys {
		key, err := doc.Keys[i].key()
		if err != nil {
			return nil, fmt.Errorf("failed to read public keys: keys[%d]: %w", i, err)
		}
		out.Keys = append(out.Keys, key)
	}
	if _, err := out.Keyring(); err != nil {
		return nil, fmt.Errorf("failed to read public keys: %w", err)
	}
	out.sort()
	return out, nil
}

func (e *entry) key() (seal.PublicKey, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(e.PublicKey)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return seal.PublicKey{}, fmt.Errorf("publicKey is not %d bytes in base64", ed25519.PublicKeySize)
	}
	key := seal.PublicKey{Key: raw, Purpose: seal.Purpose(e.Purpose)}
	if e.ID != key.ID() {
		return key, fmt.Errorf("id is %q, but that of publicKey is %q", e.ID, key.ID())
	}
	var errs []error
	for _, t := range []struct {
		name, text string
		into       *time.Time
	}{{"notBefore", e.NotBefore, &key.NotBefore}, {"retiredAt", e.RetiredAt, &key.RetiredAt}, {"revokedAt", e.RevokedAt, &key.RevokedAt}} {
		if t.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, t.text)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s is not a time like 2026-11-23T12:00:00Z", t.name))
		case at.UnixMilli() <= 0 || !at.Equal(at.Truncate(time.Millisecond)):
			errs = append(errs, fmt.Errorf("%s is not a time of this age in whole milliseconds", t.name))
		}
		*t.into = at.UTC()
	}
	return key, errors.Join(errs...)
}

// Encode writes the document, in one form.
func (d *Document) Encode() ([]byte, error) {
	if _, err := d.Keyring(); err != nil {
		return nil, fmt.Errorf("failed to write public keys: %w", err)
	}
	out := document{APIVersion: APIVersion, Keys: []entry{}}
	sorted := Document{Keys: slices.Clone(d.Keys)}
	sorted.sort()
	for i := range sorted.Keys {
		k := &sorted.Keys[i]
		out.Keys = append(out.Keys, entry{
			ID: k.ID(), Purpose: string(k.Purpose), PublicKey: base64.StdEncoding.EncodeToString(k.Key),
			NotBefore: text(k.NotBefore), RetiredAt: text(k.RetiredAt), RevokedAt: text(k.RevokedAt),
		})
	}
	raw, err := stdjson.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("failed to write public keys: %w", err)
	}
	return append(raw, '\n'), nil
}

// Keyring gives the keys as what seals are verified with. No document is a keyring without keys.
func (d *Document) Keyring() (*seal.Keyring, error) {
	if d == nil {
		return seal.NewKeyring()
	}
	return seal.NewKeyring(d.Keys...)
}

func (d *Document) sort() {
	slices.SortFunc(d.Keys, func(a, b seal.PublicKey) int {
		return cmp.Or(cmp.Compare(a.Purpose, b.Purpose), a.NotBefore.Compare(b.NotBefore), cmp.Compare(a.ID(), b.ID()))
	})
}

// of gives the keys of a purpose, the newest first.
func (d *Document) of(purpose seal.Purpose) []seal.PublicKey {
	if d == nil {
		return nil
	}
	var out []seal.PublicKey
	for _, key := range d.Keys {
		if key.Purpose == purpose {
			out = append(out, key)
		}
	}
	slices.SortFunc(out, func(a, b seal.PublicKey) int {
		return cmp.Or(b.NotBefore.Compare(a.NotBefore), cmp.Compare(a.ID(), b.ID()))
	})
	return out
}

func (d *Document) find(id string) *seal.PublicKey {
	for i := range d.Keys {
		if d.Keys[i].ID() == id {
			return &d.Keys[i]
		}
	}
	return nil
}

func text(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
}
