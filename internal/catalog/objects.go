package catalog

import (
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
)

// ObjectMatch is a compiled entry of match.objects of an ActionPolicy.
type ObjectMatch struct {
	groups, kinds, namespaces []string
	// Namespace selects the namespace of an object by its labels, Labels the object by its own. Nil: whatever they are.
	Namespace, Labels labels.Selector
}

// Kind tells whether objects of a kind can be selected.
func (m *ObjectMatch) Kind(kind schema.GroupKind) bool {
	return m.group(kind.Group) && m.kind(kind.Kind)
}

func (m *ObjectMatch) group(name string) bool {
	return len(m.groups) == 0 || slices.Contains(m.groups, name)
}

func (m *ObjectMatch) kind(name string) bool {
	return len(m.kinds) == 0 || slices.Contains(m.kinds, name)
}

// In tells whether objects in a namespace can be selected.
func (m *ObjectMatch) In(namespace string) bool {
	return len(m.namespaces) == 0 || slices.Contains(m.namespaces, namespace)
}

// Namespaces names the only namespaces in which the policy selects objects. Nil: there are others.
func (p *Policy) Namespaces() []string {
	var all []string
	for i := range p.Objects {
		if len(p.Objects[i].namespaces) == 0 {
			return nil
		}
		all = append(all, p.Objects[i].namespaces...)
	}
	return all
}

// objects compiles match.objects.
func (b *policyBuilder) objects(entries []v1alpha1.PolicyObjects, path *field.Path) {
	if entries != nil && len(entries) == 0 {
		b.errs = append(b.errs, field.Invalid(path, "[]", emptyMatch))
	}
	for i := range entries {
		in, at := &entries[i], path.Index(i)
		b.notEmpty(at.Child("apiGroups"), in.APIGroups)
		b.notEmpty(at.Child("kinds"), in.Kinds)
		b.notEmpty(at.Child("namespaces"), in.Namespaces)
		b.out.Objects = append(b.out.Objects, ObjectMatch{
			groups: in.APIGroups, kinds: in.Kinds, namespaces: in.Namespaces,
			Namespace: b.selector(in.NamespaceSelector, at.Child("namespaceSelector")),
			Labels:    b.selector(in.Selector, at.Child("selector")),
		})
		if in.APIGroups == nil && in.Kinds == nil && in.Namespaces == nil && in.NamespaceSelector == nil && in.Selector == nil {
			b.errs = append(b.errs, field.Invalid(at, "{}", emptyMatch))
		}
	}
}

const emptyMatch = "selects nothing and might be meant to select all: leave it out to select all"

// notEmpty refuses a list that is written and empty.
func (b *policyBuilder) notEmpty(path *field.Path, list []string) {
	if list != nil && len(list) == 0 {
		b.errs = append(b.errs, field.Invalid(path, "[]", emptyMatch))
	}
}

// selector compiles a selector; nil where none is written.
func (b *policyBuilder) selector(s *v1alpha1.LabelSelector, path *field.Path) labels.Selector {
	if s == nil {
		return nil
	}
	selector, err := s.AsSelector()
	switch {
	case err != nil:
		b.errs = append(b.errs, field.Invalid(path, "", err.Error()))
	case selector.Empty():
		b.errs = append(b.errs, field.Invalid(path, "{}", emptyMatch))
	}
	return selector
}

var (
	namespaceLabels = regexp.MustCompile(`\bmetadata\s*\.\s*\??\s*labels\b`)
	ownLabels       = regexp.MustCompile(`\blabels\b`)
	namespaceObject = regexp.MustCompile(`\bnamespaceObject\b`)
)

// reads notes what a rule must know about the objects that a request would write. What it reads in spite of that is an error, so a text
// that is read wrongly here lets nothing pass.
func (b *policyBuilder) reads(program *expression.Program) {
	if !program.Uses("objects") {
		return
	}
	b.out.NeedsObjects = true
	source := program.Source()
	b.out.NeedsObjectLabels = b.out.NeedsObjectLabels || ownLabels.MatchString(namespaceLabels.ReplaceAllString(source, ""))
	b.out.NeedsObjectNamespaces = b.out.NeedsObjectNamespaces || namespaceObject.MatchString(source)
}

// Writes tells whether a policy can be about an Action whose steps write objects of these kinds.
func (p *Policy) Writes(kinds []schema.GroupKind) bool {
	if len(p.Objects) == 0 {
		return true
	}
	return slices.ContainsFunc(kinds, func(kind schema.GroupKind) bool {
		return slices.ContainsFunc(p.Objects, func(m ObjectMatch) bool { return m.Kind(kind) })
	})
}

// About tells whether a policy can be about requests for an Action, from wherever they come.
func (p *Policy) About(action *Action) bool {
	return p.selects(action.Object) && p.Writes(action.Steps.Kinds())
}

// Calendars names every Calendar that the rules name, sorted.
func (p *Policy) Calendars() []string { return calendarsOf(p.Rules) }

// Calendars names every Calendar that the rules name, sorted.
func (a *Action) Calendars() []string { return calendarsOf(a.Rules) }

func calendarsOf(rules []Rule) []string {
	var names []string
	for i := range rules {
		if during := rules[i].During; during != "" {
			names = append(names, during)
		}
		if when := rules[i].When; when != nil {
			names = append(names, when.Calendars()...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
