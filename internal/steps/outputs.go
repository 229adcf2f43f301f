package steps

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/inputs"
)

// varSteps is the variable by which templates and conditions read outputs of earlier steps.
const varSteps = "steps"

// varOutcome is how the steps ended, for those of finally.
const varOutcome = "outcome"

// lateVariables are known only while the steps run.
var lateVariables = []string{varSteps, varOutcome}

// maxOutput is how long an output may be, in characters: they are stored in the request and in its Record.
const maxOutput = 4096

// maxOutputs is how many bytes all outputs of a step may have as JSON.
const maxOutputs = 16 * 1024

// readable are names of steps that can stand in an expression.
var readable = regexp.MustCompile(`^[a-z][a-z0-9]*$`)

// remember lets later steps read what a step gives.
func (b *builder) remember(s *v1alpha1.Step, path *field.Path) {
	if !readable.MatchString(s.Name) {
		if len(s.Outputs) > 0 {
			b.refuse(field.Invalid(path.Child("name"), s.Name, "a step with outputs needs a name that can stand in an expression, of a-z and 0-9: a hyphen would be a subtraction"))
		}
		return
	}
	schema, errs := OutputSchema(s.Outputs, path.Child("outputs"))
	if len(errs) > 0 {
		return // they have been told of already
	}
	if b.earlier[s.Name] = schema.Structural(); schema == nil {
		return
	}
	b.see(path)
}

// see gives templates in values what is known of earlier steps, and in finally how they ended.
func (b *builder) see(path *field.Path) {
	values, err := b.templates, error(nil)
	if b.outputsSoFar() {
		values, err = values.WithSteps(b.earlier)
	}
	if err == nil && b.last {
		values, err = values.With(varOutcome)
	}
	if err != nil {
		b.refuse(field.InternalError(path, err))
		return
	}
	b.values = values
}

func (b *builder) outputsSoFar() bool {
	for _, schema := range b.earlier {
		if schema != nil {
			return true
		}
	}
	return false
}

// OutputSchema is the schema of all outputs of a step together; nil where it has none.
func OutputSchema(outputs []v1alpha1.StepOutput, path *field.Path) (*inputs.Schema, field.ErrorList) {
	if len(outputs) == 0 {
		return nil, nil
	}
	properties, names := map[string]json.RawMessage{}, make([]string, len(outputs))
	for i := range outputs {
		names[i], properties[outputs[i].Name] = outputs[i].Name, outputs[i].Schema.Raw
		if len(outputs[i].Schema.Raw) == 0 {
			return nil, field.ErrorList{field.Required(path.Index(i).Child("schema"), "the schema of the value is needed, such as {type: string, maxLength: 63}")}
		}
	}
	raw, err := json.Marshal(map[string]any{"type": "object", "required": names, "properties": properties})
	if err != nil {
		return nil, field.ErrorList{field.Invalid(path, "", fmt.Sprintf("must be schemas: %v", err))}
	}
	schema, errs := inputs.Compile(raw, path)
	if len(errs) > 0 {
		return nil, errs
	}
	for i, name := range names {
		property := schema.Structural().Properties[name]
		errs = append(errs, checkScalar(&property, path.Index(i).Child("schema"))...)
	}
	return schema, errs
}

// checkScalar demands one bounded value: late values fill leaves and nothing else.
func checkScalar(s *structuralschema.Structural, path *field.Path) field.ErrorList {
	if scalars := []string{"boolean", "integer", "number", "string"}; !slices.Contains(scalars, s.Type) {
		return field.ErrorList{field.NotSupported(path.Child("type"), s.Type, scalars)}
	}
	if v := s.ValueValidation; v != nil && v.MaxLength != nil && *v.MaxLength > maxOutput {
		return field.ErrorList{field.Invalid(path.Child("maxLength"), *v.MaxLength, fmt.Sprintf("an output has at most %d characters: it is stored in the status of the request", maxOutput))}
	}
	if s.Default.Object != nil {
		return field.ErrorList{field.Forbidden(path.Child("default"), "an output is what its expression gives: say there what else it is")}
	}
	return nil
}

// outputs compiles the outputs of a step.
func (b *builder) outputs(s *v1alpha1.Step, path *field.Path) {
	if len(s.Outputs) == 0 {
		return
	}
	_, errs := OutputSchema(s.Outputs, path)
	b.refuse(errs...)
	place := expression.StepOutput
	switch {
	case s.Job != nil:
		place = expression.JobOutput
	case s.HTTP != nil:
		place = expression.Response
	case s.Delete != nil:
		b.refuse(field.Forbidden(path, "nothing is left of an object that was deleted"))
	case s.Apply != nil && len(s.Apply.Manifests) != 1:
		b.refuse(field.Forbidden(path, "outputs read the one object of a step: write one step for each object"))
	}
	if b.isSecret(s) {
		b.refuse(field.Forbidden(path, "the step writes a Secret, and what is in it must not be stored in a status"))
	}
	compiler, err := expression.NewCompiler(place, nil)
	if err != nil {
		b.refuse(field.InternalError(path, err))
		return
	}
	for i := range s.Outputs {
		if _, err := compiler.Any(s.Outputs[i].Expression); err != nil {
			b.refuse(field.Invalid(path.Index(i).Child("expression"), s.Outputs[i].Expression, err.Error()))
		}
	}
}

// noSecret refuses a condition on an object that is a Secret: whether it holds, asked often enough, tells what is in it.
func (b *builder) noSecret(s *v1alpha1.Step, path *field.Path) {
	if b.isSecret(s) {
		b.refuse(field.Forbidden(path, "the step is about a Secret, and no condition reads what is in one: whether it holds would tell"))
	}
}

// isSecret tells whether the step writes or deletes a Secret.
func (b *builder) isSecret(s *v1alpha1.Step) bool {
	target := b.actionTarget
	switch {
	case s.Patch != nil && s.Patch.Target != nil:
		target = s.Patch.Target
	case s.Delete != nil && s.Delete.Target != nil:
		target = s.Delete.Target
	case s.Apply != nil:
		return slices.ContainsFunc(s.Apply.Manifests, func(m v1alpha1.Manifest) bool {
			var of struct{ APIVersion, Kind string }
			return json.Unmarshal(m.Raw, &of) == nil && isSecretKind(of.APIVersion, of.Kind)
		})
	case s.Patch == nil && s.Delete == nil:
		return false
	}
	return target != nil && isSecretKind(target.APIVersion, target.Kind)
}

// OnSecret tells whether a step writes or deletes a Secret.
func OnSecret(step *v1alpha1.RenderedStep) bool {
	return slices.ContainsFunc(step.Writes, func(w v1alpha1.RenderedWrite) bool { return isSecretKind(w.Object.APIVersion, w.Object.Kind) })
}

func isSecretKind(apiVersion, kind string) bool {
	group := kindOf(apiVersion, kind)
	return group.Group == "" && group.Kind == "Secret"
}

// when compiles the condition of a step, as the Action is written and as it will be read from the Record.
func (b *builder) when(s *v1alpha1.Step, path *field.Path) *expression.Program {
	if s.When == "" {
		return nil
	}
	program, err := b.condition(s.When)
	if err != nil {
		b.refuse(field.Invalid(path, s.When, err.Error()))
		return nil
	}
	if program.Uses("object") && (s.Job != nil || s.HTTP != nil || s.Apply != nil && len(s.Apply.Manifests) != 1) {
		b.refuse(field.Invalid(path, s.When, "object is the one object that a step writes, and is there before: this step has none"))
	}
	if program.Uses("object") {
		b.noSecret(s, path)
	}
	return program
}

func (b *builder) condition(source string) (*expression.Program, error) {
	compiler, err := b.templates.At(expression.StepWhen)
	if err != nil {
		return nil, err
	}
	program, err := b.compile(compiler, source)
	if err != nil {
		return nil, err
	}
	if compiler, err = recordedCompiler(typesIn(program)); err == nil {
		_, err = b.compile(compiler, source)
	}
	return program, err
}

// compile compiles a condition that knows the steps before, and in finally how they ended.
func (b *builder) compile(compiler *expression.Compiler, source string) (*expression.Program, error) {
	var err error
	if len(b.earlier) > 0 {
		if compiler, err = compiler.WithSteps(b.earlier); err != nil {
			return nil, err
		}
	}
	if b.last {
		if compiler, err = compiler.With(varOutcome); err != nil {
			return nil, err
		}
	}
	return compiler.Bool(source)
}

func (b *builder) failWhen(s *v1alpha1.Step, path *field.Path) {
	switch {
	case s.FailWhen == "":
	case s.HTTP != nil: // it was refused
	case s.WaitFor == nil && s.Delete == nil && s.Job == nil:
		b.refuse(field.Forbidden(path, "failWhen ends a wait: set waitFor too"))
	default:
		b.aboutObject(s.FailWhen, path)
		b.noSecret(s, path)
	}
}
