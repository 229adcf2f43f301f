package expression

import (
	"fmt"
	"regexp/syntax"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
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

// checkRegexes finds literal regular expressions that cannot be used.
func (c *Compiler) checkRegexes(source string, a *ast.AST) error {
	var problem *CompileError
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || !regexFunctions[e.AsCall().FunctionName()] || problem != nil {
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
		if message := regexProblem(string(pattern)); message != "" {
			at := a.SourceInfo().GetStartLocation(args[1].ID())
			problem = &CompileError{Line: max(at.Line(), 1), Column: max(at.Column()+1, 1), Message: message, Source: source}
		}
	}))
	if problem != nil {
		return problem
	}
	return nil
}
