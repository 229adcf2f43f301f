package expression

import (
	"time"

	"github.com/google/cel-go/common/types"
)

// Vars are the values that an expression reads.
type Vars struct {
	// Values are JSON-native values (map[string]any, []any, string, bool, int64, float64, nil) by the name of the
	// variable. They are never changed. request.createdAt may be a time.Time (cheaper) or a string in RFC 3339. In the place
	// of a value may stand an error that says why it is not known: expressions that read it fail with this error. Or a Lazy, which is
	// asked when an expression reads the variable.
	Values map[string]any
	// Now is the time of the evaluation: the variable now, and where calendars look.
	Now time.Time
	// Calendars finds calendars by name. Nil: every name is unknown.
	Calendars Calendars
	// Teams finds Teams by name. Nil: every name is unknown.
	Teams Teams
	// Trace, when set, takes notes of what the answer depended on.
	Trace *Trace
}

// Lazy makes the value of a variable that few expressions read. It gives what could stand in its place; it may be asked more than
// once.
type Lazy func() any

// Unknown stands inside a value for what could not be found out: expressions that read it fail with the error.
func Unknown(err error) any { return types.WrapErr(err) }

// Calendars finds the calendars that calendar('name') names.
type Calendars interface {
	// Calendar returns the calendar of that name, or an error that says that there is none.
	Calendar(name string) (Calendar, error)
}

// Calendar is a named set of times.
type Calendar interface {
	// Contains reports whether the calendar is open at t.
	Contains(t time.Time) bool
	// Ends returns when the opening around t ends; false when it is not open at t or never ends.
	Ends(t time.Time) (time.Time, bool)
	// Next returns when the calendar opens next after t; false when it never does.
	Next(t time.Time) (time.Time, bool)
	// NextChange returns when the calendar next opens or closes after t; false when it never does.
	NextChange(t time.Time) (time.Time, bool)
}

// Teams finds the Teams that team('name') names.
type Teams interface {
	// Team returns the Team of that name, JSON-native: name, parent, ancestors, leads, members and groups; or an error that says that there
	// is none. The value is never changed.
	Team(name string) (map[string]any, error)
}

// Trace takes notes of what answers depended on. One Trace may serve all expressions of a decision.
type Trace struct {
	// NextChange is the earliest instant at which time alone could change one of the answers. Zero: never.
	NextChange time.Time
	// Guessed says that nobody can tell when time changes the answers: NextChange is no later than when to look again.
	Guessed bool
}

// guess notes when to look again at an answer that depends on the time in a way that nobody foresees.
func (t *Trace) guess(at time.Time) {
	if t == nil {
		return
	}
	t.Guessed = true
	t.note(at)
}

// note keeps the earlier of the instants.
func (t *Trace) note(at time.Time) {
	if t == nil || at.IsZero() {
		return
	}
	if t.NextChange.IsZero() || at.Before(t.NextChange) {
		t.NextChange = at
	}
}
