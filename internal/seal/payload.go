package seal

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/json"

	"github.com/signoff-dev/signoff/internal/canonical"
)

// Payload is what is sealed. It is one of the types of this package.
type Payload interface {
	// Type names what the payload says, and the version of its form.
	Type() Type
	// Issued is when it was sealed, by the clock of whoever sealed it.
	Issued() time.Time
	// check finds what is missing.
	check() error
}

// Common is in every payload.
type Common struct {
	// Cluster is the uid of the namespace kube-system.
	Cluster string `json:"cluster,omitempty"`
	// Resource is the kind of the object, as "<group>/<resource>".
	Resource string `json:"resource,omitempty"`
	// Namespace is the namespace of the object. Empty where it is in none.
	Namespace string `json:"namespace,omitempty"`
	// IssuedAt is when it was sealed, in milliseconds.
	IssuedAt int64 `json:"iat,omitempty"`
}

// Issued is when it was sealed.
func (c *Common) Issued() time.Time { return time.UnixMilli(c.IssuedAt).UTC() }

func (c *Common) check() error {
	var m missing
	m.text("cluster", c.Cluster)
	m.text("resource", c.Resource)
	m.number("iat", c.IssuedAt)
	return m.err()
}

// encode gives the canonical bytes of a payload.
func encode(p Payload) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, &Error{Reason: Malformed, text: fmt.Sprintf("failed to encode %s", p.Type()), cause: err}
	}
	body, err := canonical.Encode(p)
	if err != nil {
		return nil, &Error{Reason: Malformed, text: fmt.Sprintf("failed to encode %s", p.Type()), cause: err}
	}
	if len(body) > MaxBody {
		return nil, malformed("failed to encode %s: it has %d bytes, more than %d", p.Type(), len(body), MaxBody)
	}
	return body, nil
}

// ParsePayload reads a payload that was written down, such as one in an audit log. It is closed: a member that the type does not
// have, one that is there twice, or a value that would be left out is an error.
func ParsePayload(t Type, raw []byte) (Payload, error) {
	kind, ok := kinds[t]
	if !ok {
		return nil, &Error{Reason: UnknownVersion, text: fmt.Sprintf("failed to read payload: the type %q is not known", t)}
	}
	if len(raw) > MaxBody {
		return nil, malformed("failed to read %s: it has %d bytes, more than %d", t, len(raw), MaxBody)
	}
	p := kind.empty()
	strict, err := json.UnmarshalStrict(raw, p)
	if err := errors.Join(append(strict, err)...); err != nil {
		return nil, &Error{Reason: Malformed, text: fmt.Sprintf("failed to read %s", t), cause: err}
	}
	body, err := encode(p)
	if err != nil {
		return nil, err
	}
	given, err := canonical.Encode(rawJSON(raw))
	if err != nil {
		return nil, &Error{Reason: Malformed, text: fmt.Sprintf("failed to read %s", t), cause: err}
	}
	if !bytes.Equal(body, given) {
		return nil, malformed("failed to read %s: it holds more than the type does", t)
	}
	return p, nil
}
