// Package evidence seals requests, Approvals, votes and Records, and tells whether they are what people and the operator sealed. It is the
// one place that knows from which parts of an object a seal is built; the webhook and the reconcilers ask the same functions. It is pure:
// it knows no client and no clock.
package evidence

import (
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/seal"
)

// remembered is how many good signatures are remembered: enough for all votes of some thousand open requests.
const remembered = 16384

// Keys signs, and knows all public keys.
type Keys interface {
	// Sign seals a payload with the key of its purpose. It is an error if this process has none.
	Sign(seal.Payload) (*seal.Envelope, error)
	// Keyed hashes a message by the key of a purpose, so that it tells nothing to others, and names the key. It is an error if this process has none.
	Keyed(purpose seal.Purpose, message []byte) (key string, hash []byte, err error)
	// Keyring holds all public keys, as far as they are known.
	Keyring() *seal.Keyring
	// Refresh looks whether there are others, and tells whether it could. It is asked for a seal by a key that is not known.
	Refresh() bool
}

// Book seals and verifies for one cluster. It may be used concurrently.
type Book struct {
	cluster  string
	keys     Keys
	verifier *seal.Verifier
}

// NewBook makes a book. Cluster is the uid of the namespace kube-system.
func NewBook(cluster string, keys Keys) *Book {
	return &Book{cluster: cluster, keys: keys, verifier: seal.NewVerifier(remembered)}
}

// Error says why evidence does not hold.
type Error struct {
	// Reason is one of the reason codes of the API.
	Reason string
	// Message is what people read: a sentence without a full stop.
	Message string
	// Wait says that another look may find it valid: a key that is not known yet, or no key to sign with.
	Wait bool
	// Lasting says that there is no key to sign with until a person acts.
	Lasting bool
	cause   error
}

func (e *Error) Error() string { return e.Message }

// Code is the reason.
func (e *Error) Code() string { return e.Reason }

// Passing tells whether another look may find it valid.
func (e *Error) Passing() bool { return e.Wait }

// Unwrap gives what caused the error.
func (e *Error) Unwrap() error { return e.cause }

// Is tells whether an error is one of this package.
func Is(err error) bool { return errors.As(err, new(*Error)) }

// Of gives the error of this package that an error is or wraps. Any other error is one that may be gone at the next look.
func Of(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Reason: v1alpha1.ReasonIndeterminate, Message: err.Error(), Wait: true, cause: err}
}

// broken says what the error of a seal means to people. What is a few words such as "the request".
func broken(what string, err error) *Error {
	reason := seal.ReasonOf(err)
	out := &Error{Reason: v1alpha1.ReasonSealInvalid, Wait: reason.Wait(), cause: err}
	if out.Wait {
		out.Reason = v1alpha1.ReasonIndeterminate
	}
	switch reason {
	case seal.UnknownKey:
		out.Message = fmt.Sprintf("the key that sealed %s is not known here (yet)", what)
	case seal.UnknownVersion:
		out.Message = fmt.Sprintf("a newer version of Signoff sealed %s", what)
	case seal.Revoked, seal.Retired, seal.NotYetValid:
		out.Message = fmt.Sprintf("%s was sealed with a key that did not count then: %s", what, err)
	case seal.Mismatch:
		out.Message = fmt.Sprintf("the seal of %s belongs to something else: it was changed, or made, without Signoff's admission webhook", what)
	case seal.UnknownField:
		out.Message = fmt.Sprintf("%s holds something that its seal does not cover: %s", what, err)
	case seal.Malformed, seal.WrongPurpose:
		out.Message = fmt.Sprintf("%s has no valid seal: %s", what, err)
	default:
		out.Message = fmt.Sprintf("cannot tell whether %s is genuine: %s", what, err)
	}
	return out
}

// absent says that there is no seal where one must be.
func absent(what string) *Error {
	return &Error{Reason: v1alpha1.ReasonNotStamped, Message: what + " was stored while Signoff's admission webhook was absent"}
}

func lost(format string, args ...any) *Error {
	return &Error{Reason: v1alpha1.ReasonEvidenceLost, Message: fmt.Sprintf(format, args...)}
}

func (b *Book) stamp(s *v1alpha1.Seal) seal.Stamp {
	return seal.Stamp{Cluster: b.cluster, IssuedAt: s.At.Time}
}

// sign seals a payload, and remembers that the seal is good.
func (b *Book) sign(p seal.Payload, err error) (*seal.Envelope, error) {
	if err != nil {
		return nil, err
	}
	e, err := b.keys.Sign(p)
	if err != nil {
		return nil, cannotSeal(err)
	}
	if key, ok := b.keys.Keyring().Get(e.Seal.KeyID); ok {
		b.verifier.Remember(e, key.Key)
	}
	return e, nil
}

// keyState is what an error of Keys may say about the keys: in one word, and whether it stays so until a person acts.
type keyState interface {
	KeyState() string
	Lasting() bool
}

// keysRunbook is what administrators read where a key is gone.
const keysRunbook = "docs/guides/operate.md#signoffkeysunusable"

// cannotSeal says that there is no key to seal with.
func cannotSeal(err error) *Error {
	out := &Error{Reason: v1alpha1.ReasonCannotSeal, Message: "Signoff cannot seal anything: " + err.Error(), Wait: true, cause: err}
	if said := keyState(nil); errors.As(err, &said) {
		if out.Lasting = said.Lasting(); out.Lasting {
			out.Message += "; administrators: see " + keysRunbook
		}
		if said.KeyState() == v1alpha1.ReasonKeyLost {
			out.Reason = v1alpha1.ReasonKeyLost
		}
	}
	return out
}

// verify verifies a seal. What is a few words for people.
func (b *Book) verify(what string, p seal.Payload, err error, text string) (*seal.Envelope, error) {
	if err != nil {
		return nil, broken(what, err)
	}
	e, err := b.verifier.Verify(p, text, b.keys.Keyring())
	if seal.ReasonOf(err) == seal.UnknownKey && b.keys.Refresh() {
		e, err = b.verifier.Verify(p, text, b.keys.Keyring())
	}
	if err != nil {
		return nil, broken(what, err)
	}
	return e, nil
}

// Instant is a time as it is stored in what is sealed: in whole milliseconds.
func Instant(t time.Time) metav1.MicroTime {
	return metav1.NewMicroTime(t.UTC().Truncate(time.Millisecond))
}
