package keyholder

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/namedcreate"
	"github.com/signoff-dev/signoff/internal/seal"
)

// annotationFirst says on a Secret which key it was created with.
const annotationFirst = "keys.signoff.dev/first"

// errFile says that the process does not write files with keys: who made them manages them.
var errFile = errors.New("the private key comes from a file, which only a person changes")

// store reads and writes where keys are. Nothing is written over what was not read just before.
type store struct {
	client    client.Client
	namespace string
	files     map[seal.Purpose]string
}

var _ keys.Store = (*store)(nil)

// private reads the private keys of a purpose live, and when what holds them was created.
func (s *store) private(ctx context.Context, purpose seal.Purpose) ([]ed25519.PrivateKey, time.Time, error) {
	if path, ok := s.files[purpose]; ok {
		found, err := readFiles(path)
		return found, time.Time{}, err
	}
	secret, found, err := s.secret(ctx, purpose)
	if secret == nil {
		return nil, time.Time{}, err
	}
	return found, secret.CreationTimestamp.Time, err
}

// secret reads the Secret of a purpose. Nil: there is none.
func (s *store) secret(ctx context.Context, purpose seal.Purpose) (*corev1.Secret, []ed25519.PrivateKey, error) {
	if _, ok := s.files[purpose]; ok {
		return nil, nil, errFile
	}
	secret := &corev1.Secret{}
	name := keys.SecretName(purpose)
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("failed to read Secret %s: %w", name, hushed(err))
	}
	found, err := keys.ParseSecret(secret.Data)
	if err != nil {
		return nil, nil, &brokenError{fmt.Errorf("failed to understand Secret %s: %w", name, err)}
	}
	return secret, found, nil
}

// CreatePrivate creates the Secret of a purpose with its first key. It fails where there is one.
func (s *store) CreatePrivate(ctx context.Context, purpose seal.Purpose, id string, pem []byte) error {
	if _, ok := s.files[purpose]; ok {
		return errFile
	}
	name := keys.SecretName(purpose)
	// Two first keys differ in this annotation, so that only one of them comes to be.
	secret := coreapply.Secret(name, s.namespace).WithType(corev1.SecretTypeOpaque).
		WithAnnotations(map[string]string{annotationFirst: id}).WithData(map[string][]byte{keys.EntryName(id): pem})
	if err := namedcreate.Create(ctx, s.client, secret); err != nil {
		return fmt.Errorf("failed to create Secret %s: %w", name, hushed(err))
	}
	return nil
}

// AddPrivate puts a key into the Secret of a purpose, and creates the Secret where it is gone.
func (s *store) AddPrivate(ctx context.Context, purpose seal.Purpose, id string, pem []byte) error {
	secret, _, err := s.secret(ctx, purpose)
	switch {
	case err != nil:
		return err
	case secret == nil:
		return s.CreatePrivate(ctx, purpose, id, pem)
	case secret.Data == nil:
		secret.Data = map[string][]byte{}
	}
	secret.Data[keys.EntryName(id)] = pem
	return s.update(ctx, secret)
}

// RemovePrivate takes a key out of the Secret of a purpose.
func (s *store) RemovePrivate(ctx context.Context, purpose seal.Purpose, id string) error {
	secret, _, err := s.secret(ctx, purpose)
	if err != nil || secret == nil {
		return err
	}
	delete(secret.Data, keys.EntryName(id))
	return s.update(ctx, secret)
}

// update writes a Secret unless somebody else did meanwhile, by its resourceVersion. One that nobody could read afterwards is not written.
func (s *store) update(ctx context.Context, secret *corev1.Secret) error {
	if _, err := keys.ParseSecret(secret.Data); err != nil {
		return fmt.Errorf("failed to change Secret %s: %w", secret.Name, err)
	}
	if err := s.client.Update(ctx, secret); err != nil {
		return fmt.Errorf("failed to change Secret %s: %w", secret.Name, hushed(err))
	}
	return nil
}

// document reads the ConfigMap live, and the document in it. Nil: there is none.
func (s *store) document(ctx context.Context) (*corev1.ConfigMap, *keys.Document, error) {
	found := &corev1.ConfigMap{}
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: keys.DocumentName}, found)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("failed to read ConfigMap %s: %w", keys.DocumentName, err)
	}
	raw, ok := found.Data[keys.DocumentKey]
	if !ok {
		return found, nil, nil
	}
	document, err := keys.ParseDocument([]byte(raw))
	if err != nil {
		return nil, nil, &brokenError{fmt.Errorf("failed to understand ConfigMap %s: %w", keys.DocumentName, err)}
	}
	return found, document, nil
}

// ChangeDocument reads the document live (nil where there is none), lets change alter it, and writes it, unless somebody else did
// meanwhile.
func (s *store) ChangeDocument(ctx context.Context, change func(*keys.Document) (*keys.Document, error)) error {
	found, document, err := s.document(ctx)
	if err != nil {
		return err
	}
	if document, err = change(document); err != nil {
		return err
	}
	raw, err := document.Encode()
	if err != nil {
		return err
	}
	if err := s.writeDocument(ctx, found, string(raw)); err != nil {
		return fmt.Errorf("failed to write ConfigMap %s: %w", keys.DocumentName, err)
	}
	return nil
}

// writeDocument puts the document into the ConfigMap that was read, or creates it.
func (s *store) writeDocument(ctx context.Context, found *corev1.ConfigMap, document string) error {
	if found == nil {
		return namedcreate.Create(ctx, s.client,
			coreapply.ConfigMap(keys.DocumentName, s.namespace).WithData(map[string]string{keys.DocumentKey: document}))
	}
	if found.Data == nil {
		found.Data = map[string]string{}
	}
	found.Data[keys.DocumentKey] = document
	return s.client.Update(ctx, found)
}
