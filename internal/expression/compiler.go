package expression

import (
	"fmt"
	"maps"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	apiservercel "k8s.io/apiserver/pkg/cel"
)

// maxSource is the longest expression, in bytes.
const maxSource = 16 * 1024

// Compiler compiles the expressions of one place. It is safe for concurrent use.
type Compiler struct {
	scope *scope
	env   *cel.Env
	// types are the types of the variables, for costs and suggestions.
	types map[string]*apiservercel.DeclType
	// structs are the types with fields, by their name.
	structs map[string]*apiservercel.DeclType
	// inputs is the schema of the variable inputs, where it has one.
	inputs *structuralschema.Structural
	cost   *estimator
	origin *origin
}

// NewCompiler returns a compiler for a place. Inputs is the schema of the Action's inputs, for the places that know it; nil
// means that the Action has no inputs. Lookups are further variables of any type, for the same places: the facts that the Action reads.
func NewCompiler(place Place, inputs *structuralschema.Structural, lookups ...string) (*Compiler, error) {
	g, err := groundOf(place)
	if err != nil {
		return nil, err
	}
	c := &Compiler{scope: g.scope, env: g.env, types: maps.Clone(g.scope.typed), origin: &origin{place, inputs, lookups}}
	if g.scope.time {
		c.types[varNow] = apiservercel.TimestampType
	}
	if g.scope.schema {
		if err := c.typeInputs(place, inputs, lookups); err != nil {
			return nil, err
		}
	}
	c.cost, c.structs = newEstimator(c.types), structsOf(c.types)
	if c.scope.time {
		c.structs[teamTypeName] = teamType()
	}
	return c, nil
}

// At returns a compiler for another place of the same Action, without its lookups.
func (c *Compiler) At(place Place) (*Compiler, error) { return NewCompiler(place, c.origin.inputs) }

// With returns a compiler that also knows a variable of any type.
func (c *Compiler) With(variable string) (*Compiler, error) {
	return c.with(variable, apiservercel.DynType)
}

// with returns a compiler that also knows a variable.
func (c *Compiler) with(variable string, t *apiservercel.DeclType) (*Compiler, error) {
	var types []*apiservercel.DeclType
	if t.IsObject() {
		types = append(types, t)
	}
	env, err := extend(c.env, types, cel.Variable(variable, t.CelType()))
	if err != nil {
		return nil, fmt.Errorf("failed to give %s its type: %w", variable, err)
	}
	out := *c
	out.env, out.types = env, map[string]*apiservercel.DeclType{variable: t}
	maps.Copy(out.types, c.types)
	out.cost, out.structs = newEstimator(out.types), structsOf(out.types)
	if c.scope.time {
		out.structs[teamTypeName] = teamType()
	}
	return &out, nil
}

// structsOf collects the types with fields inside the types of variables.
func structsOf(variables map[string]*apiservercel.DeclType) map[string]*apiservercel.DeclType {
	out := make(map[string]*apiservercel.DeclType)
	for _, root := range variables {
		for name, t := range apiservercel.FieldTypeMap(root.TypeName(), root) {
			if t.IsObject() {
				out[name] = t
			}
		}
	}
	return out
}

func (c *Compiler) typeInputs(place Place, schema *structuralschema.Structural, lookups []string) error {
	if place == TemplatePlace {
		schema = asWritten(schema)
	}
	t := inputsType(schema)
	variables := []cel.EnvOption{cel.Variable(varInputs, t.CelType())}
	for _, name := range lookups {
		variables = append(variables, cel.Variable(name, cel.DynType))
		c.types[name] = apiservercel.DynType
	}
	env, err := extend(c.env, []*apiservercel.DeclType{t}, variables...)
	if err != nil {
		return fmt.Errorf("failed to give inputs their types: %w", err)
	}
	c.env, c.types[varInputs], c.inputs = env, t, schema
	return nil
}

// Bool compiles an expression that gives true or false.
func (c *Compiler) Bool(source string) (*Program, error) {
	return c.compile(source, func(t *cel.Type) string {
		if t.Kind() == cel.BoolKind || t.Kind() == cel.DynKind {
			return ""
		}
		return "this gives " + nameOf(t) + ", but true or false is needed"
	})
}

// String compiles an expression that gives a text.
func (c *Compiler) String(source string) (*Program, error) {
	return c.compile(source, func(t *cel.Type) string {
		if t.Kind() == cel.StringKind || t.Kind() == cel.DynKind {
			return ""
		}
		return "this gives " + nameOf(t) + ", but a string is needed; string(…) makes one of numbers and times"
	})
}

// Strings compiles an expression that gives a list of strings.
func (c *Compiler) Strings(source string) (*Program, error) {
	return c.compile(source, func(t *cel.Type) string {
		if t.Kind() == cel.DynKind {
			return ""
		}
		if t.Kind() == cel.ListKind {
			switch t.Parameters()[0].Kind() {
			case cel.StringKind, cel.DynKind, cel.TypeParamKind:
				return ""
			}
		}
		return "this gives " + nameOf(t) + ", but a list of strings is needed"
	})
}

// Text compiles an expression that gives something that can stand inside a text: a string, a number, true or false, a time.
func (c *Compiler) Text(source string) (*Program, error) {
	return c.compile(source, func(t *cel.Type) string {
		switch t.Kind() {
		case cel.DynKind, cel.BoolKind, cel.IntKind, cel.UintKind, cel.DoubleKind, cel.StringKind, cel.BytesKind,
			cel.TimestampKind, cel.DurationKind:
			return ""
		}
		return "this gives " + nameOf(t) + ", which cannot stand inside text"
	})
}

// Any compiles an expression that gives any value that JSON can hold.
func (c *Compiler) Any(source string) (*Program, error) {
	return c.compile(source, func(t *cel.Type) string {
		if c.hasJSON(t) {
			return ""
		}
		if t.Kind() == cel.OpaqueKind && t.TypeName() == cel.OptionalType(cel.DynType).TypeName() {
			return "this gives a value that may be missing; say with .orValue(…) what then"
		}
		return "this gives " + nameOf(t) + ", which JSON cannot hold"
	})
}

// compile parses, checks, judges the type of the result, and plans. A panic of the compiler of CEL, which reads what anybody may write,
// is an error.
func (c *Compiler) compile(source string, judge func(*cel.Type) string) (p *Program, err error) {
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, &CompileError{Line: 1, Column: 1, Message: fmt.Sprintf("the CEL compiler failed: %v", r), Source: source}
		}
	}()
	if problem := unreadable(source); problem != "" {
		return nil, &CompileError{Line: 1, Column: 1, Message: problem, Source: source}
	}
	parsed, issues := c.env.Parse(source)
	if issues.Err() != nil {
		return nil, c.explain(source, nil, issues)
	}
	checked, issues := c.env.Check(parsed)
	if issues.Err() != nil {
		return nil, c.explain(source, parsed.NativeRep(), issues)
	}
	if problem := judge(checked.OutputType()); problem != "" {
		return nil, &CompileError{Line: 1, Column: 1, Message: problem, Source: source}
	}
	if err := c.shadows(source, checked.NativeRep()); err != nil {
		return nil, err
	}
	if err := c.checkRegexes(source, checked.NativeRep()); err != nil {
		return nil, err
	}
	return c.plan(source, checked)
}

func unreadable(source string) string {
	switch {
	case len(source) > maxSource:
		return fmt.Sprintf("the expression is longer than %d bytes", maxSource)
	case !utf8.ValidString(source):
		return "the expression is not valid UTF-8"
	default:
		return ""
	}
}

// hasJSON reports whether JSON can hold every value of a type, or whether that can be known only at run time.
func (c *Compiler) hasJSON(t *cel.Type) bool {
	switch t.Kind() {
	case cel.DynKind, cel.BoolKind, cel.IntKind, cel.UintKind, cel.DoubleKind, cel.StringKind, cel.BytesKind,
		cel.NullTypeKind, cel.TimestampKind, cel.DurationKind, cel.TypeParamKind:
		return true
	case cel.ListKind, cel.MapKind:
		for _, p := range t.Parameters() {
			if !c.hasJSON(p) {
				return false
			}
		}
		return true
	case cel.StructKind:
		return c.structOf(t) != nil
	default:
		return false
	}
}

// isText reports whether JSON holds every value of a type as text.
func isText(t *cel.Type) bool {
	switch t.Kind() {
	case cel.StringKind, cel.BytesKind, cel.TimestampKind, cel.DurationKind:
		return true
	default:
		return false
	}
}

func nameOf(t *cel.Type) string { return cel.FormatCELType(t) }
