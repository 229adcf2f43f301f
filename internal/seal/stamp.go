package seal

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"
)

// Stamp is what every seal needs beside the object. It must be stored: without it the payload cannot be built again.
type Stamp struct {
	// Cluster is the uid of the namespace kube-system.
	Cluster string
	// IssuedAt is when it is sealed, in whole milliseconds.
	IssuedAt time.Time
}

// What is sealed, as "<group>/<resource>".
const (
	requests  = "signoff.dev/actionrequests"
	approvals = "signoff.dev/approvals"
	actions   = "signoff.dev/actions"
	records   = "signoff.dev/records"
	audit     = "signoff.dev/audit"

	delegations = "signoff.dev/delegations"
)

func (s Stamp) common(m *millis, resource, namespace string) Common {
	return Common{Cluster: s.Cluster, Resource: resource, Namespace: namespace, IssuedAt: m.of("iat", s.IssuedAt)}
}

// nonceSize is the size of a nonce in bytes.
const nonceSize = 16

var nonce = regexp.MustCompile(`^[0-9a-f]{32}$`)

// NewNonce draws 128 random bits, as 32 hexadecimal digits.
func NewNonce(random io.Reader) (string, error) {
	bits := make([]byte, nonceSize)
	if _, err := io.ReadFull(random, bits); err != nil {
		return "", fmt.Errorf("failed to draw nonce: %w", err)
	}
	return hex.EncodeToString(bits), nil
}

func (m *missing) nonce(value string) {
	if !nonce.MatchString(value) {
		m.errs = append(m.errs, errors.New("nonce is not 32 hexadecimal digits"))
	}
}
