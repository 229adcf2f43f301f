package seal

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// maxText is longer than any seal.
const maxText = 256

var (
	// encoding is strict: two texts never mean the same bytes.
	encoding = base64.RawURLEncoding.Strict()
	keyID    = regexp.MustCompile(`^[0-9a-f]{16}$`)
	version  = regexp.MustCompile(`^v[1-9][0-9]{0,3}$`)
)

// Seal is a signature, as it is stored: "v1.<key id>.<signature>".
type Seal struct {
	// Version is the version of the payload that was signed.
	Version int
	// KeyID is the key that signed.
	KeyID string
	// Signature is the signature.
	Signature [ed25519.SignatureSize]byte
}

// String gives the seal as it is stored.
func (s Seal) String() string {
	return fmt.Sprintf("v%d.%s.%s", s.Version, s.KeyID, encoding.EncodeToString(s.Signature[:]))
}

// ParseSeal reads a seal as it is stored.
func ParseSeal(text string) (Seal, error) {
	var s Seal
	if len(text) > maxText {
		return s, malformed("failed to read seal: it has %d bytes", len(text))
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 || !version.MatchString(parts[0]) || !keyID.MatchString(parts[1]) {
		return s, malformed("failed to read seal %q: it is not v1.<16 hexadecimal digits>.<signature>", text)
	}
	number, err := strconv.Atoi(parts[0][1:])
	if err != nil {
		return s, malformed("failed to read seal %q: its version is no number", text)
	}
	s.Version, s.KeyID = number, parts[1]
	// A line break within is skipped by the decoder, so the length is checked as well.
	if len(parts[2]) != encoding.EncodedLen(len(s.Signature)) {
		return s, malformed("failed to read seal %q: the signature is not 64 bytes in base64url without padding", text)
	}
	if n, err := encoding.Decode(s.Signature[:], []byte(parts[2])); err != nil || n != len(s.Signature) {
		return s, malformed("failed to read seal %q: the signature is not 64 bytes in base64url without padding", text)
	}
	return s, nil
}

// keyIDOf is the first 8 bytes of the hash of a public key.
func keyIDOf(hash [32]byte) string { return hex.EncodeToString(hash[:8]) }
