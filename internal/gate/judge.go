package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/decision"
	"github.com/signoff-dev/signoff/internal/expression"
)

func (r *run) action(context.Context) *Problem {
	ref := r.subject.Spec.ActionRef
	if !r.out.Snapshot.Synced() {
		return &Problem{Reason: v1alpha1.ReasonIndeterminate, Transient: true,
			Message: "Signoff has just started and does not know all rules yet, so it cannot decide. Try again in a few seconds."}
	}
	action, errs := r.out.Snapshot.Action(ref)
	if len(errs) > 0 {
		return &Problem{Reason: v1alpha1.ReasonActionUnavailable, Message: fmt.Sprintf("Action %s is not valid, so it cannot be requested: %v. Its owners must mend it.", ref, errs.ToAggregate())}
	}
	if action == nil {
		return &Problem{
			Reason: v1alpha1.ReasonActionUnavailable, Message: fmt.Sprintf("there is no Action %s", ref),
			Fields: field.ErrorList{field.Invalid(field.NewPath("spec", "actionRef"), ref.String(), noSuchAction(r.out.Snapshot.ActionNames(ref.Namespace), ref))},
		}
	}
	r.out.Action = action
	return nil
}

// maxNames bounds how many names a message lists.
const maxNames = 10

func noSuchAction(names []string, ref v1alpha1.ActionReference) string {
	if len(names) == 0 {
		return fmt.Sprintf("there is no Action in namespace %s; see: kubectl get actions -A", ref.Namespace)
	}
	more := ""
	if len(names) > maxNames {
		names, more = names[:maxNames], ", …"
	}
	return fmt.Sprintf("there is no such Action; namespace %s has: %s%s", ref.Namespace, strings.Join(names, ", "), more)
}

// admitted stops those whom no Role lets ask at all, before anything is said about inputs.
func (r *run) admitted(context.Context) *Problem {
	r.permissions = r.out.Snapshot.Permissions(r.out.Action.Object, v1alpha1.VerbRequest, &r.subject.Requester)
	if len(r.permissions) > 0 {
		return nil
	}
	r.out.Access = &Access{request: &accessRequest{snapshot: r.out.Snapshot, action: r.out.Action, verb: v1alpha1.VerbRequest}}
	return r.out.Access.problem(&r.subject.Requester)
}

func (r *run) inputs(ctx context.Context) *Problem {
	var raw []byte
	if r.subject.Spec.Inputs != nil {
		raw = r.subject.Spec.Inputs.Raw
	}
	resolved, errs, err := r.out.Action.Inputs.ResolveInTurn(ctx, r.turns.Begin, raw, field.NewPath("spec", "inputs"))
	if err != nil {
		return &Problem{Reason: v1alpha1.ReasonIndeterminate, Transient: true, Message: fmt.Sprintf("cannot tell whether the inputs fit Action %s: %v", r.out.Action.Ref(), err)}
	}
	if len(errs) > 0 {
		r.withoutInputs()
		return &Problem{
			Reason: v1alpha1.ReasonActionUnavailable, Fields: errs,
			Message: fmt.Sprintf("the inputs no longer fit Action %s: %v", r.out.Action.Ref(), errs.ToAggregate()),
		}
	}
	r.out.Inputs = resolved
	r.out.Vars = r.vars(r.out.Action.Object.Namespace)
	return nil
}

// withoutInputs leaves the inputs out of what is known, since nobody knows what they mean: an expression that reads them fails, and grants nothing.
func (r *run) withoutInputs() {
	r.out.Vars = r.vars(r.out.Action.Object.Namespace)
	delete(r.out.Vars.Values, "inputs")
}

// vars are the variables that do not need to be read anywhere, with the Calendars of a namespace.
func (r *run) vars(namespace string) expression.Vars {
	r.requester = r.gate.personVar(r.out.Snapshot, r.out.Action.Object.Namespace, &r.subject.Requester)
	return expression.Vars{
		Values: map[string]any{
			"inputs":    r.out.Inputs,
			"request":   expression.Lazy(sync.OnceValue(r.requestVar)),
			"requester": r.requester,
		},
		Now: r.out.Now, Calendars: r.out.Snapshot.Calendars(namespace), Teams: r.out.Snapshot.Teams(), Trace: r.trace,
	}
}

func (r *run) requestVar() any {
	created := r.subject.CreatedAt
	if created.IsZero() {
		created = r.out.Now
	}
	return map[string]any{
		"name": r.subject.Name, "namespace": r.subject.Namespace, "uid": r.subject.UID,
		"reason": r.subject.Spec.Reason, "action": r.subject.Spec.ActionRef.String(),
		"createdAt": created.UTC().Truncate(time.Second), "duration": r.lasts(),
	}
}

// lasts is how long what is done stays: zero where it is not taken back.
func (r *run) lasts() time.Duration {
	d, err := Duration(r.out.Action.Object, r.subject.Spec).Value(0)
	if err != nil {
		return 0 // it was refused
	}
	return d
}

func (r *run) access(ctx context.Context) *Problem {
	access := r.gate.access(ctx, &accessRequest{
		snapshot: r.out.Snapshot, action: r.out.Action, verb: v1alpha1.VerbRequest,
		caller: &r.subject.Requester, vars: r.out.Vars, budget: r.budget,
		permissions: r.permissions, person: r.requester,
	})
	r.out.Access = access
	if access.Permission == nil {
		return access.problem(&r.subject.Requester)
	}
	return r.onBehalf(ctx)
}

// onBehalf stops those who name somebody for whom they ask, and may not. It gives nobody a right: whoever asks needs their own all the same.
func (r *run) onBehalf(ctx context.Context) *Problem {
	if r.subject.Spec.OnBehalfOf == nil {
		return nil
	}
	access := r.gate.access(ctx, &accessRequest{
		snapshot: r.out.Snapshot, action: r.out.Action, verb: v1alpha1.VerbRequestOnBehalf,
		caller: &r.subject.Requester, vars: r.out.Vars, budget: r.budget, person: r.requester,
	})
	if access.Permission != nil {
		return nil
	}
	r.out.Access = access
	return access.problem(&r.subject.Requester)
}

func (r *run) decide(ctx context.Context) *Problem {
	action := r.out.Action
	rules := &decision.Rules{Own: action.Rules, Default: action.Default, Policies: make([]decision.Policy, 0, len(r.policies))}
	for _, entry := range r.policies {
		rules.Policies = append(rules.Policies, decision.Policy{Name: entry.Policy.Object.Name, Rules: entry.Policy.Rules, Err: entry.Err})
	}
	policyVars := r.out.Vars
	policyVars.Calendars = r.out.Snapshot.Calendars(r.gate.operatorNamespace)
	if len(rules.Policies) > 0 {
		policyVars.Values = maps.Clone(r.out.Vars.Values)
		policyVars.Values["action"] = map[string]any{
			"namespace": action.Object.Namespace, "name": action.Object.Name, "labels": toMap(action.Object.Labels),
		}
		if r.planned != nil {
			policyVars.Values[varObjects] = r.planned.value
		}
	}
	r.out.decided = &decided{run: r, rules: rules, own: r.out.Vars, policy: policyVars}
	r.out.decided.policy.Now, r.out.decided.own.Now = r.out.Now, r.out.Now
	r.out.Verdict = decision.Decide(ctx, rules, &decision.Situation{
		Now: r.out.Now, Action: r.out.Vars, Policy: policyVars, Budget: r.budget,
		Doubt:     r.doubt(ctx),
		Emergency: r.subject.Spec.BreakGlass != nil, Passes: r.passes,
	})
	return r.withWayThrough(verdictProblem(ctx, r.out, r.subject.Explain))
}

func verdictProblem(ctx context.Context, j *Judgement, explain bool) *Problem {
	if j.Verdict.Effect == v1alpha1.EffectDeny && !j.Verdict.Indeterminate() {
		return &Problem{Reason: v1alpha1.ReasonDeniedByRule, Message: denied(ctx, j, explain)}
	}
	if j.Verdict.Indeterminate() {
		var lines []string
		transient, to := false, j.decided.run.listener(ctx, true)
		for i, err := range j.Verdict.Errors {
			if i < maxFindings {
				lines = append(lines, fmt.Sprintf("rule %s: %s", err.Rule, j.decided.errorText(err, to)))
			}
			transient = transient || errors.Is(err, errNoAnswer) || errors.Is(err, errUnread)
		}
		lines = append(lines, moreRules(len(j.Verdict.Errors))...)
		return &Problem{Reason: v1alpha1.ReasonIndeterminate, Transient: transient,
			Message: fmt.Sprintf("cannot decide on %s, and no error means yes:\n  %s", j.Action.Ref(), strings.Join(lines, "\n  "))}
	}
	return nil
}

// denied says which rules deny, and until when where time decides.
func denied(ctx context.Context, j *Judgement, explain bool) string {
	var lines []string
	bounded, next := false, time.Time{}
	rules := j.Verdict.By(v1alpha1.EffectDeny)
	for i, rule := range rules {
		next = decision.Earlier(next, j.decided.changes(&rule))
		if i >= maxFindings {
			continue
		}
		message := rule.Message
		if message == "" {
			message = ruleSource(rule.Name, rule.When != nil)
		}
		until := j.decided.until(&rule)
		if until != "" {
			bounded, until = true, " until "+until
		}
		lines = append(lines, fmt.Sprintf("%s%s (%s)", message, until, RuleName(j.Action, rule.Name)))
		if explain {
			lines = append(lines, j.decided.refusal(ctx, &rule)...)
		}
	}
	lines = append(lines, moreRules(len(rules))...)
	bounded = bounded || slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "From ") })
	text := strings.Join(lines, "\n  ")
	if !bounded && !next.IsZero() {
		text += fmt.Sprintf("\n  Time may change this on %s.", Time(next, j.Now))
	}
	return text
}

// maxFindings is how many rules or Roles a refusal tells of. The first ones are enough to act on, and nobody reads a hundred.
const maxFindings = 5

// moreRules says how many rules a refusal leaves out, and what shows them.
func moreRules(all int) []string {
	if all <= maxFindings {
		return nil
	}
	return []string{fmt.Sprintf("and %d more rules; kubectl signoff explain shows all.", all-maxFindings)}
}

// defaultRule is the name of the default of an Action.
const defaultRule = "default"

func ruleSource(name string, conditional bool) string {
	if name == defaultRule {
		return "no rule of the Action allows this"
	}
	if conditional {
		return "the condition of a rule that denies holds"
	}
	if strings.HasPrefix(name, policyPrefix) {
		return "a policy denies everything that it matches"
	}
	return "a rule denies every request"
}

// RuleName shows a rule to people.
func RuleName(action interface {
	Ref() v1alpha1.ActionReference
}, name string) string {
	if policy, ok := strings.CutPrefix(name, "policy/"); ok {
		policy, rule, _ := strings.Cut(policy, "/")
		return fmt.Sprintf("ActionPolicy %s, rule %s", policy, rule)
	}
	if name == defaultRule {
		return fmt.Sprintf("default of Action %s", action.Ref())
	}
	return fmt.Sprintf("rule %s of Action %s", name, action.Ref())
}

// Time shows an instant to people: in UTC, with the year where it is not this one.
func Time(at, now time.Time) string {
	if at.UTC().Year() != now.UTC().Year() {
		return at.UTC().Format("Mon 2 Jan 2006 15:04 MST")
	}
	return at.UTC().Format("Mon 2 Jan 15:04 MST")
}
