package keys

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/signoff-dev/signoff/internal/seal"
)

// Store reads and writes where keys are.
type Store interface {
	// CreatePrivate creates the Secret of a purpose with its first key. It fails where there is one.
	CreatePrivate(ctx context.Context, purpose seal.Purpose, id string, pem []byte) error
	// AddPrivate puts a key into the Secret of a purpose, and creates the Secret where it is gone.
	AddPrivate(ctx context.Context, purpose seal.Purpose, id string, pem []byte) error
	// RemovePrivate takes a key out of the Secret of a purpose.
	RemovePrivate(ctx context.Context, purpose seal.Purpose, id string) error
	// ChangeDocument reads the document live (nil where there is none), lets change alter it, and writes it, unless somebody else
	// did meanwhile.
	ChangeDocument(ctx context.Context, change func(*Document) (*Document, error)) error
}

// errChanged says that what was decided on is no longer so.
var errChanged = errors.New("the keys have changed meanwhile")

// Apply does what was decided to be next. Where it fails half way, the next decision goes on from there. Public holds the private keys
// that are there, by which Publish learns their public halves.
func Apply(ctx context.Context, store Store, purpose seal.Purpose, step *Step, private []ed25519.PrivateKey, random io.Reader) error {
	var err error
	switch step.Kind {
	case CreateFirst:
		err = createFirst(ctx, store, purpose, random)
	case CreateNext:
		err = createNext(ctx, store, purpose, step, random)
	case Publish:
		err = publish(ctx, store, purpose, step, private)
	case Retire:
		err = change(ctx, store, step, func(k *seal.PublicKey) { k.RetiredAt = step.At })
	case RemovePrivate:
		err = store.RemovePrivate(ctx, purpose, step.KeyIDs[0])
	case Drop:
		err = drop(ctx, store, step)
	default:
		err = fmt.Errorf("nobody knows how to do %q", step.Kind)
	}
	if err != nil {
		return fmt.Errorf("failed to change %s key (%s): %w", purpose, step.Kind, err)
	}
	return nil
}

func createFirst(ctx context.Context, store Store, purpose seal.Purpose, random io.Reader) error {
	key, encoded, err := generate(random)
	if err != nil {
		return err
	}
	return store.CreatePrivate(ctx, purpose, idOf(key), encoded)
}

func createNext(ctx context.Context, store Store, purpose seal.Purpose, step *Step, random io.Reader) error {
	key, encoded, err := generate(random)
	if err != nil {
		return err
	}
	err = store.ChangeDocument(ctx, func(d *Document) (*Document, error) {
		return d.with(seal.PublicKey{Key: publicOf(key), Purpose: purpose, NotBefore: step.At}), nil
	})
	if err != nil {
		return err
	}
	return store.AddPrivate(ctx, purpose, idOf(key), encoded)
}

func generate(random io.Reader) (ed25519.PrivateKey, []byte, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, nil, fmt.Errorf("failed to make key: %w", err)
	}
	key := ed25519.NewKeyFromSeed(seed)
	encoded, err := EncodePrivate(key)
	return key, encoded, err
}

func publish(ctx context.Context, store Store, purpose seal.Purpose, step *Step, private []ed25519.PrivateKey) error {
	return store.ChangeDocument(ctx, func(d *Document) (*Document, error) {
		if len(d.of(purpose)) > 0 {
			return nil, errChanged
		}
		for _, key := range private {
			if slices.Contains(step.KeyIDs, idOf(key)) {
				d = d.with(seal.PublicKey{Key: publicOf(key), Purpose: purpose, NotBefore: step.At})
			}
		}
		return d, nil
	})
}

func change(ctx context.Context, store Store, step *Step, alter func(*seal.PublicKey)) error {
	return store.ChangeDocument(ctx, func(d *Document) (*Document, error) {
		if d == nil {
			return nil, errChanged
		}
		for _, id := range step.KeyIDs {
			key := d.find(id)
			if key == nil || !active(key) {
				return nil, errChanged
			}
			alter(key)
		}
		return d, nil
	})
}

func drop(ctx context.Context, store Store, step *Step) error {
	return store.ChangeDocument(ctx, func(d *Document) (*Document, error) {
		if d == nil {
			return nil, errChanged
		}
		d.Keys = slices.DeleteFunc(d.Keys, func(k seal.PublicKey) bool {
			return !active(&k) && slices.Contains(step.KeyIDs, k.ID())
		})
		return d, nil
	})
}

// with adds a key to a document, or to a new one.
func (d *Document) with(key seal.PublicKey) *Document {
	if d == nil {
		d = &Document{}
	}
	d.Keys = append(d.Keys, key)
	return d
}
