package catalog

import (
	"fmt"
	"slices"

	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/template"
)

// Lookup is a compiled lookup: a fact that the Action reads.
type Lookup struct {
	// Name is the variable by which expressions read it.
	Name string
	// APIVersion and Kind say what is read.
	APIVersion, Kind string
	// Namespace is nil where none is written. Object is the name of the object; nil for a list.
	Namespace, Object *template.Text
	// Labels select the objects of a list.
	Labels []Label
	// Limit is how many objects a list may have.
	Limit int32
	// Executions says that Records of what was executed lately are read; nil: something else is.
	Executions *Executions
	// Host says that a host is asked for a value; nil: something else is read.
	Host *Host
	// Optional makes the variable null where the object does not exist.
	Optional bool
	// Trusted says that the Action accepts the fact although the requester can change it.
	Trusted bool
	// Literal says that nothing of a request decides what is read.
	Literal bool
	// InRules says that a rule reads it, InSteps that a step does.
	InRules, InSteps bool
	// Stages are the stages of the Action that read it.
	Stages []*Stage
}

// Label is a label that an object of a list must carry.
type Label struct {
	Key   string
	Value *template.Text
}

// IsSecret tells the kind that is never a fact: its content would end up in verdicts and plans.
func IsSecret(apiVersion, kind string) bool { return apiVersion == "v1" && kind == "Secret" }

// lookups compiles what the Action reads. Their templates see no other fact, so that no circle can arise.
func (b *actionBuilder) lookups() {
	seen := map[string]bool{}
	for i := range b.object.Spec.Lookups {
		in := &b.object.Spec.Lookups[i]
		path := field.NewPath("spec", "lookups").Index(i)
		if why := expression.Reserved(in.As); why != "" {
			b.errs = append(b.errs, field.Invalid(path.Child("as"), in.As, why+"; choose another name"))
		}
		if seen[in.As] {
			b.errs = append(b.errs, field.Duplicate(path.Child("as"), in.As))
		}
		seen[in.As] = true
		if out := b.lookup(in, path); out != nil {
			b.out.Lookups = append(b.out.Lookups, out)
		}
	}
}

func (b *actionBuilder) lookup(in *v1alpha1.Lookup, path *field.Path) *Lookup {
	out := &Lookup{Name: in.As, Optional: in.Optional, Trusted: in.Trust == v1alpha1.TrustRequesterWritable}
	kind := path
	switch {
	case looksUp(in) != 1:
		b.errs = append(b.errs, field.Invalid(path, in.As, "exactly one of object, list, executions and http is needed"))
		return nil
	case in.HTTP != nil:
		b.host(out, in, path)
		return out
	case in.Object != nil:
		kind = b.oneObject(out, in.Object, path.Child("object"))
	case in.List != nil:
		kind = b.list(out, in.List, path.Child("list"))
	default:
		b.executions(out, in.Executions, path.Child("executions"))
	}
	if IsSecret(out.APIVersion, out.Kind) {
		b.errs = append(b.errs, field.Forbidden(kind.Child("kind"), "a Secret is never read as a fact: its content would end up in verdicts and plans"))
	}
	out.Literal = literal(out.Namespace, out.Object)
	for _, label := range out.Labels {
		out.Literal = out.Literal && literal(label.Value)
	}
	return out
}

// looksUp counts what a lookup looks up.
func looksUp(in *v1alpha1.Lookup) int {
	count := 0
	for _, is := range []bool{in.Object != nil, in.List != nil, in.Executions != nil, in.HTTP != nil} {
		if is {
			count++
		}
	}
	return count
}

func (b *actionBuilder) oneObject(out *Lookup, in *v1alpha1.ObjectReference, path *field.Path) *field.Path {
	out.APIVersion, out.Kind = in.APIVersion, in.Kind
	out.Namespace = b.naming(path.Child("namespace"), in.Namespace)
	if out.Object = b.naming(path.Child("name"), in.Name); out.Object == nil && in.Name == "" {
		b.errs = append(b.errs, field.Required(path.Child("name"), "an object has a name"))
	}
	return path
}

func (b *actionBuilder) list(out *Lookup, in *v1alpha1.ListLookup, path *field.Path) *field.Path {
	out.APIVersion, out.Kind, out.Limit = in.APIVersion, in.Kind, in.Limit
	out.Namespace = b.naming(path.Child("namespace"), in.Namespace)
	out.Labels = b.labels(in.Selector, path.Child("selector", "matchLabels"))
	if out.Limit <= 0 {
		out.Limit = DefaultListLimit
	}
	return path
}

// DefaultListLimit is how many objects a list may have where the Action does not say.
const DefaultListLimit = 100

func (b *actionBuilder) labels(selector *v1alpha1.LookupSelector, path *field.Path) []Label {
	if selector == nil {
		return nil
	}
	var out []Label
	for _, key := range sortedKeys(selector.MatchLabels) {
		b.errs = append(b.errs, metav1validation.ValidateLabelName(key, path.Key(key))...)
		value, err := template.Parse(string(selector.MatchLabels[key]), b.names)
		if err != nil {
			b.errs = append(b.errs, field.Invalid(path.Key(key), selector.MatchLabels[key], err.Error()))
			continue
		}
		b.fixed(path.Key(key), value)
		out = append(out, Label{Key: key, Value: value})
	}
	return out
}

// naming parses a text that says which fact is read.
func (b *actionBuilder) naming(path *field.Path, source string) *template.Text {
	if source == "" {
		return nil
	}
	text, err := template.Parse(source, b.names)
	if err != nil {
		b.errs = append(b.errs, field.Invalid(path, source, err.Error()))
		return nil
	}
	b.fixed(path, text)
	return text
}

// fixed refuses a text that would itself have to be looked up.
func (b *actionBuilder) fixed(path *field.Path, text *template.Text) {
	if text.Uses("target") || text.Uses("namespaceObject") {
		b.errs = append(b.errs, field.Invalid(path, text.Source(), "what is read cannot depend on another fact: use inputs, request or requester"))
	}
}

func literal(texts ...*template.Text) bool {
	return !slices.ContainsFunc(texts, func(t *template.Text) bool { return t != nil && !t.IsLiteral() })
}

// lookupNames are the variables of the lookups that can be declared.
func (b *actionBuilder) lookupNames() []string {
	var names []string
	for _, lookup := range b.out.Lookups {
		if expression.Reserved(lookup.Name) == "" && !slices.Contains(names, lookup.Name) {
			names = append(names, lookup.Name)
		}
	}
	return names
}

// lookupUses notes who reads each lookup. One that nobody reads is a mistake, and would be read for nothing.
func (b *actionBuilder) lookupUses() {
	for at, lookup := range b.out.Lookups {
		b.out.Counts = b.out.Counts || lookup.counts()
		b.readers(lookup)
		b.onlyInRules(lookup)
		if len(b.errs) == 0 && !lookup.InRules && !lookup.InSteps && len(lookup.Stages) == 0 {
			b.errs = append(b.errs, field.Invalid(field.NewPath("spec", "lookups").Index(at), lookup.Name,
				fmt.Sprintf("nothing reads this lookup: use %s in a rule, a stage or a step, or remove it", lookup.Name)))
		}
	}
}

// readers notes which rules, steps and stages read a lookup.
func (b *actionBuilder) readers(lookup *Lookup) {
	lookup.InSteps = b.out.Steps != nil && b.out.Steps.Uses(lookup.Name)
	for i := range b.out.Rules {
		when := b.out.Rules[i].When
		lookup.InRules = lookup.InRules || when != nil && when.Uses(lookup.Name)
	}
	for _, name := range sortedKeys(b.out.Stages) {
		if stage := b.out.Stages[name]; stage.Uses(lookup.Name) {
			lookup.Stages = append(lookup.Stages, stage)
		}
	}
}

// Uses tells whether the approvers of the stage are taken from a variable.
func (s *Stage) Uses(variable string) bool {
	for i := range s.Requirements {
		if s.Requirements[i].Uses(variable) {
			return true
		}
	}
	return s.Escalation != nil && s.Escalation.Uses(variable)
}
