package evidence

import (
	"encoding/hex"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/internal/canonical"
	"github.com/signoff-dev/signoff/internal/seal"
)

// keyedPrefix begins a hash that takes a key, whose name follows.
const keyedPrefix = "keyed-"

// Hidden stands, within one request, for something that not everybody may know who reads the hash, as "keyed-<key id>:<hex>". Only the controllers can
// compute it, so nobody can try what few values are possible; and in two requests it is never the same, so nobody can compare.
func (b *Book) Hidden(request types.UID, what []byte) (string, error) {
	message, err := canonical.Encode(hidden{Cluster: b.cluster, Request: request, What: what})
	if err != nil {
		return "", err
	}
	key, hash, err := b.keys.Keyed(seal.Controller, message)
	if err != nil {
		return "", cannotSeal(err)
	}
	return keyedPrefix + key + ":" + hex.EncodeToString(hash), nil
}

// hidden is what is hashed.
type hidden struct {
	Cluster string    `json:"cluster"`
	Request types.UID `json:"request"`
	What    []byte    `json:"what"`
}

// Incomparable tells that two hashes were made with different keys, or only one of them with a key, so that nobody can tell whether they stand for the
// same.
func Incomparable(a, b string) bool {
	one, _, isHash := strings.Cut(a, ":")
	other, _, both := strings.Cut(b, ":")
	return isHash && both && one != other && (strings.HasPrefix(one, keyedPrefix) || strings.HasPrefix(other, keyedPrefix))
}
