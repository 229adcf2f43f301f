package steps

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
)

// Get is the compiled call of a lookup, which asks for one value. It never changes and is safe for concurrent use.
type Get struct {
	source *v1alpha1.HostLookup
	writer *httpWriter
}

// varValue is the name of the one output that a lookup gives.
const varValue = "value"

// CompileGet compiles the call of a lookup by the rules for calls of steps, and its value by those for their outputs.
func CompileGet(in *v1alpha1.HostLookup, c *expression.Compiler, path *field.Path) (*Get, field.ErrorList) {
	b, step := &builder{templates: c, values: c}, &v1alpha1.HTTPStep{Method: v1alpha1.HTTPGet, URL: in.URL, Headers: in.Headers, CABundle: in.CABundle}
	writer, _ := b.http(step, path).(*httpWriter)
	b.aboutValue(in, path)
	return &Get{source: in, writer: writer}, b.errs
}

// aboutValue refuses a value that is none, or of no schema.
func (b *builder) aboutValue(in *v1alpha1.HostLookup, path *field.Path) {
	_, errs := OutputSchema(outputsOf(in), path)
	own := path.Child("schema").String()
	for _, err := range errs {
		// The schema stands alone, and not in a list of outputs.
		err.Field = strings.NewReplacer(path.Child("properties").Key(varValue).String(), own, path.Index(0).Child("schema").String(), own).Replace(err.Field)
	}
	b.refuse(errs...)
	compiler, err := expression.NewCompiler(expression.Response, nil)
	if err == nil {
		_, err = compiler.Any(in.Value)
	}
	if err != nil {
		b.refuse(field.Invalid(path.Child("value"), in.Value, err.Error()))
	}
}

func outputsOf(in *v1alpha1.HostLookup) []v1alpha1.StepOutput {
	return []v1alpha1.StepOutput{{Name: varValue, Expression: in.Value, Schema: in.Schema}}
}

// Uses reports whether a template of the call reads the variable.
func (g *Get) Uses(variable string) bool { return g.writer.uses(variable) }

// Source is the lookup as it is written.
func (g *Get) Source() *v1alpha1.HostLookup { return g.source }

// Render fills in the templates of the call. Its Secrets have no uid: nobody has agreed to certain ones.
func (g *Get) Render(ctx context.Context, vars expression.Vars, budget *expression.Budget) (*v1alpha1.RenderedHTTP, error) {
	out, r := &v1alpha1.RenderedHTTP{Method: v1alpha1.HTTPGet, CABundle: g.source.CABundle}, rendering{Input: Input{Vars: vars, Budget: budget}}
	if err := g.writer.where(ctx, r, out); err != nil {
		return nil, err
	}
	return out, g.writer.values(ctx, r, out)
}

// Value is what an answer gives. An error does not say what is in the answer.
func (g *Get) Value(ctx context.Context, response map[string]any, budget *expression.Budget) (any, error) {
	step := &v1alpha1.RenderedStep{HTTP: &v1alpha1.RenderedHTTP{}, Outputs: outputsOf(g.source)}
	given, err := Evaluate(ctx, step, expression.Vars{Values: map[string]any{varResponse: response}}, budget)
	if err != nil {
		return nil, err
	}
	return g.decode(given.Raw)
}

// Check gives a value that somebody has written as JSON, if it fits the schema.
func (g *Get) Check(raw []byte) (any, error) {
	var value any
	if err := utiljson.Unmarshal(raw, &value); err != nil {
		return nil, fmt.Errorf("failed to read the value: %w", err)
	}
	schema, errs := OutputSchema(outputsOf(g.source), field.NewPath("http"))
	if len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	given, err := checked(schema, map[string]any{varValue: value})
	if err != nil {
		return nil, err
	}
	return g.decode(given.Raw)
}

// decode gives the value in the type that expressions expect of its schema.
func (g *Get) decode(raw []byte) (any, error) {
	var of struct{ Type string }
	values := map[string]any{}
	if err := json.Unmarshal(g.source.Schema.Raw, &of); err != nil {
		return nil, fmt.Errorf("failed to read the schema: %w", err)
	}
	if err := utiljson.Unmarshal(raw, &values); err != nil {
		return nil, fmt.Errorf("failed to read the value: %w", err)
	}
	if whole, is := values[varValue].(int64); is && of.Type == "number" {
		return float64(whole), nil
	}
	return values[varValue], nil
}
