package expression

import (
	"errors"
	"fmt"
)

var (
	// ErrBudget says that an expression, or all expressions of one decision together, would have been too expensive.
	ErrBudget = errors.New("cost budget is used up")
	// ErrDeadline says that the time for the evaluation was over.
	ErrDeadline = errors.New("time for the evaluation is over")
)

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
