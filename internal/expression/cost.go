package expression

import (
	"math"

	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/library"
)

// estimator knows the costs of Kubernetes' functions and ours, and how large values can be at most.
type estimator struct {
	library.CostEstimator
	sizes sizes
}

func newEstimator(variables map[string]*apiservercel.DeclType) *estimator {
	s := sizes{variables: variables}
	return &estimator{CostEstimator: library.CostEstimator{SizeEstimator: s}, sizes: s}
}

// CallCost implements interpreter.ActualCostEstimator.
func (e *estimator) CallCost(function, overload string, args []ref.Val, result ref.Val) *uint64 {
	if cost := ownCost(overload); cost > 0 {
		return &cost
	}
	cost := e.CostEstimator.CallCost(function, overload, args, result)
	if regexFunctions[function] && len(args) > 1 {
		pattern, _ := args[1].(types.String)
		dear := regexCost(string(pattern), size(args[0]))
		if cost == nil || *cost < dear {
			return &dear
		}
	}
	if _, ok := guards[function]; ok && cost != nil {
		// Kubernetes counts what these read; what they make can be more.
		total := add(*cost, size(result)/10)
		return &total
	}
	return cost
}

// EstimateCallCost implements checker.CostEstimator.
func (e *estimator) EstimateCallCost(function, overload string, target *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	if cost := ownCost(overload); cost > 0 {
		return &checker.CallEstimate{CostEstimate: checker.FixedCostEstimate(cost)}
	}
	estimate := e.CostEstimator.EstimateCallCost(function, overload, target, args)
	if regexFunctions[function] {
		return e.estimateRegex(estimate, target, args)
	}
	if _, ok := guards[function]; ok && estimate != nil && estimate.ResultSize != nil {
		estimate.CostEstimate = estimate.Add(estimate.ResultSize.MultiplyByCostFactor(0.1))
	}
	return estimate
}

// estimateRegex reckons with what Kubernetes does not: how large a regular expression is once it is compiled.
func (e *estimator) estimateRegex(estimate *checker.CallEstimate, target *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	if target != nil {
		args = append([]checker.AstNode{*target}, args...)
	}
	if estimate == nil || len(args) < 2 {
		return estimate
	}
	most, text := uint64(maxRegexProgram), checker.SizeEstimate{Max: math.MaxUint64}
	if pattern := args[1].Expr(); pattern.Kind() == ast.LiteralKind {
		literal, _ := pattern.AsLiteral().(types.String)
		most = instructions(string(literal))
	}
	if known := args[0].ComputedSize(); known != nil {
		text = *known
	} else if known := e.EstimateSize(args[0]); known != nil {
		text = *known
	}
	estimate.Max = max(estimate.Max, multiply(text.Max, most)/stepsPerCost)
	return estimate
}

// sizes tells how large a value can be, from the bounds in its type.
type sizes struct {
	variables map[string]*apiservercel.DeclType
}

// EstimateSize implements checker.CostEstimator.
func (s sizes) EstimateSize(element checker.AstNode) *checker.SizeEstimate {
	path := element.Path()
	if len(path) == 0 {
		return nil
	}
	node := s.variables[path[0]]
	for _, name := range path[1:] {
		if node = child(node, name); node == nil {
			return nil
		}
	}
	if node == nil || node.MaxElements <= 0 {
		return nil
	}
	return &checker.SizeEstimate{Min: 0, Max: uint64(node.MaxElements)}
}

func child(t *apiservercel.DeclType, name string) *apiservercel.DeclType {
	if t == nil {
		return nil
	}
	switch name {
	case "@items", "@values":
		return t.ElemType
	case "@keys":
		return t.KeyType
	}
	if f := findField(t, name); f != nil {
		return f.Type
	}
	return nil
}

// findField finds a field by the name in the expression, which may be a word of CEL, such as namespace.
func findField(t *apiservercel.DeclType, name string) *apiservercel.DeclField {
	if f, ok := t.Fields[name]; ok {
		return f
	}
	if escaped, ok := apiservercel.Escape(name); ok {
		return t.Fields[escaped]
	}
	return nil
}

// EstimateCallCost implements checker.CostEstimator: costs of calls are known elsewhere.
func (s sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}
