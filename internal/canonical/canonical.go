// Package canonical gives the one form of a document that is hashed and signed: JSON as in RFC 8785 (JCS), without anything that
// two readers could understand differently.
package canonical

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"

	"github.com/gowebpki/jcs"
)

// Prefix says which hash it is.
const Prefix = "sha256:"

var sum = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Encode gives the canonical bytes of a document. It is an error if the document holds something that has no single form: a number
// beyond ±(2^53-1), text that is not valid UTF-8, or an object with a member twice.
func Encode(doc any) ([]byte, error) {
	if err := checkText(doc); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	if err := checkNumbers(raw); err != nil {
		return nil, err
	}
	return jcs.Transform(raw)
}

// Sum gives the hash of canonical bytes, as "sha256:<hex>".
func Sum(canonical []byte) string {
	hash := sha256.Sum256(canonical)
	return Prefix + hex.EncodeToString(hash[:])
}

// SumOf gives the hash of a document.
func SumOf(doc any) (string, error) {
	canonical, err := Encode(doc)
	if err != nil {
		return "", err
	}
	return Sum(canonical), nil
}

// IsSum tells whether a text has the form of a hash.
func IsSum(text string) bool { return sum.MatchString(text) }
