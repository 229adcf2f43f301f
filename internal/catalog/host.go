package catalog

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/steps"
)

// Host says which value of which host is read.
type Host struct {
	// Call asks for it.
	*steps.Get
	// MaxAge is how old a value may be on which something is decided.
	MaxAge time.Duration
}

// DefaultMaxAge is how old the value of a host may be where the Action does not say, and shortestAge and longestAge bound what it may say.
const (
	DefaultMaxAge           = 5 * time.Minute
	shortestAge, longestAge = 30 * time.Second, 24 * time.Hour
)

// host compiles a lookup that asks a host. Its templates see no other fact, as those of all lookups.
func (b *actionBuilder) host(out *Lookup, in *v1alpha1.Lookup, path *field.Path) {
	at := path.Child("http")
	if in.Optional {
		b.errs = append(b.errs, field.Forbidden(path.Child("optional"), "a host gives a value or nothing can be decided: leave optional out; value can say what is given instead, such as response.body.?open.orValue(0)"))
	}
	if in.Trust != "" {
		b.errs = append(b.errs, field.Forbidden(path.Child("trust"), "nobody can ask a host who may change what it says: leave trust out, and read no value that requesters can change"))
	}
	age, err := in.HTTP.MaxAge.Value(DefaultMaxAge)
	if err != nil || age < shortestAge || age > longestAge {
		b.errs = append(b.errs, field.Invalid(at.Child("maxAge"), string(in.HTTP.MaxAge), "must be a duration from 30s to 24h, such as 5m"))
	}
	call, errs := steps.CompileGet(in.HTTP, b.names, at)
	b.errs = append(b.errs, errs...)
	if slices.ContainsFunc([]string{"target", "namespaceObject"}, call.Uses) {
		b.errs = append(b.errs, field.Invalid(at, in.As, "what is read cannot depend on another fact: use inputs, request or requester"))
	}
	out.Host = &Host{Get: call, MaxAge: age}
}

// onlyInRules refuses that what a host says selects approvers or becomes part of what is done: of a host only the value is believed, by a rule.
func (b *actionBuilder) onlyInRules(lookup *Lookup) {
	if lookup.Host == nil {
		return
	}
	const instead = "is a value of a host, which only rules may read: read it in the when of a rule"
	spec := field.NewPath("spec")
	if lookup.InSteps {
		b.errs = append(b.errs, field.Invalid(spec.Child("execution"), lookup.Name,
			fmt.Sprintf("step %q reads %s, which %s, and give what steps need as inputs", b.out.Steps.ReaderOf(lookup.Name), lookup.Name, instead)))
	}
	for i := range b.object.Spec.Stages {
		stage := b.out.Stages[b.object.Spec.Stages[i].Name]
		if slices.Contains(lookup.Stages, stage) {
			b.errs = append(b.errs, field.Invalid(spec.Child("stages").Index(i), lookup.Name,
				fmt.Sprintf("stage %q reads %s, which %s, and let the rule choose the stage", b.object.Spec.Stages[i].Name, lookup.Name, instead)))
		}
	}
}
