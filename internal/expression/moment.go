package expression

import (
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// clockType is the type of the hidden variable @clock: the exact time of an evaluation, and where to take notes.
var clockType = cel.OpaqueType(clockTypeName)

// comparisons are the hidden functions that compare now with an instant, by the operator that stood there. Nobody can write them.
var comparisons = map[string]hiddenComparison{
	operators.Less:          {"@nowLess", "signoff_now_less"},
	operators.LessEquals:    {"@nowLessEquals", "signoff_now_less_equals"},
	operators.Greater:       {"@nowGreater", "signoff_now_greater"},
	operators.GreaterEquals: {"@nowGreaterEquals", "signoff_now_greater_equals"},
}

type hiddenComparison struct{ function, overload string }

// clockVal is the value of @clock.
type clockVal struct {
	opaque
	now   time.Time
	trace *Trace
}

// clockFunctions declare the hidden comparisons: of now with an instant, and a duration before it (true) or after it.
func clockFunctions() []cel.EnvOption {
	var options []cel.EnvOption
	for operator, hidden := range comparisons {
		options = append(options, cel.Function(hidden.function, cel.Overload(hidden.overload,
			[]*cel.Type{clockType, cel.TimestampType, cel.DurationType, cel.BoolType}, cel.BoolType, cel.FunctionBinding(compareNow(operator)))))
	}
	return options
}

// compareNow compares now with an instant, and notes when the answer becomes the other one.
func compareNow(operator string) func(args ...ref.Val) ref.Val {
	return func(args ...ref.Val) ref.Val {
		clock, isClock := args[0].(*clockVal)
		at, isTime := args[1].(types.Timestamp)
		by, isDuration := args[2].(types.Duration)
		if !isClock || !isTime || !isDuration {
			return types.MaybeNoSuchOverloadErr(args[1])
		}
		edge := at.Time.Add(by.Duration)
		if args[3] == types.True {
			edge = at.Time.Add(-by.Duration)
		}
		if operator == operators.LessEquals || operator == operators.Greater {
			edge = edge.Add(1) // at the instant itself the answer is still the old one
		}
		before := clock.now.Before(edge)
		if before {
			clock.trace.note(edge)
		}
		return types.Bool(before == (operator == operators.Less || operator == operators.LessEquals))
	}
}

// moment is a comparison of now with an instant, or with a duration before or after it.
type moment struct {
	operator string
	at, by   ast.Expr
	before   bool
}

// visitComparison turns a comparison of now with what does not depend on the time into a hidden one, which knows when its answer changes.
func (r *rewriter) visitComparison(e ast.Expr, overload string) {
	call := e.AsCall()
	if _, ok := comparisons[call.FunctionName()]; !ok || len(call.Args()) != 2 {
		return
	}
	find := r.ofTimes
	switch overload {
	case overloads.LessTimestamp, overloads.LessEqualsTimestamp, overloads.GreaterTimestamp, overloads.GreaterEqualsTimestamp:
	case overloads.LessDuration, overloads.LessEqualsDuration, overloads.GreaterDuration, overloads.GreaterEqualsDuration:
		find = r.ofDurations
	default:
		return
	}
	left, right := call.Args()[0], call.Args()[1]
	found, ok := find(call.FunctionName(), left, right)
	if !ok {
		found, ok = find(mirrored(call.FunctionName()), right, left)
	}
	if ok {
		r.replace(e, found)
	}
}

// ofTimes recognizes now, now + duration and now - duration on the left of an instant.
func (r *rewriter) ofTimes(operator string, left, right ast.Expr) (moment, bool) {
	if readsNow(right) {
		return moment{}, false
	}
	if isNow(left) {
		return moment{operator: operator, at: right}, true
	}
	a, b, overload := r.operands(left)
	if overload == overloads.AddDurationTimestamp {
		a, b, overload = b, a, overloads.AddTimestampDuration
	}
	if adds := overload == overloads.AddTimestampDuration; !adds && overload != overloads.SubtractTimestampDuration || !isNow(a) || readsNow(b) {
		return moment{}, false
	}
	return moment{operator: operator, at: right, by: b, before: overload == overloads.AddTimestampDuration}, true
}

// ofDurations recognizes now - instant and instant - now on the left of a duration.
func (r *rewriter) ofDurations(operator string, left, right ast.Expr) (moment, bool) {
	a, b, overload := r.operands(left)
	switch {
	case overload != overloads.SubtractTimestampTimestamp || readsNow(right):
		return moment{}, false
	case isNow(a) && !readsNow(b):
		return moment{operator: operator, at: b, by: right}, true
	case isNow(b) && !readsNow(a):
		return moment{operator: mirrored(operator), at: a, by: right, before: true}, true
	}
	return moment{}, false
}

// operands gives the two sides of a sum or difference, and what is added or subtracted.
func (r *rewriter) operands(e ast.Expr) (a, b ast.Expr, overload string) {
	ids := r.ast.GetOverloadIDs(e.ID())
	if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 || len(ids) != 1 {
		return nil, nil, ""
	}
	return e.AsCall().Args()[0], e.AsCall().Args()[1], ids[0]
}

func isNow(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == varNow }

// readsNow tells whether an expression depends on the time in a way that nobody foresees. What a calendar says of now does not count: the
// calendar knows when it changes.
func readsNow(e ast.Expr) bool {
	found := false
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) { found = found || isNow(e) }))
	return found
}

// replace makes a comparison the hidden one.
func (r *rewriter) replace(e ast.Expr, m moment) {
	by := m.by
	if by == nil {
		by = r.add(r.make.NewLiteral(r.nextID(), types.Duration{}), cel.DurationType, nil)
	}
	before := r.add(r.make.NewLiteral(r.nextID(), types.Bool(m.before)), cel.BoolType, nil)
	clock := r.add(r.make.NewIdent(r.nextID(), varClock), clockType, ast.NewIdentReference(varClock, nil))
	hidden := comparisons[m.operator]
	e.SetKindCase(r.make.NewCall(e.ID(), hidden.function, clock, m.at, by, before))
	r.ast.SetReference(e.ID(), ast.NewFunctionReference(hidden.overload))
}

// add tells the checked expression of a part that nobody wrote.
func (r *rewriter) add(e ast.Expr, of *cel.Type, refers *ast.ReferenceInfo) ast.Expr {
	r.ast.SetType(e.ID(), of)
	if refers != nil {
		r.ast.SetReference(e.ID(), refers)
	}
	return e
}

func (r *rewriter) nextID() int64 {
	r.id++
	return r.id
}
