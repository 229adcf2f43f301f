package expression

import (
	"fmt"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	apiservercel "k8s.io/apiserver/pkg/cel"
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
	p := &Program{source: source, convert: c.inputs, narrow: c.scope.narrow()}
	p.variables, p.calendars = c.rewrite(checked.NativeRep())
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

// rewrite changes the checked expression into what is run, and tells which variables and calendars it names:
//
//   - calendar(name) gets the calendars of the evaluation as a hidden first argument;
//   - now as the argument of a calendar's function is the exact time;
//   - fields of inputs get the names that they have in JSON.
func (c *Compiler) rewrite(a *ast.AST) (variables, calendars []string) {
	r := &rewriter{compiler: c, ast: a, make: ast.NewExprFactory(), id: ast.MaxID(a)}
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(r.visit))
	slices.Sort(r.variables)
	slices.Sort(r.calendars)
	return slices.Compact(r.variables), slices.Compact(r.calendars)
}

type rewriter struct {
	compiler             *Compiler
	ast                  *ast.AST
	make                 ast.ExprFactory
	id                   int64
	variables, calendars []string
}

func (r *rewriter) visit(e ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind:
		if _, ok := r.compiler.types[e.AsIdent()]; ok {
			r.variables = append(r.variables, e.AsIdent())
		}
	case ast.SelectKind:
		r.visitSelect(e)
	case ast.CallKind:
		r.visitCall(e)
	}
}

// visitSelect undoes the escapes of names that CEL cannot write, such as image__dash__tag.
func (r *rewriter) visitSelect(e ast.Expr) {
	s := e.AsSelect()
	if r.compiler.structOf(r.ast.GetType(s.Operand().ID())) == nil {
		return
	}
	name, ok := apiservercel.Unescape(s.FieldName())
	if !ok || name == s.FieldName() {
		return
	}
	if s.IsTestOnly() {
		e.SetKindCase(r.make.NewPresenceTest(e.ID(), s.Operand(), name))
		return
	}
	e.SetKindCase(r.make.NewSelect(e.ID(), s.Operand(), name))
}

func (r *rewriter) visitCall(e ast.Expr) {
	call, overloads := e.AsCall(), r.ast.GetOverloadIDs(e.ID())
	if call.FunctionName() == "_?._" {
		r.visitOptionalSelect(call)
		return
	}
	if len(overloads) != 1 {
		return
	}
	switch {
	case overloads[0] == idCalendar:
		r.addCalendars(e, call.Args()[0])
	case isCalendarQuestion(overloads[0]):
		if at := call.Args()[0]; at.Kind() == ast.IdentKind && at.AsIdent() == varNow {
			at.SetKindCase(r.make.NewIdent(at.ID(), varExactNow))
			r.ast.SetReference(at.ID(), ast.NewIdentReference(varExactNow, nil))
		}
	}
}

func (r *rewriter) visitOptionalSelect(call ast.CallExpr) {
	args := call.Args()
	if len(args) != 2 || args[1].Kind() != ast.LiteralKind || r.compiler.structOf(r.ast.GetType(args[0].ID())) == nil {
		return
	}
	field, ok := args[1].AsLiteral().(types.String)
	if name, valid := apiservercel.Unescape(string(field)); ok && valid {
		args[1].SetKindCase(r.make.NewLiteral(args[1].ID(), types.String(name)))
	}
}

func (r *rewriter) addCalendars(e, name ast.Expr) {
	if name.Kind() == ast.LiteralKind {
		if literal, ok := name.AsLiteral().(types.String); ok {
			r.calendars = append(r.calendars, string(literal))
		}
	}
	r.id++
	hidden := r.make.NewIdent(r.id, varCalendars)
	r.ast.SetReference(r.id, ast.NewIdentReference(varCalendars, nil))
	r.ast.SetType(r.id, calendarsType)
	e.SetKindCase(r.make.NewCall(e.ID(), fnCalendar, hidden, name))
	r.ast.SetReference(e.ID(), ast.NewFunctionReference(idLookUp))
}

// structOf returns the type with fields behind a type of CEL, or nil.
func (c *Compiler) structOf(t *cel.Type) *apiservercel.DeclType {
	if t == nil || t.Kind() != types.StructKind {
		return nil
	}
	return c.structs[t.TypeName()]
}
