package expression

import (
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	apiservercel "k8s.io/apiserver/pkg/cel"
)

// rewrite changes the checked expression into what is run, and notes what it reads:
//
//   - calendar(name) and team(name) get the calendars and the Teams of the evaluation as a hidden first argument;
//   - now as the argument of a calendar's function is the exact time, and so it is where it is compared with what does not depend on it;
//   - fields of inputs get the names that they have in JSON.
func (c *Compiler) rewrite(a *ast.AST) *rewriter {
	r := &rewriter{compiler: c, ast: a, make: ast.NewExprFactory(), id: ast.MaxID(a), fields: map[string]bool{}}
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(r.visit))
	return r
}

type rewriter struct {
	compiler             *Compiler
	ast                  *ast.AST
	make                 ast.ExprFactory
	id                   int64
	variables, calendars []string
	teams                []string
	// fields are the inputs that are selected, and wholes counts how often inputs stand there without a selection.
	fields map[string]bool
	wholes int
}

// inputs is the schema of the inputs that are read.
func (r *rewriter) inputs() *structuralschema.Structural {
	schema := r.compiler.inputs
	if schema == nil || r.wholes > 0 {
		return schema
	}
	read := *schema
	read.Properties = make(map[string]structuralschema.Structural, len(r.fields))
	for name := range r.fields {
		if property, ok := schema.Properties[name]; ok {
			read.Properties[name] = property
		}
	}
	return &read
}

// selected notes that a field is read of an expression.
func (r *rewriter) selected(of ast.Expr, field string) {
	if of.Kind() == ast.IdentKind && of.AsIdent() == varInputs {
		r.fields[field] = true
		r.wholes--
	}
}

func compact(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

func (r *rewriter) visit(e ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind:
		if _, ok := r.compiler.types[e.AsIdent()]; ok {
			r.variables = append(r.variables, e.AsIdent())
		}
		if e.AsIdent() == varInputs {
			r.wholes++
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
	if !ok {
		name = s.FieldName()
	}
	r.selected(s.Operand(), name)
	if name == s.FieldName() {
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
	case overloads[0] == idTeam:
		r.addTeams(e, call.Args()[0])
	case isCalendarQuestion(overloads[0]):
		if at := call.Args()[0]; at.Kind() == ast.IdentKind && at.AsIdent() == varNow {
			at.SetKindCase(r.make.NewIdent(at.ID(), varExactNow))
			r.ast.SetReference(at.ID(), ast.NewIdentReference(varExactNow, nil))
		}
	default:
		r.visitComparison(e, overloads[0])
	}
}

func (r *rewriter) visitOptionalSelect(call ast.CallExpr) {
	args := call.Args()
	if len(args) != 2 || args[1].Kind() != ast.LiteralKind || r.compiler.structOf(r.ast.GetType(args[0].ID())) == nil {
		return
	}
	field, ok := args[1].AsLiteral().(types.String)
	if name, valid := apiservercel.Unescape(string(field)); ok && valid {
		r.selected(args[0], name)
		args[1].SetKindCase(r.make.NewLiteral(args[1].ID(), types.String(name)))
	}
}

func (r *rewriter) addCalendars(e, name ast.Expr) {
	if literal, ok := literalText(name); ok {
		r.calendars = append(r.calendars, literal)
	}
	r.hide(e, name, hiddenArgument{varCalendars, calendarsType, fnCalendar, idLookUp})
}

// hiddenArgument is a variable that nobody can write, and the overload of a function that takes it.
type hiddenArgument struct {
	variable           string
	of                 *cel.Type
	function, overload string
}

// hide makes a call that names something one that also gets where to look it up.
func (r *rewriter) hide(e, name ast.Expr, with hiddenArgument) {
	r.id++
	hidden := r.make.NewIdent(r.id, with.variable)
	r.ast.SetReference(r.id, ast.NewIdentReference(with.variable, nil))
	r.ast.SetType(r.id, with.of)
	e.SetKindCase(r.make.NewCall(e.ID(), with.function, hidden, name))
	r.ast.SetReference(e.ID(), ast.NewFunctionReference(with.overload))
}

func literalText(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}

// structOf returns the type with fields behind a type of CEL, or nil.
func (c *Compiler) structOf(t *cel.Type) *apiservercel.DeclType {
	if t == nil || t.Kind() != types.StructKind {
		return nil
	}
	return c.structs[t.TypeName()]
}
