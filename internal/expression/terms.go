package expression

import (
	"sync"

	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/parser"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// origin is what a compiler was made of, so that it can be made again for the terms of an expression, which few people ask for.
type origin struct {
	place   Place
	inputs  *structuralschema.Structural
	lookups []string
}

// lazyTerms are the terms of a program, once somebody asked for them.
type lazyTerms struct {
	once sync.Once
	root *term
}

// logic says how the parts of a term are put together.
type logic int

const (
	isLeaf logic = iota
	isAnd
	isOr
	isNot
)

// term is an expression that gives true or false: a leaf, or several terms put together.
type term struct {
	logic logic
	parts []*term
	leaf  *leaf
}

// shape is a form of a leaf for which there are plain words.
type shape int

const (
	// isPlain is any other leaf.
	isPlain shape = iota
	// isComparison compares an operand with something.
	isComparison
	// isMembership asks whether a person is in something.
	isMembership
	// isCalendar asks whether a calendar is open now.
	isCalendar
	// isSet asks whether a field is there.
	isSet
	// isSearch asks whether one of the objects that would be written is like this.
	isSearch
)

// leaf is a term without terms inside.
type leaf struct {
	source  string
	program *Program
	shape   shape
	// operator compares left with right.
	operator    string
	left, right *Program
	// literals are what left is compared with, where that is written in the expression.
	literals []any
	// fixed says that right is written in the expression as a literal.
	fixed bool
	// input is the input that left is, where it is one.
	input string
	// subject is the calendar, the field, or what the person is in; person the variable of the person; list which list of theirs.
	subject, person, list string
	// found names the objects that a search finds, and values what left is of each of them.
	found, values *Program
}

// terms gives the terms of the program, compiling them the first time. Nil: it cannot be taken apart.
func (p *Program) termTree() *term {
	p.terms.once.Do(func() {
		if p.origin == nil {
			return
		}
		compiler, err := NewCompiler(p.origin.place, p.origin.inputs, p.origin.lookups...)
		if err != nil {
			return
		}
		s := &splitter{compiler: compiler}
		p.terms.root = s.parse(p.source)
	})
	return p.terms.root
}

// splitter takes an expression apart. Macros are left as they were written, so that every part can be shown and compiled by itself.
type splitter struct {
	compiler *Compiler
	info     *ast.SourceInfo
}

func (s *splitter) parse(source string) *term {
	p, err := parser.NewParser(parser.EnableOptionalSyntax(true), parser.EnableIdentEscapeSyntax(true))
	if err != nil {
		return nil
	}
	parsed, problems := p.Parse(common.NewTextSource(source))
	if problems != nil && len(problems.GetErrors()) > 0 {
		return nil
	}
	s.info = parsed.SourceInfo()
	return s.split(parsed.Expr())
}

// split gives nil where a part cannot stand by itself.
func (s *splitter) split(e ast.Expr) *term {
	if e.Kind() == ast.CallKind {
		call := e.AsCall()
		switch call.FunctionName() {
		case operators.LogicalAnd:
			return s.join(isAnd, call.Args())
		case operators.LogicalOr:
			return s.join(isOr, call.Args())
		case operators.LogicalNot:
			return s.join(isNot, call.Args())
		}
	}
	found := s.leaf(e)
	if found == nil {
		return nil
	}
	return &term{logic: isLeaf, leaf: found}
}

// join puts terms together; what is put together in the same way inside of them becomes one level.
func (s *splitter) join(logic logic, args []ast.Expr) *term {
	out := &term{logic: logic}
	for _, arg := range args {
		part := s.split(arg)
		switch {
		case part == nil:
			return nil
		case part.logic == logic && logic != isNot:
			out.parts = append(out.parts, part.parts...)
		default:
			out.parts = append(out.parts, part)
		}
	}
	return out
}

func (s *splitter) leaf(e ast.Expr) *leaf {
	source, ok := s.text(e)
	if !ok {
		return nil
	}
	program, err := s.compiler.Bool(source)
	if err != nil {
		return nil
	}
	out := &leaf{source: source, program: program}
	if input, ok := inputOf(e); ok {
		out.input, out.literals = input, []any{true, false}
	}
	if e.Kind() == ast.CallKind {
		s.shape(out, e.AsCall())
	}
	return out
}

func (s *splitter) text(e ast.Expr) (string, bool) {
	text, err := parser.Unparse(e, s.info)
	return text, err == nil
}

// shape recognizes what there are plain words for.
func (s *splitter) shape(out *leaf, call ast.CallExpr) {
	args := call.Args()
	switch call.FunctionName() {
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		s.comparison(out, call.FunctionName(), args[0], args[1])
	case operators.In:
		if name, ok := literalText(args[0]); !ok || !membership(out, args[1], name) {
			s.comparison(out, operators.In, args[0], args[1])
		}
	case "has":
		if field, ok := s.text(args[0]); ok {
			out.shape, out.subject = isSet, field
		}
	case "exists":
		s.exists(out, call)
	case "contains":
		if name, ok := calendarOf(call); ok {
			out.shape, out.subject = isCalendar, name
		}
	}
}

// exists recognizes a search for a name, or for objects.
func (s *splitter) exists(out *leaf, call ast.CallExpr) {
	if name, ok := sought(call.Args()); ok && call.IsMemberFunction() && membership(out, call.Target(), name) {
		return
	}
	s.search(out, call)
}

// mirrored are the operators that say the same with their sides exchanged.
func mirrored(operator string) string {
	switch operator {
	case operators.Less:
		return operators.Greater
	case operators.LessEquals:
		return operators.GreaterEquals
	case operators.Greater:
		return operators.Less
	case operators.GreaterEquals:
		return operators.LessEquals
	}
	return operator
}

func (s *splitter) comparison(out *leaf, operator string, left, right ast.Expr) {
	if left.Kind() == ast.LiteralKind && right.Kind() != ast.LiteralKind && operator != operators.In {
		left, right, operator = right, left, mirrored(operator)
	}
	l, r := s.operand(left), s.operand(right)
	if l == nil || r == nil {
		return
	}
	out.shape, out.operator, out.left, out.right = isComparison, operator, l, r
	out.literals = literalsOf(right)
	out.fixed = len(out.literals) > 0
	if input, ok := inputOf(left); ok {
		out.input = input
	}
}

func (s *splitter) operand(e ast.Expr) *Program {
	source, ok := s.text(e)
	if !ok {
		return nil
	}
	program, err := s.compiler.Any(source)
	if err != nil {
		return nil
	}
	return program
}

// literalsOf gives the values of a literal, or of a list of literals.
func literalsOf(e ast.Expr) []any {
	var out []any
	switch e.Kind() {
	case ast.LiteralKind:
		if value, err := native(e.AsLiteral()); err == nil {
			out = append(out, value)
		}
	case ast.ListKind:
		for _, element := range e.AsList().Elements() {
			out = append(out, literalsOf(element)...)
		}
	}
	return out
}

// inputOf gives the name of the input that an expression is.
func inputOf(e ast.Expr) (string, bool) {
	if e.Kind() != ast.SelectKind || e.AsSelect().IsTestOnly() {
		return "", false
	}
	of := e.AsSelect().Operand()
	return e.AsSelect().FieldName(), of.Kind() == ast.IdentKind && of.AsIdent() == varInputs
}

// membership recognizes a list of a person, such as requester.groups.
func membership(out *leaf, list ast.Expr, name string) bool {
	if list.Kind() != ast.SelectKind || list.AsSelect().Operand().Kind() != ast.IdentKind {
		return false
	}
	person, field := list.AsSelect().Operand().AsIdent(), list.AsSelect().FieldName()
	if person != varRequester && person != varCaller {
		return false
	}
	switch field {
	case "groups", "teams", "roles", "leads":
		out.shape, out.subject, out.person, out.list = isMembership, name, person, field
		return true
	}
	return false
}

// sought gives what exists(x, x == 'name') looks for.
func sought(args []ast.Expr) (string, bool) {
	if len(args) != 2 || args[0].Kind() != ast.IdentKind || args[1].Kind() != ast.CallKind {
		return "", false
	}
	equal := args[1].AsCall()
	if equal.FunctionName() != operators.Equals {
		return "", false
	}
	for i, side := range equal.Args() {
		other := equal.Args()[1-i]
		if side.Kind() == ast.IdentKind && side.AsIdent() == args[0].AsIdent() {
			return literalText(other)
		}
	}
	return "", false
}

// calendarOf recognizes calendar('name').contains(now).
func calendarOf(call ast.CallExpr) (string, bool) {
	if !call.IsMemberFunction() || call.Target().Kind() != ast.CallKind || call.Target().AsCall().FunctionName() != fnCalendar {
		return "", false
	}
	if at := call.Args(); len(at) != 1 || at[0].Kind() != ast.IdentKind || at[0].AsIdent() != varNow {
		return "", false
	}
	return literalText(call.Target().AsCall().Args()[0])
}

// searchesObjects tells a macro over the planned objects that names each of them.
func searchesObjects(call ast.CallExpr) bool {
	args := call.Args()
	return call.IsMemberFunction() && len(args) == 2 && args[0].Kind() == ast.IdentKind &&
		call.Target().Kind() == ast.IdentKind && call.Target().AsIdent() == varObjects
}

// search recognizes objects.exists(o, …), so that the objects can be named.
func (s *splitter) search(out *leaf, call ast.CallExpr) {
	args := call.Args()
	if !searchesObjects(call) {
		return
	}
	element := args[0].AsIdent()
	condition, ok := s.text(args[1])
	if !ok {
		return
	}
	filtered := "objects.filter(" + element + ", " + condition + ").map(" + element + ", "
	var err error
	if out.found, err = s.compiler.Any(filtered + element + ".kind + ' ' + (" + element + ".namespace == '' ? '' : " + element + ".namespace + '/') + " + element + ".name)"); err != nil {
		return
	}
	out.shape, out.subject = isSearch, condition
	if args[1].Kind() != ast.CallKind || args[1].AsCall().FunctionName() != operators.Equals {
		return
	}
	if left, ok := s.text(args[1].AsCall().Args()[0]); ok {
		if values, err := s.compiler.Any(filtered + "dyn(" + left + "))"); err == nil {
			out.values, out.subject = values, trimmed(left, element)
		}
	}
}
