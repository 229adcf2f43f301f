package seal

import (
	"errors"
	"fmt"
)

// Reason says in one word why a seal was not accepted. It can be used as the reason of a condition and as a label of a metric.
type Reason string

const (
	// Malformed means that the text is not a seal, or that what it should seal has no canonical form.
	Malformed Reason = "Malformed"
	// UnknownField means that something is set that this version of the payload does not cover.
	UnknownField Reason = "UnknownField"
	// UnknownVersion means that a newer version of Signoff made the seal.
	UnknownVersion Reason = "UnknownVersion"
	// UnknownKey means that the key is not on the keyring. It may have been published a moment ago.
	UnknownKey Reason = "UnknownKey"
	// WrongPurpose means that the key may not sign this type of payload.
	WrongPurpose Reason = "WrongPurpose"
	// Mismatch means that the seal belongs to something else: the object, its stamp or the seal was changed.
	Mismatch Reason = "Mismatch"
	// NotYetValid means that it was sealed before the key was in use.
	NotYetValid Reason = "NotYetValid"
	// Retired means that it was sealed after the key was retired.
	Retired Reason = "Retired"
	// Revoked means that it was sealed after the key was revoked.
	Revoked Reason = "Revoked"
)

// Wait tells whether another look at the live keys, or a newer version of Signoff, can still find the seal valid. Until then it
// counts for nothing.
func (r Reason) Wait() bool { return r == UnknownKey || r == UnknownVersion }

// Error says why a seal was not accepted, or why none could be made.
type Error struct {
	// Reason says it in one word.
	Reason Reason
	// KeyID is the key that the seal names. Empty where it names none.
	KeyID string
	text  string
	cause error
}

func (e *Error) Error() string {
	if e.cause != nil {
		return e.text + ": " + e.cause.Error()
	}
	return e.text
}

// Unwrap gives what caused the error.
func (e *Error) Unwrap() error { return e.cause }

// ReasonOf gives the reason of an error of this package. It is empty for any other error.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

func malformed(format string, args ...any) error {
	return &Error{Reason: Malformed, text: fmt.Sprintf(format, args...)}
}
