package expression

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestWithoutValues: what is kept of an error says what is wrong, and not with what.
func TestWithoutValues(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		err    error
		want   string
	}{
		"Plain":    {"an error of something else", errors.New("s3cr3t"), "s3cr3t"},
		"Overload": {"it names no value", &EvalError{Source: "a", Message: "no such overload"}, "no such overload"},
		"Field":    {"the name stands in the expression", &EvalError{Source: "object.a", Message: "no such key: a"}, "no such key: a"},
		"Computed": {"the name is a value", &EvalError{Source: "b[object.a]", Message: "no such key: s3cr3t"}, "a key that it computes is not there"},
		"Value":    {"a function quotes what it was given", &EvalError{Source: "a", Message: `invalid timestamp "s3cr3t"`, Err: errors.New("s3cr3t")}, "does not accept a value"},
		"Wrapped":  {"also inside of another error", fmt.Errorf("x: %w", &EvalError{Source: "a", Message: "s3cr3t"}), "does not accept a value"},
		"Budget":   {"why there is none", &EvalError{Source: "a", Message: ErrBudget.Error(), Err: ErrBudget}, "cost budget is used up"},
		"Said":     {"a variable that says why it has none", &EvalError{Source: "a", Message: "nobody could look", Err: Said("nobody could look")}, "nobody could look"},
	} {
		t.Run(name, func(t *testing.T) {
			got := WithoutValues(tc.err).Error()
			if !strings.Contains(got, tc.want) || name != "Plain" && strings.Contains(got, "s3cr3t") {
				t.Errorf("%s: got %q", tc.reason, got)
			}
		})
	}
}
