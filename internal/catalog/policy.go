package catalog

import (
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
)

// CompilePolicy compiles an ActionPolicy. Where the list is not empty, the policy cannot be judged and the result is nil.
func CompilePolicy(object *v1alpha1.ActionPolicy) (*Policy, field.ErrorList) {
	b := &policyBuilder{object: object, out: &Policy{Object: object}}
	b.compilers()
	if len(b.errs) > 0 {
		return nil, b.errs
	}
	b.match()
	b.rules()
	if len(b.errs) > 0 {
		return nil, b.errs
	}
	return b.out, nil
}

type policyBuilder struct {
	object          *v1alpha1.ActionPolicy
	out             *Policy
	when, approvers *expression.Compiler
	errs            field.ErrorList
}

func (b *policyBuilder) compilers() {
	var err error
	if b.when, err = expression.NewCompiler(expression.PolicyRule, nil); err == nil {
		b.approvers, err = expression.NewCompiler(expression.TemplatePlace, nil)
	}
	if err != nil {
		b.errs = append(b.errs, field.InternalError(field.NewPath("spec"), err))
	}
}

// match compiles what the policy is about. What is absent matches everything; what is empty is refused, because it could be meant to
// match everything or nothing.
func (b *policyBuilder) match() {
	match, path := b.object.Spec.Match, field.NewPath("spec", "match")
	if match == nil {
		return
	}
	if match.Actions == nil && match.RequestNamespaces == nil && match.Objects == nil {
		b.errs = append(b.errs, field.Invalid(path, "{}", emptyMatch))
	}
	if namespaces := match.RequestNamespaces; namespaces != nil && len(namespaces.Names) == 0 {
		b.errs = append(b.errs, field.Invalid(path.Child("requestNamespaces", "names"), "[]", emptyMatch))
	}
	b.actions(match.Actions, path.Child("actions"))
	b.objects(match.Objects, path.Child("objects"))
}

func (b *policyBuilder) actions(actions *v1alpha1.PolicyActions, path *field.Path) {
	if actions == nil {
		return
	}
	b.notEmpty(path.Child("namespaces"), actions.Namespaces)
	b.notEmpty(path.Child("names"), actions.Names)
	if actions.Namespaces == nil && actions.Names == nil && actions.Selector == nil {
		b.errs = append(b.errs, field.Invalid(path, "{}", emptyMatch))
	}
	b.out.Selector = b.selector(actions.Selector, path.Child("selector"))
}

func (b *policyBuilder) rules() {
	spec := field.NewPath("spec")
	stages, n, errs := compileStages(b.object.Spec.Stages, b.object.Name, b.approvers, spec.Child("stages"))
	b.errs = append(b.errs, errs...)
	b.out.NeedsTarget, b.out.NeedsNamespace = n.target, n.namespace
	for i := range b.object.Spec.Rules {
		rule := &b.object.Spec.Rules[i]
		path := spec.Child("rules").Index(i)
		out := Rule{
			Name:   "policy/" + b.object.Name + "/" + rule.Name,
			Effect: v1alpha1.Effect(rule.Effect), Message: rule.Message,
		}
		b.errs = append(b.errs, checkText(path.Child("message"), rule.Message)...)
		if rule.During != nil {
			out.During = rule.During.Calendar
			if errs := validation.IsDNS1123Subdomain(out.During); len(errs) > 0 {
				b.errs = append(b.errs, field.Invalid(path.Child("during", "calendar"), out.During, "must be the name of a Calendar in the operator's namespace: "+errs[0]))
			}
		}
		out.When = b.program(path.Child("when"), rule.When)
		out.Override = b.override(rule, path.Child("override"))
		for j, name := range rule.Stages {
			stage, ok := stages[name]
			if !ok {
				b.errs = append(b.errs, field.NotSupported(path.Child("stages").Index(j), name, sortedKeys(stages)))
				continue
			}
			out.Stages = append(out.Stages, stage)
		}
		b.out.Rules = append(b.out.Rules, out)
	}
}

func (b *policyBuilder) program(path *field.Path, source string) *expression.Program {
	if source == "" {
		return nil
	}
	program, err := b.when.Bool(source)
	if err != nil {
		b.errs = append(b.errs, field.Invalid(path, source, err.Error()))
		return nil
	}
	b.out.NeedsTarget = b.out.NeedsTarget || program.Uses("target")
	b.out.NeedsNamespace = b.out.NeedsNamespace || program.Uses("namespaceObject")
	b.reads(program)
	return program
}

// Matches tells whether a policy is about a request for this Action, made in this namespace.
func (p *Policy) Matches(action *v1alpha1.Action, requestNamespace string) bool {
	match := p.Object.Spec.Match
	if match == nil {
		return true
	}
	if match.RequestNamespaces != nil && !slices.Contains(match.RequestNamespaces.Names, requestNamespace) {
		return false
	}
	return p.selects(action)
}

func (p *Policy) selects(action *v1alpha1.Action) bool {
	if p.Object.Spec.Match == nil {
		return true
	}
	actions := p.Object.Spec.Match.Actions
	return actions == nil ||
		(len(actions.Namespaces) == 0 || slices.Contains(actions.Namespaces, action.Namespace)) &&
			(len(actions.Names) == 0 || slices.Contains(actions.Names, action.Name)) &&
			(p.Selector == nil || p.Selector.Matches(labels.Set(action.Labels)))
}
