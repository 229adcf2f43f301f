package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

const (
	// stateKey is the key of a state in its Secret, packed by gzip.
	stateKey = "state"
	// lockInfo is the annotation of a Lease that says who holds the lock, in the words of the program.
	lockInfo = "signoff.dev/lock-info"
	maxState = 16 << 20
	// patience is how long an API server may be away until a state is given up.
	patience = 2 * time.Minute
)

// state is one state: a Secret, and a Lease while it is locked. To the program it is a backend of the kind http, inside this Pod.
//
// The program has a backend for Kubernetes of its own. That one writes a state which is not there yet when it plans, and who plans here may not write.
type state struct {
	name    string
	secrets corev1client.SecretInterface
	leases  coordinationv1client.LeaseInterface

	mu sync.Mutex
	// seen is the Secret as it was read or written last. Nil: it was not there.
	seen *corev1.Secret
	// written says that a write was tried.
	written bool
}

// serve serves the state until it is closed, and tells the program where, by variables.
func (s *state) serve() (server *httptest.Server, variables []string) {
	server = httptest.NewServer(s)
	for _, name := range []string{"TF_HTTP_ADDRESS", "TF_HTTP_LOCK_ADDRESS", "TF_HTTP_UNLOCK_ADDRESS"} {
		variables = append(variables, name+"="+server.URL)
	}
	return server, variables
}

// ServeHTTP does what the program asks for, one thing after the other.
func (s *state) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxState))
	status, content := http.StatusOK, []byte(nil)
	if err == nil {
		status, content, err = s.answer(r.Context(), r.Method, body)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		// Not one of the codes after which the program would ask again.
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(content)
}

// answer gives what the program is told, and with which status.
func (s *state) answer(ctx context.Context, method string, body []byte) (status int, content []byte, err error) {
	status = http.StatusOK
	switch method {
	case http.MethodGet:
		if content, err = s.read(ctx); content == nil {
			status = http.StatusNoContent
		}
	case http.MethodPost:
		err = s.write(ctx, body)
	case "LOCK":
		if content, err = s.lock(ctx, body); content != nil {
			status = http.StatusLocked
		}
	case "UNLOCK":
		err = s.unlock(ctx)
	default:
		err = fmt.Errorf("the state knows no %s", method)
	}
	return status, content, err
}

// read gives the state. Nil: there is none yet.
func (s *state) read(ctx context.Context) ([]byte, error) {
	var secret *corev1.Secret
	err := patiently(ctx, func(ctx context.Context) (err error) {
		secret, err = s.secrets.Get(ctx, s.name, metav1.GetOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		s.seen = nil
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("failed to read the state: %w", err)
	}
	s.seen = secret
	packed, err := gzip.NewReader(bytes.NewReader(secret.Data[stateKey]))
	if err != nil {
		return nil, fmt.Errorf("failed to unpack the state: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(packed, maxState))
	if err != nil {
		return nil, fmt.Errorf("failed to unpack the state: %w", err)
	}
	return content, nil
}

// write writes the state, where nobody else has written it since it was read.
func (s *state) write(ctx context.Context, content []byte) error {
	s.written = true
	var packed bytes.Buffer
	pack := gzip.NewWriter(&packed)
	_, err := pack.Write(content)
	if err = cmp.Or(err, pack.Close()); err != nil {
		return fmt.Errorf("failed to pack the state: %w", err)
	}
	err = patiently(ctx, func(ctx context.Context) error {
		stored, err := s.store(ctx, packed.Bytes())
		if err == nil {
			s.seen = stored
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("failed to write the state: %w", err)
	}
	return nil
}

// store tries once to store the packed state in place of the one that was seen.
func (s *state) store(ctx context.Context, packed []byte) (stored *corev1.Secret, err error) {
	data := map[string][]byte{stateKey: packed}
	if s.seen == nil {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: s.name}, Data: data}
		stored, err = s.secrets.Create(ctx, secret, metav1.CreateOptions{})
	} else {
		secret := s.seen.DeepCopy()
		secret.Data = data
		stored, err = s.secrets.Update(ctx, secret, metav1.UpdateOptions{})
	}
	if !apierrors.IsAlreadyExists(err) && !apierrors.IsConflict(err) {
		return stored, err
	}
	// Either somebody else has written, or an earlier try did, and only its answer was lost.
	there, unknown := s.secrets.Get(ctx, s.name, metav1.GetOptions{})
	if unknown != nil {
		return nil, unknown
	}
	if !bytes.Equal(there.Data[stateKey], packed) {
		return nil, err
	}
	return there, nil
}

// patiently asks until there is an answer. What has been made is known to the state alone, so a state is not lost because the API server restarts.
func patiently(ctx context.Context, ask func(context.Context) error) (err error) {
	_ = wait.PollUntilContextTimeout(ctx, time.Second, patience, true, func(ctx context.Context) (bool, error) {
		err = ask(ctx)
		return err == nil || lasting(err), nil
	}) // what it says is that time is up; the last answer says why
	return err
}

// lasting says of an answer that it would be the same a second later.
func lasting(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) ||
		apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsRequestEntityTooLargeError(err)
}

// lock locks the state, or tells who has. A lock whose Job is gone stays, until somebody has looked at what it did, and deletes the Lease.
func (s *state) lock(ctx context.Context, who []byte) (holder []byte, err error) {
	job := os.Getenv("JOB")
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: s.name, Annotations: map[string]string{lockInfo: string(who)}},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &job},
	}
	_, err = s.leases.Create(ctx, lease, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		if err != nil {
			err = fmt.Errorf("failed to lock the state: %w", err)
		}
		return nil, err
	}
	other, err := s.leases.Get(ctx, s.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return []byte("{}"), nil // it is gone by now: the program asks again
	case err != nil:
		return nil, fmt.Errorf("failed to see who has locked the state: %w", err)
	}
	return []byte(cmp.Or(other.Annotations[lockInfo], "{}")), nil
}

func (s *state) unlock(ctx context.Context) error {
	if err := s.leases.Delete(ctx, s.name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("failed to unlock the state: %w", err)
	}
	return nil
}

// untouched tells that nobody has even tried to write the state.
func (s *state) untouched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.written
}

// version tells which state there is: its lineage, which no two states share, and its serial, which grows with every change.
func (s *state) version(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, err := s.read(ctx)
	if err != nil || content == nil {
		return "none", err
	}
	var state struct {
		Serial  int64
		Lineage string
	}
	if err := json.Unmarshal(content, &state); err != nil {
		return "", fmt.Errorf("failed to read the state: %w", err)
	}
	return fmt.Sprintf("%s serial %d", state.Lineage, state.Serial), nil
}
