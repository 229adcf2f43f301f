package keyholder

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/seal"
)

// maxRounds is how often it is looked again at once. The longest way, from a first key to all that is to be done, is shorter.
const maxRounds = 8

// settle reads, reports and takes steps until nothing is left to do now.
func (h *Holder) settle(ctx context.Context) error {
	for range maxRounds {
		if more, err := h.round(ctx); err != nil || !more {
			return err
		}
	}
	return nil
}

// round reads everything once, reports, and takes at most one step per purpose. It tells whether something has changed by that.
func (h *Holder) round(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	leave, err := h.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	before := h.signing()
	errs := []error{h.look(ctx)}
	errs = append(errs, h.report(ctx))
	more := !slices.Equal(before, h.signing())
	sweeps := false
	for _, purpose := range h.options.Holds {
		if h.leading[purpose].Load() <= 0 {
			continue
		}
		done, err := h.step(ctx, purpose)
		more, sweeps, errs = more || done, true, append(errs, err)
	}
	if sweeps {
		errs = append(errs, h.sweep(ctx))
	}
	return more, errors.Join(errs...)
}

// signing are the keys that are signed with.
func (h *Holder) signing() []string {
	var out []string
	for _, purpose := range h.options.Holds {
		out = append(out, h.signs(purpose))
	}
	return out
}

// step does what is next for a purpose, as just decided on what was read live.
func (h *Holder) step(ctx context.Context, purpose seal.Purpose) (bool, error) {
	next := h.current.Load().standings[purpose].next
	if next == nil {
		return false, nil
	}
	err := h.apply(ctx, purpose, next)
	if h.readings.steps[purpose] = err; err != nil {
		return false, err
	}
	log.FromContext(ctx).WithName("keys").Info("changed the keys", "purpose", purpose, "step", next.Kind, "keys", next.KeyIDs)
	return true, nil
}

func (h *Holder) apply(ctx context.Context, purpose seal.Purpose, next *keys.Step) error {
	if next.Kind != keys.Publish && next.Kind != adopt {
		return keys.Apply(ctx, h.store, purpose, next, nil, rand.Reader)
	}
	found, _, err := h.store.private(ctx, purpose)
	if err != nil {
		return err
	}
	if next.Kind == keys.Publish {
		return keys.Apply(ctx, h.store, purpose, next, found, rand.Reader)
	}
	return h.adopt(ctx, purpose, next, found)
}

// adopt publishes a key that a person has put into files.
func (h *Holder) adopt(ctx context.Context, purpose seal.Purpose, next *keys.Step, found []ed25519.PrivateKey) error {
	return h.store.ChangeDocument(ctx, func(d *keys.Document) (*keys.Document, error) {
		if d == nil {
			d = &keys.Document{}
		}
		for _, key := range found {
			public, _ := key.Public().(ed25519.PublicKey)
			if slices.Contains(next.KeyIDs, seal.KeyID(public)) {
				d.Keys = append(d.Keys, seal.PublicKey{Key: public, Purpose: purpose, NotBefore: next.At})
			}
		}
		return d, nil
	})
}
