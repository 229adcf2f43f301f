package expression

import (
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
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
	if estimate.Min > ExpressionLimit && wholeLoops(checked.NativeRep()) {
		return nil, &CompileError{Line: 1, Column: 1, Source: source, Message: fmt.Sprintf(
			"this costs at least %d, whatever the request is, and an expression may cost %d: it could never be evaluated; loop over less", estimate.Min, ExpressionLimit)}
	}
	env, err := runtime()
	if err != nil {
		return nil, fmt.Errorf("failed to make the CEL environment: %w", err)
	}
	found := c.rewrite(checked.NativeRep())
	p := &Program{
		source: source, variables: compact(found.variables), calendars: compact(found.calendars), teams: compact(found.teams),
		inputs: found.inputs(), narrow: c.scope.narrow(), origin: c.origin, partial: partialMatches(checked.NativeRep()),
		givesText: isText(checked.OutputType()),
	}
	p.convert = converterFor(p.inputs)
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

// wholeLoops tells whether every loop of an expression goes through the whole of its list, as map and filter do. Others, such as exists, end
// early, which the smallest cost does not reckon with.
func wholeLoops(a *ast.AST) bool {
	whole := true
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.ComprehensionKind {
			goesOn := e.AsComprehension().LoopCondition()
			whole = whole && goesOn.Kind() == ast.LiteralKind && goesOn.AsLiteral() == types.True
		}
	}))
	return whole
}
