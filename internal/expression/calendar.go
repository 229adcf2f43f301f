package expression

import (
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

const (
	fnCalendar = "calendar"

	idCalendar = "signoff_calendar"
	idLookUp   = "signoff_calendar_lookup"
	idContains = "signoff_calendar_contains"
	idEnds     = "signoff_calendar_ends"
	idNext     = "signoff_calendar_next"
)

// calendarCost is what one question to a calendar costs: windows and time zones are looked at.
const calendarCost uint64 = 50

var (
	calendarType  = cel.OpaqueType(calendarTypeName)
	calendarsType = cel.OpaqueType(calendarsTypeName)
)

// calendarFunctions declare calendar(name).contains(t), .ends(t) and .next(t).
//
// A CEL function cannot see the values of the evaluation. So the compiler rewrites calendar(name), after the type check,
// into a call of the look-up overload with the hidden variable @calendars, which carries the calendars of one evaluation.
func calendarFunctions() []cel.EnvOption {
	question := []*cel.Type{calendarType, cel.TimestampType}
	return []cel.EnvOption{
		cel.Function(fnCalendar,
			cel.Overload(idCalendar, []*cel.Type{cel.StringType}, calendarType),
			cel.Overload(idLookUp, []*cel.Type{calendarsType, cel.StringType}, calendarType, cel.BinaryBinding(lookUp))),
		cel.Function("contains", cel.MemberOverload(idContains, question, cel.BoolType, cel.BinaryBinding(contains))),
		cel.Function("ends", cel.MemberOverload(idEnds, question, cel.TimestampType, cel.BinaryBinding(ends))),
		cel.Function("next", cel.MemberOverload(idNext, question, cel.TimestampType, cel.BinaryBinding(next))),
	}
}

// isCalendarQuestion reports whether an overload asks a calendar about a time.
func isCalendarQuestion(overload string) bool {
	return overload == idContains || overload == idEnds || overload == idNext
}

// calendarsVal is the value of the hidden variable: the calendars of one evaluation, and where to take notes.
type calendarsVal struct {
	opaque
	calendars Calendars
	trace     *Trace
}

// calendarVal is one calendar.
type calendarVal struct {
	opaque
	name     string
	calendar Calendar
	trace    *Trace
}

// exactNow is now as the argument of a calendar's function. It is not cut to minutes, and the calendar knows when the
// answer changes.
type exactNow struct{ types.Timestamp }

func lookUp(of, name ref.Val) ref.Val {
	all, ok := of.(*calendarsVal)
	key, isText := name.(types.String)
	if !ok || !isText {
		return types.MaybeNoSuchOverloadErr(name)
	}
	if all.calendars == nil {
		return unknownCalendar(key)
	}
	found, err := all.calendars.Calendar(string(key))
	if err != nil {
		return types.WrapErr(err)
	}
	if found == nil {
		return unknownCalendar(key)
	}
	return &calendarVal{opaque: opaque{calendarType}, name: string(key), calendar: found, trace: all.trace}
}

func unknownCalendar(name types.String) ref.Val {
	return types.NewErr("unknown calendar %q", short(string(name)))
}

func contains(of, at ref.Val) ref.Val {
	c, t, err := asked(of, at)
	if err != nil {
		return err
	}
	return types.Bool(c.calendar.Contains(t))
}

func ends(of, at ref.Val) ref.Val {
	c, t, err := asked(of, at)
	if err != nil {
		return err
	}
	end, ok := c.calendar.Ends(t)
	if !ok {
		return types.NewErr("calendar %q is not open at %s, or never ends", short(c.name), t.UTC().Format(time.RFC3339))
	}
	return types.Timestamp{Time: end.UTC()}
}

func next(of, at ref.Val) ref.Val {
	c, t, err := asked(of, at)
	if err != nil {
		return err
	}
	start, ok := c.calendar.Next(t)
	if !ok {
		return types.NewErr("calendar %q does not open again after %s", short(c.name), t.UTC().Format(time.RFC3339))
	}
	return types.Timestamp{Time: start.UTC()}
}

// asked unpacks a question. A question about now depends on the time until the calendar changes; about any other time,
// it does not depend on the time at all, or reads now elsewhere.
func asked(of, at ref.Val) (*calendarVal, time.Time, ref.Val) {
	c, ok := of.(*calendarVal)
	if !ok {
		return nil, time.Time{}, types.MaybeNoSuchOverloadErr(of)
	}
	switch t := at.(type) {
	case exactNow:
		if change, ok := c.calendar.NextChange(t.Time); ok && change.After(t.Time) {
			c.trace.note(change)
		}
		return c, t.Time, nil
	case types.Timestamp:
		return c, t.Time, nil
	default:
		return nil, time.Time{}, types.MaybeNoSuchOverloadErr(at)
	}
}
