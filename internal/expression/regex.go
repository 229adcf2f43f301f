package expression

import (
	"fmt"
	"regexp/syntax"
	"slices"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"k8s.io/utils/lru"
)

// maxRegexProgram bounds regular expressions, in instructions: about so many letters, counted repetitions written out. Matching
// takes linear time, but what is compiled must fit into memory.
//
// cel.RegexProgramSizeLimit would do the same, but in cel-go v0.31.0 it panics on every counted repetition such as a{2}.
const maxRegexProgram = 5000

// maxPattern is the longest regular expression that is looked at, in bytes.
const maxPattern = 4096

// regexFunctions take a regular expression as their second argument, the target of a method being the first.
var regexFunctions = map[string]bool{"matches": true, "find": true, "findAll": true}

// stepsPerCost is how many steps of a regular expression cost as much as one of CEL. Each letter of a text can take as many steps as the
// regular expression has instructions: (.{0,500}x){2} takes two seconds for 64 KB.
const stepsPerCost = 8

// compiledSizes remembers how many instructions regular expressions have.
var compiledSizes = lru.New(1024)

// instructions is how many instructions a regular expression has. One that cannot be compiled is never run.
func instructions(pattern string) uint64 {
	if known, ok := compiledSizes.Get(pattern); ok {
		return known.(uint64) //nolint:forcetypeassert // nothing else is put in
	}
	count := uint64(0)
	if parsed, err := syntax.Parse(pattern, syntax.Perl); err == nil && len(pattern) <= maxPattern {
		if program, err := syntax.Compile(parsed.Simplify()); err == nil {
			count = uint64(len(program.Inst))
		}
	}
	compiledSizes.Add(pattern, count)
	return count
}

// regexCost is what it costs at most to look for a regular expression in a text of so many bytes.
func regexCost(pattern string, length uint64) uint64 {
	return multiply(length, instructions(pattern)) / stepsPerCost
}

// RegexSteps is how many steps it can take to look for a regular expression in a text of so many bytes.
func RegexSteps(pattern string, length uint64) uint64 { return multiply(length, instructions(pattern)) }

// regexProblem says why a regular expression cannot be used, or gives "".
func regexProblem(pattern string) string {
	if len(pattern) > maxPattern {
		return fmt.Sprintf("the regular expression is longer than %d bytes", maxPattern)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "the regular expression is invalid: " + short(err.Error())
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return "the regular expression is invalid: " + short(err.Error())
	}
	if len(program.Inst) > maxRegexProgram {
		return fmt.Sprintf("the regular expression is too large: it has %d instructions, %d are possible", len(program.Inst), maxRegexProgram)
	}
	return ""
}

// eachRegex visits the literal regular expressions of an expression, with the function that takes them.
func eachRegex(a *ast.AST, visit func(function string, at ast.Expr, pattern string)) {
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || !regexFunctions[e.AsCall().FunctionName()] {
			return
		}
		args := e.AsCall().Args()
		if e.AsCall().IsMemberFunction() {
			args = append([]ast.Expr{e.AsCall().Target()}, args...)
		}
		if len(args) < 2 || args[1].Kind() != ast.LiteralKind {
			return
		}
		pattern, _ := args[1].AsLiteral().(types.String)
		visit(e.AsCall().FunctionName(), args[1], string(pattern))
	}))
}

// checkRegexes finds literal regular expressions that cannot be used.
func (c *Compiler) checkRegexes(source string, a *ast.AST) error {
	var problem *CompileError
	eachRegex(a, func(_ string, pattern ast.Expr, text string) {
		if message := regexProblem(text); message != "" && problem == nil {
			at := a.SourceInfo().GetStartLocation(pattern.ID())
			problem = &CompileError{Line: max(at.Line(), 1), Column: max(at.Column()+1, 1), Message: message, Source: source}
		}
	})
	if problem != nil {
		return problem
	}
	return nil
}

// partialMatches are the regular expressions of matches that hold where a part of the text is as they say.
func partialMatches(a *ast.AST) []string {
	var all []string
	eachRegex(a, func(function string, _ ast.Expr, pattern string) {
		if function == "matches" && !isWhole(pattern) {
			all = append(all, pattern)
		}
	})
	return all
}

// isWhole tells whether a regular expression says how the text begins and how it ends, be it with anything: whichever way it matches.
func isWhole(pattern string) bool {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	return err == nil && reaches(parsed, syntax.OpBeginText, 0) && reaches(parsed, syntax.OpEndText, -1)
}

// reaches tells whether a regular expression goes to an end of the text, of which the first, or the last (-1), of its parts tells.
func reaches(r *syntax.Regexp, end syntax.Op, part int) bool {
	switch r.Op {
	case end:
		return true
	case syntax.OpStar:
		return r.Sub[0].Op == syntax.OpAnyChar || r.Sub[0].Op == syntax.OpAnyCharNotNL
	case syntax.OpCapture:
		return reaches(r.Sub[0], end, part)
	case syntax.OpConcat:
		return reaches(r.Sub[(part+len(r.Sub))%len(r.Sub)], end, part)
	case syntax.OpAlternate:
		return !slices.ContainsFunc(r.Sub, func(way *syntax.Regexp) bool { return !reaches(way, end, part) })
	default:
		return false
	}
}
