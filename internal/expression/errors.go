package expression

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	// ErrBudget says that an expression, or all expressions of one decision together, would have been too expensive.
	ErrBudget = errors.New("cost budget is used up")
	// ErrDeadline says that the time for the evaluation was over.
	ErrDeadline = errors.New("time for the evaluation is over")
	// ErrBusy says that whoever evaluates has taken their share. It may be another answer in a while.
	ErrBusy = errors.New("it has to wait for its turn")
)

// Later tells an error that may be gone a while later although nothing has changed: there was no turn, or no time.
func Later(err error) bool { return errors.Is(err, ErrBusy) || errors.Is(err, ErrDeadline) }

// CompileError says what is wrong with an expression, and where.
type CompileError struct {
	// Line counts from 1.
	Line int
	// Column counts characters from 1.
	Column int
	// Message is one sentence.
	Message string
	// Source is the expression.
	Source string
}

// Error gives the position and the message.
func (e *CompileError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// EvalError says why an expression has no value. It is never the same as false.
type EvalError struct {
	// Source is the expression.
	Source string
	// Message is one sentence.
	Message string
	// Err is ErrBudget, ErrDeadline, what a variable or a Meter said, or nil.
	Err error
}

// Error gives the message and the expression.
func (e *EvalError) Error() string {
	return fmt.Sprintf("failed to evaluate %q: %s", short(e.Source), e.Message)
}

// ReasonFirst gives the message before the expression, for where there is room for the beginning only.
func (e *EvalError) ReasonFirst() string {
	return fmt.Sprintf("%s (in %q)", e.Message, short(e.Source))
}

// Unwrap gives Err.
func (e *EvalError) Unwrap() error { return e.Err }

// plainFaults are what an expression can fail for, in words without a value.
var plainFaults = []string{"no such overload", "division by zero", "modulus by zero", "it has no value", "it gave "}

// noSuchKey begins what is said of a field or key that is not there.
const noSuchKey = "no such key: "

// Said is an error of a variable that repeats no value.
type Said string

// Error gives the words.
func (s Said) Error() string { return string(s) }

// WithoutValues gives an error without the values that an expression has read: its Message can repeat them, as in invalid timestamp "…". What
// the expression itself says is no secret, nor are names that stand in it.
func WithoutValues(err error) error {
	e, ok := errors.AsType[*EvalError](err)
	_, said := errors.AsType[Said](err)
	if !ok || said || errors.Is(err, ErrBudget) || Later(err) || slices.ContainsFunc(plainFaults, func(known string) bool { return strings.HasPrefix(e.Message, known) }) {
		return err
	}
	if name, missing := strings.CutPrefix(e.Message, noSuchKey); missing {
		if strings.Contains(e.Source, "."+name) {
			return err
		}
		return &EvalError{Source: e.Source, Message: "a key that it computes is not there"}
	}
	return &EvalError{Source: e.Source, Message: "a function does not accept a value that it is given"}
}

// maxSourceInErrors is how many characters of an expression an error repeats.
const maxSourceInErrors = 120

// short cuts a text for use inside an error.
func short(s string) string {
	n := 0
	for i := range s {
		if n == maxSourceInErrors {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
