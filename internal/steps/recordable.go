package steps

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/template"
)

// What a Record holds of what is filled in later, as its schema says. What it cannot hold is refused before anybody is asked: else all would agree to
// what can never start.
const (
	maxLate           = 64
	maxLateParts      = 32
	maxLateText       = 65536
	maxLateExpression = 4096
	maxLatePath       = 1024
)

var tooManyLate = fmt.Sprintf("in one object, or one call, at most %d places can be filled in with outputs", maxLate)

// recordable refuses a text that is filled in later and that no Record can hold.
func recordable(parts []template.Part) error {
	if len(parts) > maxLateParts {
		return fmt.Errorf("it has %d parts, outputs and text in between, and at most %d can be recorded: join some in one, such as ${steps.a.outputs.b + ' and ' + steps.c.outputs.d}",
			len(parts), maxLateParts)
	}
	for i := range parts {
		if utf8.RuneCountInString(parts[i].Text) > maxLateText {
			return fmt.Errorf("beside an output, a text has at most %d characters", maxLateText)
		}
		if utf8.RuneCountInString(parts[i].Expression) > maxLateExpression {
			return fmt.Errorf("an expression that is evaluated later has at most %d characters", maxLateExpression)
		}
	}
	return nil
}

// recordableAll refuses places that are filled in later and that no Record can hold.
func recordableAll(late []v1alpha1.LateValue) error {
	if len(late) > maxLate {
		return errors.New(tooManyLate)
	}
	for i := range late {
		if utf8.RuneCountInString(late[i].Path) > maxLatePath {
			return fmt.Errorf("%s: a place that is filled in with outputs has a path of at most %d characters", cut(late[i].Path), maxLatePath)
		}
	}
	return nil
}
