package expression

import (
	"fmt"

	"github.com/google/cel-go/cel"
)

const (
	// smallCost is the highest cost for which nothing is counted while the program runs: what it may cost at most is taken
	// from the budget instead. Counting makes a program several times slower. 10,000 are about a millisecond.
	smallCost uint64 = 10_000
	// checkFrequency is how many rounds of a loop pass between two looks at the deadline.
	checkFrequency = 100
)

// plan makes a program of a checked expression.
func (c *Compiler) plan(source string, checked *cel.Ast) (*Program, error) {
	estimate, err := c.env.EstimateCost(checked, c.cost)
	if err != nil {
		return nil, fmt.Errorf("failed to estimate the cost of %q: %w", short(source), err)
	}
	env, err := runtime()
	if err != nil {
		return nil, fmt.Errorf("failed to make the CEL environment: %w", err)
	}
	found := c.rewrite(checked.NativeRep())
	p := &Program{
		source: source, variables: compact(found.variables), calendars: compact(found.calendars), teams: compact(found.teams),
		convert: found.converter(), narrow: c.scope.narrow(), origin: c.origin,
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), regexes}
	if estimate.Max <= smallCost {
		p.cost = max(estimate.Max, 1)
	} else {
		options = append(options, cel.CostTracking(c.cost), cel.CostLimit(ExpressionLimit), cel.InterruptCheckFrequency(checkFrequency))
	}
	if p.program, err = env.Program(checked, options...); err != nil {
		return nil, &CompileError{Line: 1, Column: 1, Message: err.Error(), Source: source}
	}
	return p, nil
}
