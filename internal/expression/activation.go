package expression

import (
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"
)

// activation gives a program its variables, one evaluation long.
type activation struct {
	program *Program
	vars    *Vars
	// inputs are the converted inputs, once they were read.
	inputs any
}

// activations are used again, because a decision makes many.
var activations activationPool

type activationPool struct{ pool sync.Pool }

func (p *activationPool) get(program *Program, vars *Vars) *activation {
	a, ok := p.pool.Get().(*activation)
	if !ok {
		a = &activation{}
	}
	a.program, a.vars = program, vars
	return a
}

func (p *activationPool) put(a *activation) {
	*a = activation{}
	p.pool.Put(a)
}

// Parent implements interpreter.Activation: there is none.
func (a *activation) Parent() interpreter.Activation { return nil }

// ResolveName implements interpreter.Activation. A variable without a value is an error, and so is one whose value is an error:
// whoever could not find out a fact says so there, and only expressions that need the fact fail.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case varNow:
		minute := a.vars.Now.UTC().Truncate(time.Minute)
		a.vars.Trace.guess(minute.Add(time.Minute))
		return types.Timestamp{Time: minute}, true
	case varExactNow:
		return exactNow{types.Timestamp{Time: a.vars.Now}}, true
	case varClock:
		return &clockVal{opaque: opaque{clockType}, now: a.vars.Now, trace: a.vars.Trace}, true
	case varCalendars:
		return &calendarsVal{opaque: opaque{calendarsType}, calendars: a.vars.Calendars, trace: a.vars.Trace}, true
	case varTeams:
		return &teamsVal{opaque: opaque{teamsType}, teams: a.vars.Teams}, true
	case varInputs:
		return a.resolveInputs()
	}
	value, ok := a.vars.Values[name]
	if !ok {
		return types.NewErr("%s is not known here", name), true
	}
	if lazy, ok := value.(Lazy); ok {
		value = lazy()
	}
	return a.adjust(name, value), true
}

func (a *activation) resolveInputs() (any, bool) {
	if a.inputs != nil {
		return a.inputs, true
	}
	value, ok := a.vars.Values[varInputs]
	switch {
	case !ok:
		return types.WrapErr(errors.New("inputs are not known here")), true
	case a.program.convert == nil:
		a.inputs = failure(value)
	default:
		converted, err := a.program.convert(value)
		if err != nil {
			return types.WrapErr(err), true
		}
		a.inputs = failure(converted)
	}
	return a.inputs, true
}

// adjust makes a value what the type checker was told it is.
func (a *activation) adjust(name string, value any) any {
	switch name {
	case varRequest:
		return withTimes(value)
	case varRequester:
		if a.program.narrow != nil {
			return a.program.narrow(value)
		}
	}
	return failure(value)
}

// failure turns an error into one that CEL passes on.
func failure(value any) any {
	if err, ok := value.(error); ok {
		return types.WrapErr(err)
	}
	return value
}

// withTimes makes createdAt and duration of request what the type checker was told they are. In a Record they are texts; earlier versions wrote
// the duration there as a number of nanoseconds.
func withTimes(value any) any {
	m, ok := value.(map[string]any)
	if !ok {
		return failure(value)
	}
	_, created := m["createdAt"].(time.Time)
	_, lasts := m["duration"].(time.Duration)
	if created && lasts {
		return m
	}
	out := maps.Clone(m)
	if text, ok := m["createdAt"].(string); ok {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return types.NewErr("request.createdAt is no time: %s", short(text))
		}
		out["createdAt"] = at
	}
	switch d := m["duration"].(type) {
	case string:
		length, err := time.ParseDuration(d)
		if err != nil {
			return types.NewErr("request.duration is no duration: %s", short(d))
		}
		out["duration"] = length
	case int64:
		out["duration"] = time.Duration(d)
	}
	return out
}

// narrow keeps of requester what the place may see, whatever type an expression pretends it to be.
func (s *scope) narrow() func(any) any {
	t, ok := s.typed[varRequester]
	if !ok || t.TypeName() != namedPersonTypeName {
		return nil
	}
	return func(value any) any {
		m, ok := value.(map[string]any)
		if !ok {
			return failure(value)
		}
		out := make(map[string]any, len(t.Fields))
		for name := range t.Fields {
			if v, ok := m[name]; ok {
				out[name] = v
			}
		}
		return out
	}
}
