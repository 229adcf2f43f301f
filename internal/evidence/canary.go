package evidence

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/signoff-dev/signoff/internal/seal"
)

// Prove gives what only the process of admission can make of a nonce: "<milliseconds>.<seal>".
func (b *Book) Prove(nonce string, at time.Time) (string, error) {
	at = Instant(at).Time
	e, err := b.sign(seal.CanaryPayload(nonce, seal.Stamp{Cluster: b.cluster, IssuedAt: at}))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d.%s", at.UnixMilli(), e.Seal), nil
}

// CheckProof tells whether the process of admission made a proof of this nonce. That it is fresh is told by the nonce.
func (b *Book) CheckProof(nonce, proof string) error {
	millis, text, _ := strings.Cut(proof, ".")
	at, err := strconv.ParseInt(millis, 10, 64)
	if err != nil {
		return errors.New("the proof is not one of Signoff's")
	}
	p, err := seal.CanaryPayload(nonce, seal.Stamp{Cluster: b.cluster, IssuedAt: time.UnixMilli(at)})
	_, err = b.verify("the proof", p, err, text)
	return err
}
