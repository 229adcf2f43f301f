package catalog

import (
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/digest"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/inputs"
	"github.com/signoff-dev/signoff/internal/steps"
	"github.com/signoff-dev/signoff/internal/template"
)

// actionBuilder compiles one Action and collects everything that is wrong with it.
type actionBuilder struct {
	object *v1alpha1.Action
	out    *Action
	// names compiles the templates that say which facts are read; rules and templates see those facts.
	names, rules, templates *expression.Compiler
	errs                    field.ErrorList
}

// CompileAction compiles an Action. Where the list is not empty, the Action cannot be used and the result is nil.
func CompileAction(object *v1alpha1.Action) (*Action, field.ErrorList) {
	b := &actionBuilder{object: object, out: Uncompiled(object)}
	if !b.inputs() || !b.facts() {
		return nil, b.errs
	}
	b.stages()
	b.allRules()
	b.steps()
	b.lookupUses()
	b.secretTarget()
	b.durations()
	b.grace()
	b.temporary()
	if len(b.errs) > 0 {
		return nil, b.errs
	}
	return b.out, nil
}

// Uncompiled gives an Action of which only counts what is stored, whether it is valid or not.
func Uncompiled(object *v1alpha1.Action) *Action {
	return &Action{Object: object, Digest: sync.OnceValues(func() (string, error) { return digest.OfAction(object) })}
}

// inputs compiles the schema and, with it, the typed environment that everything else needs.
func (b *actionBuilder) inputs() bool {
	spec := field.NewPath("spec")
	if in := b.object.Spec.Inputs; in != nil {
		schema, errs := inputs.Compile(in.OpenAPIV3Schema.Raw, spec.Child("inputs", "openAPIV3Schema"))
		if len(errs) > 0 {
			b.errs = append(b.errs, errs...)
			return false
		}
		b.out.Inputs = schema
	}
	var err error
	b.names, err = expression.NewCompiler(expression.TemplatePlace, b.out.Inputs.Structural())
	return b.typed(err)
}

func (b *actionBuilder) typed(err error) bool {
	if err != nil {
		b.errs = append(b.errs, field.Invalid(field.NewPath("spec", "inputs", "openAPIV3Schema"), "", err.Error()))
	}
	return err == nil
}

// facts compiles what is read, and gives its names to everything that may read it.
func (b *actionBuilder) facts() bool {
	b.target()
	b.lookups()
	lookups := b.lookupNames()
	var err error
	if b.templates = b.names; len(lookups) > 0 {
		b.templates, err = expression.NewCompiler(expression.TemplatePlace, b.out.Inputs.Structural(), lookups...)
	}
	if err == nil {
		b.rules, err = expression.NewCompiler(expression.ActionRule, b.out.Inputs.Structural(), lookups...)
	}
	return b.typed(err)
}

func (b *actionBuilder) target() {
	ref := b.object.Spec.Target
	if ref == nil {
		return
	}
	path := field.NewPath("spec", "target")
	b.out.Target = &Target{
		APIVersion: ref.APIVersion, Kind: ref.Kind,
		Namespace: b.text(path.Child("namespace"), ref.Namespace),
		Name:      b.text(path.Child("name"), ref.Name),
		Trusted:   ref.Trust == v1alpha1.TrustRequesterWritable,
	}
	b.out.Target.Literal = literal(b.out.Target.Namespace, b.out.Target.Name)
	for _, text := range []*template.Text{b.out.Target.Namespace, b.out.Target.Name} {
		if text != nil && (text.Uses("target") || text.Uses("namespaceObject")) {
			b.errs = append(b.errs, field.Invalid(path, ref.Name, "the target cannot be named by itself: use inputs, request or requester"))
		}
	}
}

// secretTarget refuses to read a target that is a Secret. Writing one is no fact.
func (b *actionBuilder) secretTarget() {
	if target := b.out.Target; target != nil && b.out.NeedsTarget && IsSecret(target.APIVersion, target.Kind) {
		b.errs = append(b.errs, field.Forbidden(field.NewPath("spec", "target", "kind"),
			"a rule, a stage or a step reads the target, and a Secret is never read as a fact: its content would end up in verdicts and plans"))
	}
}

func (b *actionBuilder) stages() {
	compiled, needs, errs := compileStages(b.object.Spec.Stages, "", b.templates, field.NewPath("spec", "stages"))
	b.errs = append(b.errs, errs...)
	b.out.Stages = compiled
	b.need(needs)
	if len(b.object.Spec.Stages) == 0 {
		b.out.Stages[ImplicitStage] = &Stage{
			Ref:          v1alpha1.StageReference{Name: ImplicitStage},
			Requirements: []Requirement{{Name: ImplicitStage, Count: 1}},
		}
	}
}

func (b *actionBuilder) need(n needs) {
	b.out.NeedsTarget = b.out.NeedsTarget || n.target
	b.out.NeedsNamespace = b.out.NeedsNamespace || n.namespace
}

func (b *actionBuilder) allRules() {
	spec := field.NewPath("spec")
	used := map[string]bool{}
	for i := range b.object.Spec.Rules {
		rule := &b.object.Spec.Rules[i]
		path := spec.Child("rules").Index(i)
		out := Rule{Name: rule.Name, Effect: rule.Effect, Message: rule.Message}
		b.errs = append(b.errs, checkText(path.Child("message"), rule.Message)...)
		if rule.When != "" {
			out.When = b.when(path.Child("when"), rule.When)
		}
		out.Stages = b.rollCall(path, rule.Effect, rule.Stages, used)
		b.out.Rules = append(b.out.Rules, out)
	}
	b.out.Default = Rule{Name: "default", Effect: v1alpha1.EffectDeny}
	if def := b.object.Spec.Default; def != nil {
		b.out.Default.Effect, b.out.Default.Message = def.Effect, def.Message
		b.errs = append(b.errs, checkText(spec.Child("default", "message"), def.Message)...)
		b.out.Default.Stages = b.rollCall(spec.Child("default"), def.Effect, def.Stages, used)
	}
	for i, stage := range b.object.Spec.Stages {
		if !used[stage.Name] {
			b.errs = append(b.errs, field.Invalid(spec.Child("stages").Index(i).Child("name"), stage.Name,
				"no rule uses this stage: name it in rules[].stages or default.stages, or remove it"))
		}
	}
}

// rollCall finds the stages that a rule names.
func (b *actionBuilder) rollCall(path *field.Path, effect v1alpha1.Effect, names []string, used map[string]bool) []*Stage {
	if effect != v1alpha1.EffectRequireApproval {
		return nil
	}
	if len(names) == 0 {
		if len(b.object.Spec.Stages) > 0 {
			b.errs = append(b.errs, field.Required(path.Child("stages"), fmt.Sprintf("the Action has stages: name those that must approve (%s)", stageNames(b.object.Spec.Stages))))
			return nil
		}
		return []*Stage{b.out.Stages[ImplicitStage]}
	}
	var stages []*Stage
	for i, name := range names {
		used[name] = true
		stage, ok := b.out.Stages[name]
		if !ok {
			b.errs = append(b.errs, field.NotSupported(path.Child("stages").Index(i), name, sortedKeys(b.out.Stages)))
			continue
		}
		stages = append(stages, stage)
	}
	return stages
}

func (b *actionBuilder) when(path *field.Path, source string) *expression.Program {
	program, err := b.rules.Bool(source)
	if err != nil {
		b.errs = append(b.errs, field.Invalid(path, source, err.Error()))
		return nil
	}
	b.need(needs{target: program.Uses("target"), namespace: program.Uses("namespaceObject")})
	if err := b.targeted(program.Uses); err != nil {
		b.errs = append(b.errs, field.Invalid(path, source, err.Error()))
	}
	return program
}

// targeted refuses facts about a target that the Action does not name.
func (b *actionBuilder) targeted(uses func(string) bool) error {
	if b.object.Spec.Target != nil {
		if b.object.Spec.Target.Namespace == "" && uses("namespaceObject") {
			return fmt.Errorf("namespaceObject is the namespace of the target, but spec.target names no namespace")
		}
		return nil
	}
	for _, name := range []string{"target", "namespaceObject"} {
		if uses(name) {
			return fmt.Errorf("%s is used, but the Action names no target: set spec.target", name)
		}
	}
	return nil
}

func (b *actionBuilder) steps() {
	path := field.NewPath("spec", "execution")
	var target *v1alpha1.ObjectReference
	if b.object.Spec.Target != nil {
		target = &b.object.Spec.Target.ObjectReference
	}
	compiled, errs := steps.Compile(&b.object.Spec.Execution, target, b.templates, path)
	b.errs = append(b.errs, errs...)
	if compiled == nil {
		return
	}
	b.out.Steps = compiled
	b.need(needs{target: compiled.Uses("target"), namespace: compiled.Uses("namespaceObject")})
	if err := b.targeted(compiled.Uses); err != nil {
		b.errs = append(b.errs, field.Invalid(path.Child("steps"), "", err.Error()))
	}
}

func (b *actionBuilder) durations() {
	spec := field.NewPath("spec")
	b.errs = append(b.errs, positive(spec.Child("requestTTL"), b.object.Spec.RequestTTL)...)
	b.errs = append(b.errs, positive(spec.Child("execution", "timeout"), b.object.Spec.Execution.Timeout)...)
	b.errs = append(b.errs, positive(spec.Child("execution", "delay"), b.object.Spec.Execution.Delay)...)
	if plan := b.object.Spec.Execution.Plan; plan != nil {
		b.errs = append(b.errs, positive(spec.Child("execution", "plan", "timeout"), plan.Timeout)...)
		b.errs = append(b.errs, positive(spec.Child("execution", "plan", "validFor"), plan.ValidFor)...)
	}
}

// grace refuses a delay that nothing outlives: no request, or no agreement of those in a stage.
func (b *actionBuilder) grace() {
	spec := &b.object.Spec
	outlives := func(life v1alpha1.Duration, what, which string) {
		delay, _ := spec.Execution.Delay.Value(0)
		if ends, err := life.Value(0); err == nil && ends > 0 && delay >= ends {
			b.errs = append(b.errs, field.Invalid(field.NewPath("spec", "execution", "delay"), string(spec.Execution.Delay),
				fmt.Sprintf("must be shorter than %s, %s: %s would be over before the start", what, life, which)))
		}
	}
	outlives(spec.RequestTTL, "requestTTL", "every request")
	for i := range spec.Stages {
		outlives(spec.Stages[i].ValidFor, "validFor of stage "+spec.Stages[i].Name, "every approval")
	}
}

// temporary refuses what cannot be taken back, in an Action whose effect is to be.
func (b *actionBuilder) temporary() {
	temporary := b.object.Spec.Temporary
	if temporary == nil {
		return
	}
	path := field.NewPath("spec", "temporary")
	b.errs = append(b.errs, positive(path.Child("maxDuration"), temporary.MaxDuration)...)
	b.errs = append(b.errs, positive(path.Child("defaultDuration"), temporary.DefaultDuration)...)
	longest, _ := temporary.MaxDuration.Value(0)
	if usual, _ := temporary.DefaultDuration.Value(0); usual > longest {
		b.errs = append(b.errs, field.Invalid(path.Child("defaultDuration"), string(temporary.DefaultDuration), "must not be longer than maxDuration, "+string(temporary.MaxDuration)))
	}
	if len(b.object.Spec.Execution.Finally) > 0 {
		b.errs = append(b.errs, field.Forbidden(field.NewPath("spec", "execution", "finally"), "what is done is taken back, and the Action is temporary: leave finally out"))
	}
	for i := range b.object.Spec.Execution.Steps {
		step := &b.object.Spec.Execution.Steps[i]
		if step.Apply == nil && (step.Patch == nil || step.Patch.Strategic == nil && step.Patch.Merge == nil) {
			b.errs = append(b.errs, field.Forbidden(field.NewPath("spec", "execution", "steps").Index(i), fmt.Sprintf(
				"step %s cannot be taken back, and the Action is temporary: apply, patch.strategic and patch.merge can", step.Name)))
		}
	}
}

func (b *actionBuilder) text(path *field.Path, source string) *template.Text {
	if source == "" {
		return nil
	}
	text, err := template.Parse(source, b.names)
	if err != nil {
		b.errs = append(b.errs, field.Invalid(path, source, err.Error()))
	}
	return text
}

func positive(path *field.Path, d v1alpha1.Duration) field.ErrorList {
	v, err := d.Value(1)
	if err != nil {
		return field.ErrorList{field.Invalid(path, string(d), "must be a duration such as 30m, 24h or 1h30m")}
	}
	if v <= 0 {
		return field.ErrorList{field.Invalid(path, string(d), "must be longer than zero")}
	}
	return nil
}

func stageNames(stages []v1alpha1.Stage) []string {
	names := make([]string, len(stages))
	for i := range stages {
		names[i] = stages[i].Name
	}
	return names
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
