package keys

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/signoff-dev/signoff/internal/seal"
)

const (
	// pemType says that PEM holds PKCS#8.
	pemType = "PRIVATE KEY"
	// pemSuffix ends the names of entries in a Secret.
	pemSuffix = ".pem"
	// maxPEM is how large the PEM of one key may be, in bytes.
	maxPEM = 4 << 10
	// maxPrivate is how many private keys a Secret holds at most: the one in use, the next, and some that are about to go.
	maxPrivate = 8
)

// SecretName gives the Secret that holds the private keys of a purpose.
func SecretName(purpose seal.Purpose) string { return "signoff-" + string(purpose) + "-key" }

// EntryName gives the entry of a Secret that holds a private key.
func EntryName(id string) string { return id + pemSuffix }

// EncodePrivate writes a private key as PEM of PKCS#8, as openssl reads it.
func EncodePrivate(key ed25519.PrivateKey) ([]byte, error) {
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("failed to write private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: raw}), nil
}

// ParsePrivate reads a private key from PEM of PKCS#8: from an entry of a Secret, or from a file. No error shows what was read.
func ParsePrivate(raw []byte) (ed25519.PrivateKey, error) {
	if len(raw) > maxPEM {
		return nil, fmt.Errorf("failed to read private key: it has %d bytes, more than %d", len(raw), maxPEM)
	}
	block, rest := pem.Decode(raw)
	switch {
	case block == nil:
		return nil, errors.New("failed to read private key: it is not PEM")
	case block.Type != pemType || len(block.Headers) > 0:
		return nil, errors.New("failed to read private key: it is not one unencrypted PKCS#8 key (BEGIN PRIVATE KEY)")
	case !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("-----BEGIN ")) || len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("failed to read private key: there is more than one PEM block")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("failed to read private key: it is not PKCS#8")
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("failed to read private key: it is a %T, not Ed25519", parsed)
	}
	return key, nil
}

// ParseSecret reads all private keys of a Secret, sorted by their id. It is an error if an entry is not a private key under its own id.
func ParseSecret(data map[string][]byte) ([]ed25519.PrivateKey, error) {
	if len(data) > maxPrivate {
		return nil, fmt.Errorf("failed to read private keys: the Secret has %d entries, more than %d", len(data), maxPrivate)
	}
	var out []ed25519.PrivateKey
	for _, name := range slices.Sorted(maps.Keys(data)) {
		id, ok := strings.CutSuffix(name, pemSuffix)
		if !ok {
			return nil, fmt.Errorf("failed to read private keys: entry %q does not end in %s", name, pemSuffix)
		}
		key, err := ParsePrivate(data[name])
		if err != nil {
			return nil, fmt.Errorf("entry %q: %w", name, err)
		}
		if own := idOf(key); own != id {
			return nil, fmt.Errorf("failed to read private keys: entry %q holds key %s", name, own)
		}
		out = append(out, key)
	}
	slices.SortFunc(out, func(a, b ed25519.PrivateKey) int { return cmp.Compare(idOf(a), idOf(b)) })
	return out, nil
}

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey {
	public, _ := key.Public().(ed25519.PublicKey)
	return public
}

func idOf(key ed25519.PrivateKey) string { return seal.KeyID(publicOf(key)) }
