package keyholder

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/seal"
)

const (
	// Unknown is the state of keys that could not be read yet, or not for too long.
	Unknown keys.State = "Unknown"
	// Unreadable is the state where what is stored cannot be understood. It is never overwritten; a person repairs it.
	Unreadable keys.State = "Unreadable"
	// Elsewhere is the state of keys that another process holds.
	Elsewhere keys.State = "Elsewhere"
)

// Reason says in one word why nothing can be sealed. It can be used as the reason of a condition.
type Reason string

const (
	// NotReady means that the keys have not been read or published yet, or could not be read for too long. It passes by itself.
	NotReady Reason = "KeyNotReady"
	// Lost means that there was a key, and it is gone, or since when it was in use is. A person must act.
	Lost Reason = "KeyLost"
	// Ended means that all keys were retired or revoked. A person must act.
	Ended Reason = "KeyEnded"
	// Broken means that what is stored cannot be understood. A person must act.
	Broken Reason = "KeyUnreadable"
	// NotHeld means that another process holds the key.
	NotHeld Reason = "KeyNotHeld"
)

// Error says why nothing can be sealed.
type Error struct {
	// Reason says it in one word.
	Reason Reason
	// Purpose is the purpose of the key that would be needed.
	Purpose seal.Purpose
	message string
}

func (e *Error) Error() string {
	return fmt.Sprintf("failed to seal with the %s key: %s", e.Purpose, e.message)
}

// KeyState says in one word how it stands with the keys.
func (e *Error) KeyState() string { return string(e.Reason) }

// Lasting tells whether it stays so until a person acts.
func (e *Error) Lasting() bool { return e.Reason == Lost || e.Reason == Ended || e.Reason == Broken }

// ReasonOf gives the reason of an error of this package. It is empty for any other error.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

func reasonOf(state keys.State) Reason {
	switch state {
	case keys.KeyLost, keys.DocumentLost:
		return Lost
	case keys.Ended:
		return Ended
	case Unreadable:
		return Broken
	case Elsewhere:
		return NotHeld
	default:
		return NotReady
	}
}

// brokenError says that something was read and cannot be understood.
type brokenError struct{ cause error }

func (e *brokenError) Error() string { return e.cause.Error() }

// Unwrap gives what was not understood.
func (e *brokenError) Unwrap() error { return e.cause }

// hushed keeps what the API server says about a Secret out of the text of an error: it may repeat what was sent.
func hushed(err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return fmt.Errorf("the API server answers %s", apierrors.ReasonForError(err))
	}
	return err
}
