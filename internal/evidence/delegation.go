package evidence

import (
	"fmt"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/seal"
)

// SealDelegation seals a Delegation before it is created. It must have its name, its namespace and its principal.
func (b *Book) SealDelegation(d *v1alpha1.Delegation, at time.Time) error {
	s := &v1alpha1.Seal{At: Instant(at)}
	e, err := b.sign(seal.DelegationPayload(d, b.stamp(s)))
	if err != nil {
		return err
	}
	s.Signature = e.Seal.String()
	d.Spec.Seal = s
	return nil
}

// Delegation tells whether a Delegation is what its principal made, and was created then: one that is stored again later, such as from a backup
// after it was taken back, is a copy.
func (b *Book) Delegation(d *v1alpha1.Delegation) (*seal.Envelope, error) {
	e, err := b.delegation(d)
	if err != nil {
		return nil, err
	}
	if apart := d.CreationTimestamp.Sub(d.Spec.Seal.At.Time).Abs(); apart > seal.MaxSkew+time.Second {
		return nil, &Error{Reason: v1alpha1.ReasonReplayed, Message: fmt.Sprintf("the Delegation %s/%s is a copy, or was restored: it was created at %s, but sealed at %s",
			d.Namespace, d.Name, d.CreationTimestamp.UTC().Format(time.RFC3339), d.Spec.Seal.At.UTC().Format(time.RFC3339))}
	}
	return e, nil
}

// NewDelegation verifies the seal of a Delegation that the API server is about to create.
func (b *Book) NewDelegation(d *v1alpha1.Delegation) error {
	_, err := b.delegation(d)
	return err
}

func (b *Book) delegation(d *v1alpha1.Delegation) (*seal.Envelope, error) {
	what := fmt.Sprintf("the Delegation %s/%s", d.Namespace, d.Name)
	if d.Spec.Principal == nil || d.Spec.Seal == nil {
		return nil, absent(what)
	}
	p, err := seal.DelegationPayload(d, b.stamp(d.Spec.Seal))
	return b.verify(what, p, err, d.Spec.Seal.Signature)
}
