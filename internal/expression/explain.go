package expression

import (
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	apiservercel "k8s.io/apiserver/pkg/cel"

	"github.com/signoff-dev/signoff/internal/suggest"
)

// explain turns the first problem that the parser or the type checker found into an error for people. Parsed is nil when
// the expression could not be read at all.
func (c *Compiler) explain(source string, parsed *ast.AST, issues *cel.Issues) error {
	problems := issues.Errors()
	if len(problems) == 0 {
		return &CompileError{Line: 1, Column: 1, Message: oneLine(issues.Err().Error()), Source: source}
	}
	first := slices.MinFunc(problems, func(a, b *common.Error) int {
		if d := a.Location.Line() - b.Location.Line(); d != 0 {
			return d
		}
		return a.Location.Column() - b.Location.Column()
	})
	out := &CompileError{
		Line: max(first.Location.Line(), 1), Column: max(first.Location.Column()+1, 1),
		Message: oneLine(first.Message), Source: source,
	}
	if parsed != nil {
		c.explainName(out, find(parsed, first.ExprID))
	}
	return out
}

// explainName words the two most frequent mistakes, an unknown field and an unknown variable, and says what was meant.
func (c *Compiler) explainName(out *CompileError, e ast.Expr) {
	if e == nil {
		return
	}
	switch e.Kind() {
	case ast.SelectKind:
		t := c.structAt(e.AsSelect().Operand())
		field := e.AsSelect().FieldName()
		if t == nil || findField(t, field) != nil {
			return
		}
		out.Column = columnOf(out, field)
		out.Message = "undefined field '" + field + "'" + c.instead(field, fieldNames(t))
	case ast.IdentKind:
		if name := e.AsIdent(); c.types[name] == nil {
			out.Message = "undefined variable '" + name + "'" + c.instead(name, sortedKeys(c.types))
		}
	case ast.CallKind:
		if name := e.AsCall().FunctionName(); !c.env.HasFunction(name) {
			out.Column = columnOf(out, name)
			out.Message = "undefined function '" + name + "'" + c.instead(name, sortedKeys(c.env.Functions()))
		}
	}
}

// instead says why something does not exist at this place, or what was probably meant.
func (c *Compiler) instead(name string, candidates []string) string {
	if hint, ok := c.scope.hints[name]; ok {
		return ": " + hint
	}
	if near := suggest.Nearest(name, candidates); near != "" {
		return ` (did you mean "` + near + `"?)`
	}
	if len(candidates) > 0 && len(candidates) <= 12 {
		return " (there are: " + strings.Join(candidates, ", ") + ")"
	}
	return ""
}

// structAt finds the type of a plain path such as requester or inputs.image, if it has fields.
func (c *Compiler) structAt(e ast.Expr) *apiservercel.DeclType {
	switch e.Kind() {
	case ast.IdentKind:
		if t := c.types[e.AsIdent()]; t != nil && t.IsObject() {
			return t
		}
	case ast.CallKind:
		if e.AsCall().FunctionName() == fnTeam {
			return c.structs[teamTypeName]
		}
	case ast.SelectKind:
		if t := c.structAt(e.AsSelect().Operand()); t != nil {
			if f := findField(t, e.AsSelect().FieldName()); f != nil && f.Type.IsObject() {
				return f.Type
			}
		}
	}
	return nil
}

// fieldNames are the names as they can be written in an expression; words of CEL such as namespace need no escape.
func fieldNames(t *apiservercel.DeclType) []string {
	out := make([]string, 0, len(t.Fields))
	for name := range t.Fields {
		if plain, ok := apiservercel.Unescape(name); ok && name == "__"+plain+"__" {
			name = plain
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// columnOf moves a position to the nearest place where the name is written: the type checker points at the dot in front of a field
// and at the parenthesis behind a function.
func columnOf(at *CompileError, name string) int {
	lines := strings.Split(at.Source, "\n")
	if at.Line > len(lines) {
		return at.Column
	}
	line, nearest, distance, column := lines[at.Line-1], at.Column, maxSource, 0
	for i := range line {
		column++
		if d := max(column-at.Column, at.Column-column); d < distance && strings.HasPrefix(line[i:], name) {
			nearest, distance = column, d
		}
	}
	return nearest
}

func find(a *ast.AST, id int64) ast.Expr {
	var found ast.Expr
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.ID() == id {
			found = e
		}
	}))
	return found
}

// shadows refuses loop variables with the name of a variable, which would be read as that variable.
func (c *Compiler) shadows(source string, a *ast.AST) error {
	var problem *CompileError
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.ComprehensionKind || problem != nil {
			return
		}
		for _, name := range []string{e.AsComprehension().IterVar(), e.AsComprehension().IterVar2()} {
			if c.types[name] != nil {
				at := a.SourceInfo().GetStartLocation(e.ID())
				problem = &CompileError{
					Line: max(at.Line(), 1), Column: max(at.Column()+1, 1), Source: source,
					Message: "'" + name + "' is a variable already; give the element another name",
				}
			}
		}
	}))
	if problem != nil {
		return problem
	}
	return nil
}

// oneLine cuts the long list of tokens that a parser would have accepted, and line breaks.
func oneLine(message string) string {
	message, _, _ = strings.Cut(message, " expecting {")
	return short(strings.Join(strings.Fields(message), " "))
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
