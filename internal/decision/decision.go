// Package decision turns rules and a situation into a verdict. It is a pure function: the webhook and the reconcilers call
// the same one, so that they cannot disagree.
//
// Every rule that applies counts, in any order. Any Deny gives Deny; else all stages of all RequireApproval rules and all
// Holds are demanded; Allow is given only where nothing stronger applies. The default of the Action counts where none of the
// Action's own rules applies. Policies only ever add. An error in any rule makes the verdict indeterminate, unless a Deny
// has decided already: what failed could only have made the answer stricter.
package decision

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/expression"
)

// Rules are everything that has a say.
type Rules struct {
	// Own are the rules of the Action.
	Own []catalog.Rule
	// Default applies where none of Own does.
	Default catalog.Rule
	// Policies are the ActionPolicies that are about the request.
	Policies []Policy
}

// count gives how many rules there are.
func (r *Rules) count() int {
	count := len(r.Own) + 1
	for i := range r.Policies {
		count += len(r.Policies[i].Rules)
	}
	return count
}

// Policy is an ActionPolicy that is about the request.
type Policy struct {
	Name  string
	Rules []catalog.Rule
	// Err says that nobody can tell what the policy demands.
	Err error
}

// Situation is what rules are judged on.
type Situation struct {
	// Now is the time of the decision.
	Now time.Time
	// Action are the variables of the rules of the Action, Policy those of the rules of policies.
	Action, Policy expression.Vars
	// Budget is shared by all expressions of the decision.
	Budget *expression.Budget
	// Doubt, where set, says why the answer of a rule cannot be relied on. It is asked only where the answer would loosen the
	// verdict: an error makes the rule one that could not be judged.
	Doubt func(rule *catalog.Rule) error
	// Emergency says that the requester breaks the glass, and may: Hold and RequireApproval are passed.
	Emergency bool
	// Passes tells, in an emergency, whether a rule that denies lets this requester pass. Nil: none does.
	Passes func(rule *catalog.Rule) bool
}

// Verdict is the answer.
type Verdict struct {
	// Effect is the strongest effect, Deny where no rule could be judged. Ask Indeterminate before relying on it.
	Effect v1alpha1.Effect
	// Rules are the rules that apply, the strongest effect first, then by name.
	Rules []catalog.Rule
	// Overridden are the rules that would apply, but are passed in an emergency, in the same order.
	Overridden []catalog.Rule
	// Idle are the rules that do not apply, by name. The default of the Action is among them where a rule of the Action applies.
	Idle []catalog.Rule
	// Stages are the stages that must approve, by id.
	Stages []*catalog.Stage
	// NextChange is the next instant at which time alone could change the answer, or at which to look again where Guessed. Zero: never.
	NextChange time.Time
	// Guessed says that nobody can tell when time changes the answer.
	Guessed bool
	// Changes says for each rule when time alone could next change its answer: zero where nobody can tell. Rules that time does not change are
	// not in it.
	Changes map[string]time.Time
	// Errors say what could not be judged, by rule.
	Errors []RuleError
}

// RuleError says that a rule could not be judged.
type RuleError struct {
	Rule string
	Err  error
}

// Error names the rule and what went wrong.
func (e RuleError) Error() string { return fmt.Sprintf("rule %s: %v", e.Rule, e.Err) }

// Unwrap gives what went wrong.
func (e RuleError) Unwrap() error { return e.Err }

// Indeterminate tells that there is no answer, which never means yes.
func (v *Verdict) Indeterminate() bool {
	denies := len(v.Rules) > 0 && strength(v.Rules[0].Effect) >= strength(v1alpha1.EffectDeny)
	return len(v.Errors) > 0 && !denies
}

// By gives the rules that apply with one effect.
func (v *Verdict) By(effect v1alpha1.Effect) []catalog.Rule {
	var rules []catalog.Rule
	for _, rule := range v.Rules {
		if rule.Effect == effect {
			rules = append(rules, rule)
		}
	}
	return rules
}

// Decide gives the verdict of the rules on a situation.
func Decide(ctx context.Context, rules *Rules, s *Situation) *Verdict {
	trace := &expression.Trace{}
	s.Action.Now, s.Policy.Now = s.Now, s.Now
	s.Action.Trace, s.Policy.Trace = trace, trace

	v := &Verdict{Idle: make([]catalog.Rule, 0, rules.count())}
	v.judge(ctx, rules.Own, &s.Action, s)
	v.changes(rules.Default.Name, &expression.Trace{NextChange: v.NextChange, Guessed: v.Guessed})
	switch {
	case len(v.Rules) > 0:
		v.Idle = append(v.Idle, rules.Default)
		v.Errors = append(v.Errors, replaced(v.Rules, &rules.Default, s)...)
	case len(v.Errors) == 0:
		v.Rules = append(v.Rules, rules.Default)
	}
	for i := range rules.Policies {
		policy := &rules.Policies[i]
		if policy.Err != nil {
			v.Errors = append(v.Errors, RuleError{"policy/" + policy.Name, policy.Err})
			continue
		}
		v.judge(ctx, policy.Rules, &s.Policy, s)
	}
	v.conclude(s)
	return v
}

// changes notes when time alone could change the answer of a rule. The default changes with the rules that it stands in for.
func (v *Verdict) changes(rule string, trace *expression.Trace) {
	if trace.NextChange.IsZero() {
		return
	}
	v.NextChange = Earlier(v.NextChange, trace.NextChange)
	if v.Changes == nil {
		v.Changes = map[string]time.Time{}
	}
	v.Changes[rule] = trace.NextChange
	if trace.Guessed {
		v.Guessed, v.Changes[rule] = true, time.Time{}
	}
}

func (v *Verdict) judge(ctx context.Context, rules []catalog.Rule, vars *expression.Vars, s *Situation) {
	for i := range rules {
		*vars.Trace = expression.Trace{}
		applies, err := applies(ctx, &rules[i], vars, s.Budget)
		v.changes(rules[i].Name, vars.Trace)
		if err == nil && s.Doubt != nil && loosens(rules[i].Effect, applies) {
			err = s.Doubt(&rules[i])
		}
		switch {
		case err != nil:
			v.Errors = append(v.Errors, RuleError{rules[i].Name, err})
		case applies:
			v.Rules = append(v.Rules, rules[i])
		default:
			v.Idle = append(v.Idle, rules[i])
		}
	}
}

// loosens tells whether the opposite answer could have made the verdict stricter.
func loosens(effect v1alpha1.Effect, applies bool) bool {
	return applies == (effect == v1alpha1.EffectAllow)
}

// replaced says why nobody can rely on it that the default does not apply: the default would demand more, and every rule that
// takes its place is in doubt.
func replaced(applied []catalog.Rule, def *catalog.Rule, s *Situation) []RuleError {
	if s.Doubt == nil || demanded(applied, def) {
		return nil
	}
	var doubts []RuleError
	for i := range applied {
		err := s.Doubt(&applied[i])
		if err == nil {
			return nil
		}
		doubts = append(doubts, RuleError{applied[i].Name, err})
	}
	return doubts
}

// demanded tells whether rules demand all that the default would, or deny.
func demanded(applied []catalog.Rule, def *catalog.Rule) bool {
	effects, stages := map[v1alpha1.Effect]bool{}, map[*catalog.Stage]bool{}
	for i := range applied {
		effects[applied[i].Effect] = true
		for _, stage := range applied[i].Stages {
			stages[stage] = true
		}
	}
	lacks := slices.ContainsFunc(def.Stages, func(stage *catalog.Stage) bool { return !stages[stage] })
	return effects[v1alpha1.EffectDeny] || def.Effect == v1alpha1.EffectAllow || effects[def.Effect] && !lacks
}

func applies(ctx context.Context, rule *catalog.Rule, vars *expression.Vars, budget *expression.Budget) (bool, error) {
	if rule.During != "" {
		inside, err := during(rule.During, vars)
		if err != nil || !inside {
			return false, err
		}
	}
	if rule.When == nil {
		return true, nil
	}
	return rule.When.EvalBool(ctx, *vars, budget)
}

func during(name string, vars *expression.Vars) (bool, error) {
	if vars.Calendars == nil {
		return false, fmt.Errorf("there is no Calendar %q", name)
	}
	cal, err := vars.Calendars.Calendar(name)
	if err != nil {
		return false, err
	}
	if at, ok := cal.NextChange(vars.Now); ok {
		vars.Trace.NextChange = Earlier(vars.Trace.NextChange, at)
	}
	return cal.Contains(vars.Now), nil
}

// Earlier gives the earlier of two instants, of which zero means never.
func Earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// strength orders effects: the strongest has the highest number.
func strength(effect v1alpha1.Effect) int {
	switch effect {
	case v1alpha1.EffectAllow:
		return 0
	case v1alpha1.EffectRequireApproval:
		return 1
	case v1alpha1.EffectHold:
		return 2
	case v1alpha1.EffectDeny:
		return 3
	}
	// What nobody knows must not let anything pass.
	return 4
}

func (v *Verdict) conclude(s *Situation) {
	byStrength := func(a, b catalog.Rule) int {
		return cmp.Or(cmp.Compare(strength(b.Effect), strength(a.Effect)), cmp.Compare(a.Name, b.Name))
	}
	slices.SortFunc(v.Rules, byStrength)
	slices.SortFunc(v.Idle, func(a, b catalog.Rule) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(v.Errors, func(a, b RuleError) int { return cmp.Compare(a.Rule, b.Rule) })
	if s.Emergency {
		v.breakGlass(s)
	}
	v.Effect = v1alpha1.EffectDeny
	switch {
	case len(v.Rules) == 0 && len(v.Overridden) > 0:
		v.Effect = v1alpha1.EffectAllow
	case len(v.Rules) > 0 && strength(v.Rules[0].Effect) <= strength(v1alpha1.EffectDeny):
		v.Effect = v.Rules[0].Effect
	}
	seen := map[string]*catalog.Stage{}
	for _, rule := range v.Rules {
		for _, stage := range rule.Stages {
			seen[stage.Ref.ID()] = stage
		}
	}
	for _, stage := range seen {
		v.Stages = append(v.Stages, stage)
	}
	slices.SortFunc(v.Stages, func(a, b *catalog.Stage) int { return cmp.Compare(a.Ref.ID(), b.Ref.ID()) })
}

// breakGlass passes every rule that can be passed. One denial that cannot be passed keeps all rules in force.
func (v *Verdict) breakGlass(s *Situation) {
	var kept, passed []catalog.Rule
	for i := range v.Rules {
		rule := v.Rules[i]
		switch rule.Effect {
		case v1alpha1.EffectHold, v1alpha1.EffectRequireApproval:
			passed = append(passed, rule)
		case v1alpha1.EffectDeny:
			if s.Passes == nil || !s.Passes(&rule) {
				return
			}
			passed = append(passed, rule)
		case v1alpha1.EffectAllow:
			kept = append(kept, rule)
		default:
			return
		}
	}
	v.Rules, v.Overridden = kept, passed
}
