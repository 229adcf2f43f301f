package seal

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/signoff-dev/signoff/internal/canonical"
)

// MaxBody is how large a payload may be, in bytes. The API server stores no larger object by default.
const MaxBody = 1 << 20

// Envelope is a payload with its seal.
type Envelope struct {
	// Type is the type of the payload.
	Type Type
	// Body is the payload in canonical form.
	Body []byte
	// Seal is the signature.
	Seal Seal
}

// PAE gives the bytes that are signed, in the pre-authentication encoding of DSSE.
func PAE(t Type, body []byte) []byte {
	media := t.MediaType()
	out := make([]byte, 0, len("DSSEv1")+len(media)+len(body)+32)
	out = append(out, "DSSEv1 "...)
	out = strconv.AppendInt(out, int64(len(media)), 10)
	out = append(append(append(out, ' '), media...), ' ')
	out = strconv.AppendInt(out, int64(len(body)), 10)
	return append(append(out, ' '), body...)
}

// DSSE gives the envelope as DSSE in JSON, in canonical form. Other tools that know DSSE can read it.
func (e *Envelope) DSSE() []byte {
	std := base64.StdEncoding
	out := make([]byte, 0, std.EncodedLen(len(e.Body))+len(e.Type)+256)
	out = std.AppendEncode(append(out, `{"payload":"`...), e.Body)
	out = append(append(out, `","payloadType":"`...), e.Type.MediaType()...)
	out = append(append(out, `","signatures":[{"keyid":"`...), e.Seal.KeyID...)
	out = std.AppendEncode(append(out, `","sig":"`...), e.Seal.Signature[:])
	return append(out, `"}]}`...)
}

// Hash is what the next link of a chain, or a binding such as an adoption, names the envelope by.
func (e *Envelope) Hash() string {
	sum := e.sum()
	return canonical.Prefix + hex.EncodeToString(sum[:])
}

func (e *Envelope) sum() [sha256.Size]byte { return sha256.Sum256(e.DSSE()) }

// Sealed is an envelope as it is written into an audit log, where people and their tools read the payload.
type Sealed struct {
	// Payload is the payload in canonical form.
	Payload json.RawMessage `json:"payload"`
	// Seal is the seal as it is stored.
	Seal string `json:"seal"`
}

// Sealed gives the envelope in the form that is written into an audit log.
func (e *Envelope) Sealed() *Sealed { return &Sealed{Payload: e.Body, Seal: e.Seal.String()} }
