package expression

import (
	"fmt"
	"math"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/decls"
	"github.com/google/cel-go/common/functions"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// maxText is the longest text that a function may make, in bytes.
const maxText = 1 << 20

// guards say, for functions whose result can be far larger than what they read, how long it can become at most. The
// cost of CEL is counted after the call, which would be too late for the memory.
var guards = map[string]func(args []ref.Val) uint64{
	"replace": func(args []ref.Val) uint64 {
		places := add(size(args[0]), 1)
		if old := size(args[1]); old > 0 {
			places = size(args[0])/old + 1
		}
		return add(size(args[0]), multiply(places, size(args[2])))
	},
	"join": func(args []ref.Val) uint64 {
		separator := uint64(0)
		if len(args) > 1 {
			separator = size(args[1])
		}
		return sum(args[0], separator)
	},
	// A list is consumed element by element, so each is printed once; precisions add zeros.
	"format": func(args []ref.Val) uint64 {
		return add(add(size(args[0]), precisions(args[0])), printed(args[1], 0))
	},
}

// guarded declares functions again, those of guards and regexFunctions with a check of the size before the call. What there is already is
// left out.
func guarded(all, there map[string]*decls.FunctionDecl) ([]cel.EnvOption, error) {
	var options []cel.EnvOption
	for name, decl := range all {
		if existing, ok := there[name]; ok {
			decl = decl.Subset(decls.ExcludeOverloads(overloadIDs(existing)...))
		}
		if decl == nil {
			continue
		}
		if guards[name] == nil && !regexFunctions[name] {
			options = append(options, cel.FunctionDecls(decl))
			continue
		}
		option, err := guard(decl)
		if err != nil {
			return nil, fmt.Errorf("failed to guard function %s: %w", name, err)
		}
		options = append(options, option)
	}
	return options, nil
}

func overloadIDs(decl *decls.FunctionDecl) []string {
	var out []string
	for _, o := range decl.OverloadDecls() {
		out = append(out, o.ID())
	}
	return out
}

func guard(decl *decls.FunctionDecl) (cel.EnvOption, error) {
	bindings, err := decl.Bindings()
	if err != nil {
		return nil, err
	}
	checked := make(map[string]functions.FunctionOp, len(bindings))
	for _, b := range bindings {
		checked[b.Operator] = check(decl.Name(), b)
	}
	var options []cel.FunctionOpt
	for _, o := range decl.OverloadDecls() {
		var bind []cel.OverloadOpt
		if !decl.HasSingletonBinding() {
			bind = append(bind, decls.FunctionBinding(checked[o.ID()]))
		}
		declare := cel.Overload
		if o.IsMemberFunction() {
			declare = cel.MemberOverload
		}
		options = append(options, declare(o.ID(), o.ArgTypes(), o.ResultType(), bind...))
	}
	if decl.HasSingletonBinding() {
		options = append(options, cel.SingletonFunctionBinding(checked[decl.Name()]))
	}
	return cel.Function(decl.Name(), options...), nil
}

// check calls a function unless that would need too much memory.
func check(name string, b *functions.Overload) functions.FunctionOp {
	call := asFunction(b)
	return func(args ...ref.Val) ref.Val {
		if problem := tooLarge(name, args); problem != nil {
			return problem
		}
		return call(args...)
	}
}

// tooLarge gives the error of a call that would need too much memory, or nil.
func tooLarge(name string, args []ref.Val) ref.Val {
	if bound := guards[name]; bound != nil && bound(args) > maxText {
		return types.NewErr("%s() would make a text of more than %d bytes", name, maxText)
	}
	if !regexFunctions[name] || len(args) < 2 {
		return nil
	}
	if pattern, ok := args[1].(types.String); ok {
		if problem := regexProblem(string(pattern)); problem != "" {
			return types.NewErr("%s", problem)
		}
	}
	return nil
}

// asFunction gives the three kinds of bindings one shape.
func asFunction(b *functions.Overload) functions.FunctionOp {
	return func(args ...ref.Val) ref.Val {
		switch {
		case b.Unary != nil && len(args) == 1:
			return b.Unary(args[0])
		case b.Binary != nil && len(args) == 2:
			return b.Binary(args[0], args[1])
		case b.Function != nil:
			return b.Function(args...)
		default:
			return types.MaybeNoSuchOverloadErr(args[0])
		}
	}
}

// size is the length of a text in bytes, and of anything else in elements.
func size(v ref.Val) uint64 {
	switch v := v.(type) {
	case types.String:
		return uint64(len(v))
	case types.Bytes:
		return uint64(len(v))
	case traits.Sizer:
		if n, ok := v.Size().(types.Int); ok && n > 0 {
			return uint64(n)
		}
	}
	return 0
}

// sum is the length of all elements of a list with something between them.
func sum(list ref.Val, between uint64) uint64 {
	l, ok := list.(traits.Lister)
	if !ok {
		return 0
	}
	var total uint64
	for it := l.Iterator(); it.HasNext() == types.True; {
		total = add(total, add(size(it.Next()), between))
	}
	return total
}

// printed is how long a value becomes as text, roughly.
func printed(v ref.Val, depth int) uint64 {
	const scalar, deepest = 64, 64
	total := add(size(v), scalar)
	if depth == deepest {
		return math.MaxUint64
	}
	switch v := v.(type) {
	case types.String, types.Bytes:
		return multiply(total, 2) // as hexadecimal digits
	case traits.Lister:
		for it := v.Iterator(); it.HasNext() == types.True && total <= maxText; {
			total = add(total, printed(it.Next(), depth+1))
		}
	case traits.Mapper:
		for it := v.Iterator(); it.HasNext() == types.True && total <= maxText; {
			key := it.Next()
			total = add(total, add(printed(key, depth+1), printed(v.Get(key), depth+1)))
		}
	}
	return total
}

// precisions adds up the numbers in a format such as "%.3f".
func precisions(format ref.Val) uint64 {
	text, _ := format.(types.String)
	var total, number uint64
	for _, r := range string(text) {
		if r < '0' || r > '9' {
			total, number = add(total, number), 0
			continue
		}
		number = add(multiply(number, 10), uint64(r-'0'))
	}
	return add(total, number)
}

func add(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

func multiply(a, b uint64) uint64 {
	if b != 0 && a > math.MaxUint64/b {
		return math.MaxUint64
	}
	return a * b
}
