package policytest

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

// Observed is what came.
type Observed struct {
	// Effect is the effect, or Indeterminate; empty where the rules were not asked.
	Effect string
	// Explanation is the whole verdict, as `explain` shows it.
	Explanation *gate.Explanation
	// Warnings are what the requester would be told of an admitted request.
	Warnings []string

	gate      *gate.Gate
	judgement *gate.Judgement
	subject   *gate.Subject
}

// Judge judges the case of a file. Mistakes are those of the test itself, with paths that begin at the case.
func (p *Policies) Judge(ctx context.Context, f *File, c *Case) (*Observed, field.ErrorList) {
	request, mistakes, refused := f.request(ctx, c)
	if len(mistakes) > 0 {
		for _, err := range mistakes {
			err.Field = strings.TrimSuffix("request."+err.Field, ".<nil>")
		}
		return nil, mistakes
	}
	if len(refused) == 0 {
		refused = gate.CheckTimes(&request.Spec, c.at)
	}
	if len(refused) > 0 {
		return &Observed{Explanation: invalid(refused)}, nil
	}
	requester, err := p.rules.Stamp(ctx, f.login(*c.Requester))
	if err != nil {
		return nil, field.ErrorList{field.Invalid(field.NewPath("requester"), c.Requester.Username, err.Error())}
	}
	request.Spec.Requester = &requester
	world := p.worldOf(f, c)
	if world.values, mistakes = p.values(f, c, request.Spec.ActionRef); len(mistakes) > 0 {
		return nil, mistakes
	}
	out := &Observed{gate: gate.New(p.store, p.rules, world, p.operatorNamespace, clock.RealClock{}), subject: gate.SubjectOf(request)}
	out.subject.Explain = true
	out.judgement = out.gate.Judge(ctx, out.subject, c.at)
	out.judgement.Explain(ctx)
	out.conclude()
	if out.judgement.Problem == nil {
		refused = gate.CheckDelay(out.judgement, &request.Spec)
	}
	if len(refused) > 0 {
		return &Observed{Explanation: invalid(refused)}, nil
	}
	return out, nil
}

// conclude brings a judgement to the form that is compared.
func (o *Observed) conclude() {
	j := o.judgement
	o.Explanation = gate.Explain(j)
	switch {
	case j.Problem == nil:
		o.Effect = string(j.Verdict.Effect)
		o.Warnings = o.gate.Warnings(j, o.subject)
	case len(j.Problem.Fields) > 0:
		o.Explanation = invalid(j.Problem.Fields)
	case j.Problem.Reason == v1alpha1.ReasonIndeterminate || j.Problem.Reason == v1alpha1.ReasonFactsUnavailable:
		o.Effect = effectIndeterminate
	case j.Verdict != nil:
		o.Effect = string(j.Verdict.Effect)
	}
}

// invalid is the answer to a request that is not well-formed, as the API server gives it.
func invalid(errs field.ErrorList) *gate.Explanation {
	out := &gate.Explanation{Reason: v1alpha1.ReasonInvalid}
	for _, err := range errs {
		out.Errors = append(out.Errors, err.Error())
	}
	return out
}

// worldOf gives the facts of a case.
func (p *Policies) worldOf(f *File, c *Case) *world {
	w := p.world.clone()
	for _, raw := range slices.Concat(f.Facts, c.Facts) {
		var content map[string]any
		if json.Unmarshal(raw, &content) == nil && unmarshal(raw, &content) == nil {
			w.put(content)
		}
	}
	for i := range c.Absent {
		w.remove(&c.Absent[i])
	}
	w.unreadable, w.writable, w.at = c.Unreadable, c.Writable, c.at
	return w
}

// values are what hosts say in a case, for the lookups of the Action that is asked for.
func (p *Policies) values(f *File, c *Case, ref v1alpha1.ActionReference) (map[string]any, field.ErrorList) {
	action, _ := p.store.Current().Action(ref)
	if action == nil {
		return nil, nil // the verdict says so
	}
	path := field.NewPath("values")
	var errs field.ErrorList
	values, names := map[string]any{}, []string{}
	for _, lookup := range action.Lookups {
		if lookup.Host == nil {
			continue
		}
		names = append(names, lookup.Name)
		raw, given := c.Values[lookup.Name]
		if !given {
			raw, given = f.Values[lookup.Name]
		}
		if !given {
			continue
		}
		value, err := lookup.Host.Check(raw)
		if err != nil {
			errs = append(errs, field.Invalid(path.Child(lookup.Name), string(raw), "a value that fits the schema of the lookup is accepted: "+err.Error()))
			continue
		}
		values[lookup.Name] = value
	}
	for _, name := range slices.Sorted(maps.Keys(c.Values)) {
		if !slices.Contains(names, name) {
			errs = append(errs, field.NotSupported(path.Child(name), name, names))
		}
	}
	return values, errs
}

// may tells whether somebody may do something, and if not why.
func (o *Observed) may(ctx context.Context, what string, who *v1alpha1.Identity) (bool, string) {
	if o.judgement == nil || o.judgement.Problem != nil {
		return false, "the request is refused"
	}
	if what == mayCancel {
		problem := o.gate.MayCancel(ctx, o.subject, who, o.judgement.Now)
		if problem == nil {
			return true, ""
		}
		return false, problem.Message
	}
	if what == mayReview {
		if o.judgement.Review == nil {
			return false, "no review opens"
		}
		return o.eligible(ctx, o.judgement.Review.Poll(&o.subject.Requester), who)
	}
	why := "no stage must approve"
	for i := range o.judgement.Stages {
		stage := &o.judgement.Stages[i]
		if what != mayApprove && what != stage.Ref.ID() {
			continue
		}
		var may bool
		if may, why = o.eligible(ctx, o.judgement.Poll(stage, &o.subject.Requester), who); may {
			return true, ""
		}
	}
	return false, why
}

func (o *Observed) eligible(ctx context.Context, poll *gate.Poll, who *v1alpha1.Identity) (bool, string) {
	eligible := o.gate.Eligible(ctx, o.judgement, poll, who)
	if eligible.Problem != nil {
		return false, eligible.Problem.Message
	}
	return true, ""
}
