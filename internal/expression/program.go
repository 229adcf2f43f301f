package expression

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"

	"github.com/signoff-dev/signoff/internal/visible"
)

// Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	source               string
	program              cel.Program
	variables, calendars []string
	teams                []string
	// partial are the regular expressions that match a part of a text.
	partial []string
	// inputs is the schema of the inputs that it reads; nil: it is not known.
	inputs *structuralschema.Structural
	// givesText says that it always gives text.
	givesText bool
	// convert gives inputs the types of the schema; nil: nothing to do.
	convert converter
	// narrow removes from requester what the place must not see; nil: nothing to do.
	narrow func(any) any
	// cost is what the program may cost at most, or 0 if that is only known by counting.
	cost uint64
	// origin is what the compiler was made of, for the terms.
	origin *origin
	terms  lazyTerms
}

// Source returns the expression as it was written.
func (p *Program) Source() string { return p.source }

// Uses reports whether the expression reads the variable.
func (p *Program) Uses(variable string) bool {
	_, found := slices.BinarySearch(p.variables, variable)
	return found
}

// GivesText reports whether it is known before that what EvalAny gives is text.
func (p *Program) GivesText() bool { return p.givesText }

// Inputs returns the schema of inputs, of which only the properties are there that the expression reads; where it reads inputs as a whole, all of
// them. Nil: no schema is known.
func (p *Program) Inputs() *structuralschema.Structural { return p.inputs }

// ReadsOnly reports whether the expression reads no other variables than these.
func (p *Program) ReadsOnly(variables ...string) bool {
	return !slices.ContainsFunc(p.variables, func(name string) bool { return !slices.Contains(variables, name) })
}

// UsesAny reports whether the expression reads one of the variables.
func (p *Program) UsesAny(variables ...string) bool { return slices.ContainsFunc(variables, p.Uses) }

// Calendars returns the names of the calendars that the expression names literally, sorted.
func (p *Program) Calendars() []string { return slices.Clone(p.calendars) }

// Teams returns the names of the Teams that the expression names literally, sorted.
func (p *Program) Teams() []string { return slices.Clone(p.teams) }

// PartialMatches returns the literal regular expressions of matches that hold where only a part of the text is as they say, as prod does for prod-test.
func (p *Program) PartialMatches() []string { return slices.Clone(p.partial) }

// EvalBool evaluates an expression that gives true or false. A nil budget is a budget of its own.
func (p *Program) EvalBool(ctx context.Context, vars Vars, budget *Budget) (bool, error) {
	out, err := p.eval(ctx, &vars, budget)
	if err != nil {
		return false, err
	}
	answer, ok := out.(types.Bool)
	if !ok {
		return false, p.failed(fmt.Sprintf("it gave %s, but true or false is needed", describe(out)), nil)
	}
	return bool(answer), nil
}

// EvalString evaluates an expression that gives a text.
func (p *Program) EvalString(ctx context.Context, vars Vars, budget *Budget) (string, error) {
	out, err := p.eval(ctx, &vars, budget)
	if err != nil {
		return "", err
	}
	text, ok := out.(types.String)
	if !ok {
		return "", p.failed(fmt.Sprintf("it gave %s, but a string is needed", describe(out)), nil)
	}
	return string(text), nil
}

// EvalStrings evaluates an expression that gives a list of strings.
func (p *Program) EvalStrings(ctx context.Context, vars Vars, budget *Budget) ([]string, error) {
	value, err := p.EvalAny(ctx, vars, budget)
	if err != nil {
		return nil, err
	}
	list, ok := value.([]any)
	if !ok {
		return nil, p.failed("it did not give a list, but a list of strings is needed", nil)
	}
	texts := make([]string, len(list))
	for i, element := range list {
		if texts[i], ok = element.(string); !ok {
			return nil, p.failed(fmt.Sprintf("element %d is no string, but a list of strings is needed", i), nil)
		}
	}
	return texts, nil
}

// EvalAny evaluates an expression and gives its value as JSON-native Go: map[string]any, []any, string, bool, int64,
// float64 or nil. Times and durations are strings as Kubernetes writes them.
func (p *Program) EvalAny(ctx context.Context, vars Vars, budget *Budget) (any, error) {
	out, err := p.eval(ctx, &vars, budget)
	if err != nil {
		return nil, err
	}
	value, err := native(out)
	if err != nil {
		return nil, p.failed(err.Error(), nil)
	}
	return value, nil
}

// eval runs the program inside the limits. The result is never an error value.
func (p *Program) eval(ctx context.Context, vars *Vars, budget *Budget) (ref.Val, error) {
	if err := ctx.Err(); err != nil {
		return nil, p.failed(ErrDeadline.Error(), ErrDeadline)
	}
	if budget == nil {
		budget = NewBudget()
	}
	a := activations.get(p, vars)
	defer activations.put(a)
	if p.cost > 0 {
		return p.evalSmall(a, budget)
	}
	return p.evalCounted(ctx, a, budget)
}

// evalSmall runs a program whose highest possible cost is known and small: nothing is counted.
func (p *Program) evalSmall(a *activation, budget *Budget) (ref.Val, error) {
	if !budget.spend(p.cost) {
		return nil, p.failed(ErrBudget.Error(), ErrBudget)
	}
	out, _, err := p.program.Eval(a)
	return p.result(out, err)
}

// evalCounted runs a program while its cost is counted and the deadline is watched.
func (p *Program) evalCounted(ctx context.Context, a *activation, budget *Budget) (ref.Val, error) {
	if budget.Remaining() == 0 {
		return nil, p.failed(ErrBudget.Error(), ErrBudget)
	}
	done, err := budget.begin(ctx)
	if err != nil {
		return nil, p.failed(err.Error(), err)
	}
	out, details, err := p.program.ContextEval(ctx, a)
	cost := ExpressionLimit
	if actual := details.ActualCost(); actual != nil {
		cost = *actual
	}
	done(cost)
	within := budget.spend(cost)
	switch {
	case ctx.Err() != nil:
		return nil, p.failed(ErrDeadline.Error(), ErrDeadline)
	case !within, errors.As(err, new(interpreter.EvalCancelledError)):
		return nil, p.failed(ErrBudget.Error(), ErrBudget)
	default:
		return p.result(out, err)
	}
}

func (p *Program) result(out ref.Val, err error) (ref.Val, error) {
	switch {
	case err != nil:
		return nil, p.failed(err.Error(), cause(err))
	case out == nil || types.IsUnknownOrError(out):
		return nil, p.failed("it has no value", nil)
	default:
		return out, nil
	}
}

// cause gives the error that a value, a calendar or the interpreter brought in, if there is one.
func cause(err error) error {
	if wrapped, ok := errors.AsType[*types.Err](err); ok {
		return errors.Unwrap(wrapped)
	}
	return nil
}

func (p *Program) failed(message string, err error) error {
	return &EvalError{Source: p.source, Message: visible.Quoted(message), Err: err}
}
