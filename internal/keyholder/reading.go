package keyholder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/seal"
)

// annotationNew begins the annotation on the ConfigMap by which a person asks for a new key; the purpose ends it.
const annotationNew = "keys.signoff.dev/new-"

// reading is the last that was read of something, and what went wrong since.
type reading[T any] struct {
	value T
	// at is when the value was read. Zero: never.
	at time.Time
	// broken says that what is stored now cannot be understood, failed that the last attempt to read it failed.
	broken, failed error
}

func (r *reading[T]) put(at time.Time, value T, err error) error {
	var broken *brokenError
	switch {
	case err == nil:
		*r = reading[T]{value: value, at: at}
	case errors.As(err, &broken):
		r.broken, r.failed = err, nil
	default:
		r.failed = err
	}
	return err
}

// fresh tells whether the last attempt gave the value.
func (r *reading[T]) fresh() bool { return r.broken == nil && r.failed == nil && !r.at.IsZero() }

// public is what the ConfigMap says.
type public struct {
	document *keys.Document
	ring     *seal.Keyring
	// asked is when a person asked for a new key, remarks what is wrong with such an annotation.
	asked   map[seal.Purpose]time.Time
	remarks map[seal.Purpose]string
}

// private are the private keys of a purpose, in signers, which do not give them away.
type private struct {
	signers map[string]*seal.Signer
	since   time.Time
}

// readings are what was read of everything that this process needs to know. Who reads holds the turnstile.
type readings struct {
	public   reading[*public]
	private  map[seal.Purpose]*reading[*private]
	sealed   map[seal.Purpose]*reading[bool]
	replicas reading[*replicas]
	// steps are the errors of the last steps.
	steps map[seal.Purpose]error
}

func newReadings(holds []seal.Purpose) *readings {
	r := &readings{private: map[seal.Purpose]*reading[*private]{}, sealed: map[seal.Purpose]*reading[bool]{}, steps: map[seal.Purpose]error{}}
	for _, purpose := range holds {
		r.private[purpose], r.sealed[purpose] = &reading[*private]{}, &reading[bool]{}
	}
	return r
}

// read reads everything live. The document comes first: a key that was published afterwards would otherwise look as if its private half
// were lost.
func (h *Holder) read(ctx context.Context) error {
	now := h.options.Clock.Now()
	r := h.readings
	found, err := h.readPublic(ctx)
	errs := []error{r.public.put(now, found, err)}
	for _, purpose := range h.options.Holds {
		found, err := h.readPrivate(ctx, purpose)
		errs = append(errs, r.private[purpose].put(now, found, err))
		if r.public.fresh() && h.asks(purpose) {
			errs = append(errs, h.readSealed(ctx, purpose, now))
		}
	}
	others, err := h.readReplicas(ctx)
	return errors.Join(append(errs, r.replicas.put(now, others, err))...)
}

func (h *Holder) readSealed(ctx context.Context, purpose seal.Purpose, now time.Time) error {
	sealed, err := h.options.Sealed(ctx, purpose)
	if err != nil {
		err = fmt.Errorf("failed to find out whether the %s key has sealed anything: %w", purpose, err)
	}
	return h.readings.sealed[purpose].put(now, sealed, err)
}

func (h *Holder) readPublic(ctx context.Context) (*public, error) {
	found, document, err := h.store.document(ctx)
	if err != nil {
		return nil, err
	}
	ring, err := document.Keyring()
	if err != nil {
		return nil, &brokenError{err}
	}
	out := &public{document: document, ring: ring, asked: map[seal.Purpose]time.Time{}, remarks: map[seal.Purpose]string{}}
	if found != nil {
		out.wishes(found)
	}
	return out, nil
}

// wishes reads when people asked for new keys.
func (p *public) wishes(found *corev1.ConfigMap) {
	for _, purpose := range []seal.Purpose{seal.Admission, seal.Controller} {
		name := annotationNew + string(purpose)
		text, ok := found.Annotations[name]
		if !ok {
			continue
		}
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			p.remarks[purpose] = "the annotation " + name + " is not a time like 2026-11-23T12:00:00Z"
			continue
		}
		p.asked[purpose] = at.UTC()
	}
}

func (h *Holder) readPrivate(ctx context.Context, purpose seal.Purpose) (*private, error) {
	found, since, err := h.store.private(ctx, purpose)
	if err != nil {
		return nil, err
	}
	out := &private{signers: map[string]*seal.Signer{}, since: since}
	for _, key := range found {
		signer, err := seal.NewSigner(purpose, key)
		if err != nil {
			return nil, &brokenError{err}
		}
		out.signers[signer.KeyID()] = signer
	}
	return out, nil
}

func knows(d *keys.Document, purpose seal.Purpose) bool {
	return d != nil && slices.ContainsFunc(d.Keys, func(k seal.PublicKey) bool { return k.Purpose == purpose })
}
