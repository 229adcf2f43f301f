package steps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/inputs"
	"github.com/signoff-dev/signoff/internal/template"
	"github.com/signoff-dev/signoff/internal/visible"
)

// Earlier is what a step knows of those before it while it runs, from a Record.
type Earlier struct {
	schemas map[string]*structuralschema.Structural
	value   map[string]any
	outcome v1alpha1.Outcome
}

// NewEarlier reads the steps before one, and how they ended. Outcome is how all ended, for a step of finally, and else empty.
func NewEarlier(before []v1alpha1.RenderedStep, statuses []v1alpha1.StepStatus, outcome v1alpha1.Outcome) (*Earlier, error) {
	out := &Earlier{outcome: outcome, schemas: map[string]*structuralschema.Structural{}}
	states, values := map[string]string{}, map[string]map[string]any{}
	for i := range before {
		if !readable.MatchString(before[i].Name) {
			continue
		}
		schema, errs := OutputSchema(before[i].Outputs, field.NewPath("outputs"))
		if len(errs) > 0 {
			return nil, fmt.Errorf("failed to read the schema of step %s: %w", before[i].Name, errs.ToAggregate())
		}
		out.schemas[before[i].Name] = schema.Structural()
	}
	for i := range statuses {
		states[statuses[i].Name] = string(statuses[i].State)
		if statuses[i].Outputs == nil {
			continue
		}
		var object map[string]any
		if err := utiljson.Unmarshal(statuses[i].Outputs.Raw, &object); err != nil {
			return nil, fmt.Errorf("failed to read the outputs of step %s: %w", statuses[i].Name, err)
		}
		values[statuses[i].Name] = object
	}
	var err error
	out.value, err = expression.Steps(out.schemas, states, values)
	return out, err
}

// Values are the variables that are known only while the steps run.
func (e *Earlier) Values() map[string]any {
	if e.outcome == "" {
		return map[string]any{varSteps: e.value}
	}
	return map[string]any{varSteps: e.value, varOutcome: string(e.outcome)}
}

func (e *Earlier) compiler(place expression.Place) (*expression.Compiler, error) {
	compiler, err := expression.NewCompiler(place, nil)
	if err != nil {
		return nil, err
	}
	return e.knowing(compiler)
}

// knowing gives a compiler that also knows the steps before.
func (e *Earlier) knowing(compiler *expression.Compiler) (*expression.Compiler, error) {
	compiler, err := compiler.WithSteps(e.schemas)
	if err != nil || e.outcome == "" {
		return compiler, err
	}
	return compiler.With(varOutcome)
}

// FillIn gives a step with everything filled in that became known while earlier steps ran.
func (e *Earlier) FillIn(ctx context.Context, step *v1alpha1.RenderedStep, budget *expression.Budget) (*v1alpha1.RenderedStep, error) {
	return e.fill(ctx, step, &filling{budget: budget, known: func(*v1alpha1.LateValue) bool { return true }})
}

// FillEarly gives a step with everything filled in that these earlier steps tell, and leaves to FillIn what needs others. What needs one that was
// skipped is left as well: the step that reads it may be skipped, too, when it is reached.
func (e *Earlier) FillEarly(ctx context.Context, step *v1alpha1.RenderedStep, budget *expression.Budget) (*v1alpha1.RenderedStep, error) {
	c, err := e.done().compiler(expression.LateValue)
	if err != nil {
		return nil, err
	}
	return e.fill(ctx, step, &filling{budget: budget, known: func(l *v1alpha1.LateValue) bool {
		return !slices.ContainsFunc(l.Parts, func(part v1alpha1.LatePart) bool {
			if part.Expression == "" {
				return false
			}
			_, err := c.Any(part.Expression)
			return err != nil
		})
	}})
}

// done knows only of the steps that were done.
func (e *Earlier) done() *Earlier {
	out := &Earlier{outcome: e.outcome, value: e.value, schemas: maps.Clone(e.schemas)}
	maps.DeleteFunc(out.schemas, func(name string, _ *structuralschema.Structural) bool {
		step, _ := e.value[name].(map[string]any)
		return step["state"] != string(v1alpha1.StepDone)
	})
	return out
}

// filling is how late values are filled in.
type filling struct {
	compiler *expression.Compiler
	budget   *expression.Budget
	// known tells which of them are known.
	known func(*v1alpha1.LateValue) bool
}

// fill fills in the late values that are known.
func (e *Earlier) fill(ctx context.Context, step *v1alpha1.RenderedStep, f *filling) (*v1alpha1.RenderedStep, error) {
	var err error
	if f.compiler, err = e.compiler(expression.LateValue); err != nil {
		return nil, err
	}
	out := step.DeepCopy()
	for i := range out.Writes {
		w := &out.Writes[i]
		var later []v1alpha1.LateValue
		for j := range w.Late {
			if !f.known(&w.Late[j]) {
				later = append(later, w.Late[j])
				continue
			}
			value, err := e.late(ctx, f.compiler, f.budget, &w.Late[j])
			if err == nil {
				w.Body.Raw, err = put(w.Body.Raw, w.Late[j].Path, value)
			}
			if err != nil {
				return nil, fmt.Errorf("failed to fill in %s of %s %s: %w", w.Late[j].Path, w.Object.Kind, w.Object.Name, err)
			}
		}
		w.Late = later
	}
	if out.HTTP == nil {
		return out, nil
	}
	return out, e.fillCall(ctx, f, out.HTTP)
}

// IsLate tells whether anything of a step is filled in when it is reached.
func IsLate(step *v1alpha1.RenderedStep) bool {
	for i := range step.Writes {
		if len(step.Writes[i].Late) > 0 {
			return true
		}
	}
	return step.HTTP != nil && len(step.HTTP.Late) > 0
}

// late gives a late value. What comes out of an output is data: it is one value, and never read as a template.
func (e *Earlier) late(ctx context.Context, c *expression.Compiler, budget *expression.Budget, l *v1alpha1.LateValue) (any, error) {
	var whole strings.Builder
	for _, part := range l.Parts {
		if part.Expression == "" {
			whole.WriteString(part.Text)
			continue
		}
		program, err := c.Any(part.Expression)
		if err != nil {
			return nil, err
		}
		value, err := program.EvalAny(ctx, expression.Vars{Values: e.Values()}, budget)
		if err != nil {
			return nil, err
		}
		text, err := template.AsText(value)
		if err != nil {
			return nil, fmt.Errorf("${%s}: %w", part.Expression, err)
		}
		if _, isText := value.(string); !isText && keepsType(l) {
			return value, nil
		}
		switch {
		case l.Expands:
			text = double(text)
		case l.Encodes:
			text = encodePart(text)
		}
		whole.WriteString(text)
	}
	return whole.String(), nil
}

// keepsType tells whether what is put in a place need not be text. What Kubernetes expands is text.
func keepsType(l *v1alpha1.LateValue) bool { return len(l.Parts) == 1 && !l.AsText && !l.Expands }

// put replaces what stands at a place of a body.
func put(body []byte, path string, value any) ([]byte, error) {
	raw, err := json.Marshal([]any{map[string]any{"op": "replace", "path": path, "value": value}})
	if err != nil {
		return nil, fmt.Errorf("failed to encode: %w", err)
	}
	patch, err := jsonpatch.DecodePatch(raw)
	if err != nil {
		return nil, fmt.Errorf("failed to encode: %w", err)
	}
	return patch.Apply(body)
}

// Evaluate gives the outputs of a step that is done. An error says which of them is not as it was declared.
func Evaluate(ctx context.Context, step *v1alpha1.RenderedStep, vars expression.Vars, budget *expression.Budget) (*runtime.RawExtension, error) {
	schema, errs := OutputSchema(step.Outputs, field.NewPath("outputs"))
	if len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	place := expression.StepOutput
	switch {
	case step.HTTP != nil:
		place = expression.Response
	case step.Writes[0].Operation == v1alpha1.WriteCreateJob:
		place = expression.JobOutput
	}
	compiler, err := expression.NewCompiler(place, nil)
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	for i := range step.Outputs {
		output := &step.Outputs[i]
		program, err := compiler.Any(output.Expression)
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", output.Name, err)
		}
		if values[output.Name], err = program.EvalAny(ctx, vars, budget); err != nil {
			return nil, fmt.Errorf("output %s: %w", output.Name, expression.WithoutValues(err))
		}
	}
	return checked(schema, values)
}

// ends takes ends of lines and tabs away, which show.
var ends = strings.NewReplacer("\n", "", "\t", "")

// checked gives outputs that fit their schema.
func checked(schema *inputs.Schema, values map[string]any) (*runtime.RawExtension, error) {
	for name, value := range values {
		if text, is := value.(string); is && visible.Hides(ends.Replace(text)) {
			return nil, fmt.Errorf("output %s: it has characters that do not show, and people read it in their terminals", name)
		}
	}
	raw, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("failed to encode the outputs: %w", err)
	}
	if len(raw) > maxOutputs {
		return nil, errors.New("the outputs are too long to be stored together")
	}
	if _, errs := schema.Resolve(raw, field.NewPath("outputs")); len(errs) > 0 {
		return nil, withoutValues(errs)
	}
	return &runtime.RawExtension{Raw: raw}, nil
}

// withoutValues says what is wrong with values, and not what they are: they come from objects that not everybody may read.
func withoutValues(errs field.ErrorList) error {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = fmt.Sprintf("%s: %s: %s", err.Field, err.Type, err.Detail)
	}
	return errors.New(strings.Join(texts, "; "))
}
