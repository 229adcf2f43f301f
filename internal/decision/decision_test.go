package decision

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/expression"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// compiler compiles conditions of rules.
func compile(t testing.TB, source string) *expression.Program {
	t.Helper()
	compiler, err := expression.NewCompiler(expression.PolicyRule, nil)
	if err != nil {
		t.Fatal(err)
	}
	program, err := compiler.Bool(source)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func situation() *Situation {
	vars := expression.Vars{Values: map[string]any{"inputs": map[string]any{"environment": "production"}}}
	return &Situation{Now: noon, Action: vars, Policy: vars, Budget: expression.NewBudget()}
}

func stage(name string) *catalog.Stage {
	return &catalog.Stage{Ref: v1alpha1.StageReference{Name: name}}
}

func TestDecide(t *testing.T) {
	yes, no, broken := compile(t, "true"), compile(t, "false"), compile(t, "inputs.nothing == 'x'")
	owners, security := stage("owners"), stage("security")
	allow := catalog.Rule{Name: "allow", When: yes, Effect: v1alpha1.EffectAllow}
	ask := catalog.Rule{Name: "ask", When: yes, Effect: v1alpha1.EffectRequireApproval, Stages: []*catalog.Stage{owners}}
	askToo := catalog.Rule{Name: "ask-too", When: yes, Effect: v1alpha1.EffectRequireApproval, Stages: []*catalog.Stage{security, owners}}
	hold := catalog.Rule{Name: "hold", When: yes, Effect: v1alpha1.EffectHold}
	deny := catalog.Rule{Name: "deny", When: yes, Effect: v1alpha1.EffectDeny}
	byDefault := catalog.Rule{Name: "default", Effect: v1alpha1.EffectDeny}

	type want struct {
		Effect        v1alpha1.Effect
		Rules, Stages []string
		Indeterminate bool
	}
	for name, tc := range map[string]struct {
		reason string
		rules  Rules
		want   want
	}{
		"Allow": {
			reason: "A rule that allows is enough where nothing stronger applies, and the default then has no say.",
			rules:  Rules{Own: []catalog.Rule{allow}, Default: byDefault},
			want:   want{Effect: v1alpha1.EffectAllow, Rules: []string{"allow"}},
		},
		"NothingApplies": {
			reason: "Where no own rule applies, the default decides.",
			rules:  Rules{Own: []catalog.Rule{{Name: "never", When: no, Effect: v1alpha1.EffectAllow}}, Default: byDefault},
			want:   want{Effect: v1alpha1.EffectDeny, Rules: []string{"default"}},
		},
		"NoRulesAtAll": {
			reason: "An empty set of rules is not a yes.",
			rules:  Rules{Default: byDefault},
			want:   want{Effect: v1alpha1.EffectDeny, Rules: []string{"default"}},
		},
		"PolicyDoesNotReplaceDefault": {
			reason: "A policy that applies is no own rule: the default still counts.",
			rules:  Rules{Default: byDefault, Policies: []Policy{{Name: "p", Rules: []catalog.Rule{hold}}}},
			want:   want{Effect: v1alpha1.EffectDeny, Rules: []string{"default", "hold"}},
		},
		"StagesUnite": {
			reason: "All stages of all rules that apply must approve, each once, in a stable order.",
			rules:  Rules{Own: []catalog.Rule{askToo, allow, ask}, Default: byDefault},
			want:   want{Effect: v1alpha1.EffectRequireApproval, Rules: []string{"ask", "ask-too", "allow"}, Stages: []string{"action/owners", "action/security"}},
		},
		"HoldKeepsStages": {
			reason: "A hold is about when; who must agree stays.",
			rules:  Rules{Own: []catalog.Rule{ask, hold}, Default: byDefault},
			want:   want{Effect: v1alpha1.EffectHold, Rules: []string{"hold", "ask"}, Stages: []string{"action/owners"}},
		},
		"DenyWins": {
			reason: "Deny is stronger than everything else.",
			rules:  Rules{Own: []catalog.Rule{allow, ask, hold}, Default: byDefault, Policies: []Policy{{Name: "p", Rules: []catalog.Rule{deny}}}},
			want:   want{Effect: v1alpha1.EffectDeny, Rules: []string{"deny", "hold", "ask", "allow"}, Stages: []string{"action/owners"}},
		},
		"ErrorIsNotNo": {
			reason: "A rule that cannot be evaluated leaves the verdict open; it is not skipped.",
			rules:  Rules{Own: []catalog.Rule{allow, {Name: "broken", When: broken, Effect: v1alpha1.EffectDeny}}, Default: byDefault},
			want:   want{Effect: v1alpha1.EffectAllow, Rules: []string{"allow"}, Indeterminate: true},
		},
		"BrokenPolicy": {
			reason: "A policy that does not compile leaves the verdict open.",
			rules:  Rules{Own: []catalog.Rule{allow}, Default: byDefault, Policies: []Policy{{Name: "p", Err: errors.New("bad")}}},
			want:   want{Effect: v1alpha1.EffectAllow, Rules: []string{"allow"}, Indeterminate: true},
		},
		"DenyDespiteError": {
			reason: "What failed could only have made the answer stricter than Deny, and nothing is.",
			rules:  Rules{Own: []catalog.Rule{deny, {Name: "broken", When: broken, Effect: v1alpha1.EffectAllow}}, Default: byDefault},
			want:   want{Effect: v1alpha1.EffectDeny, Rules: []string{"deny"}},
		},
		"UnknownEffect": {
			reason: "An effect that this version does not know must not let anything pass.",
			rules:  Rules{Own: []catalog.Rule{allow, {Name: "new", Effect: "Quarantine"}}, Default: byDefault},
			want:   want{Effect: v1alpha1.EffectDeny, Rules: []string{"new", "allow"}},
		},
		"MissingCalendar": {
			reason: "A rule whose calendar is gone cannot be judged.",
			rules:  Rules{Own: []catalog.Rule{allow, {Name: "frozen", During: "christmas", Effect: v1alpha1.EffectDeny}}, Default: byDefault},
			want:   want{Effect: v1alpha1.EffectAllow, Rules: []string{"allow"}, Indeterminate: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := Decide(context.Background(), &tc.rules, situation())
			got := want{Effect: v.Effect, Rules: ruleNames(v), Stages: stageIDs(v), Indeterminate: v.Indeterminate()}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nDecide(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func ruleNames(v *Verdict) []string {
	var names []string
	for _, rule := range v.Rules {
		names = append(names, rule.Name)
	}
	return names
}

func stageIDs(v *Verdict) []string {
	var ids []string
	for _, stage := range v.Stages {
		ids = append(ids, stage.Ref.ID())
	}
	return ids
}

// rank says how much a verdict lets through: the higher, the stricter.
func rank(v *Verdict) int {
	if v.Indeterminate() {
		return 50
	}
	if v.Effect == v1alpha1.EffectDeny {
		return 100
	}
	return strength(v.Effect)
}

// TestOrderAndGuardRails checks on generated rules that order never changes a verdict, and that a further policy never gives
// a weaker one.
func TestOrderAndGuardRails(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	conditions := []*expression.Program{nil, compile(t, "true"), compile(t, "false"), compile(t, "inputs.nothing == 'x'")}
	effects := []v1alpha1.Effect{v1alpha1.EffectAllow, v1alpha1.EffectRequireApproval, v1alpha1.EffectHold, v1alpha1.EffectDeny}
	stages := []*catalog.Stage{stage("a"), stage("b"), stage("c")}
	rules := func(prefix string, from []v1alpha1.Effect, most int) []catalog.Rule {
		out := make([]catalog.Rule, random.IntN(most))
		for i := range out {
			out[i] = catalog.Rule{Name: fmt.Sprintf("%s-%d", prefix, i), When: conditions[random.IntN(len(conditions))], Effect: from[random.IntN(len(from))]}
			if out[i].Effect == v1alpha1.EffectRequireApproval {
				out[i].Stages = stages[random.IntN(len(stages)):]
			}
		}
		return out
	}
	// In an emergency some rules can be passed, and a policy that nobody can tell of never can.
	emergency := false
	situation := func() *Situation {
		s := situation()
		s.Emergency, s.Passes = emergency, func(rule *catalog.Rule) bool { return len(rule.Name)%2 == 0 || rule.Name < "policy/1" }
		s.Policy.Calendars = fixedCalendar{open: true}
		return s
	}
	for range 6000 {
		emergency = random.IntN(2) == 0
		in := Rules{Own: rules("own", effects, 5), Default: catalog.Rule{Name: "default", Effect: effects[random.IntN(4)]}}
		for p := range random.IntN(3) {
			in.Policies = append(in.Policies, Policy{Name: fmt.Sprint(p), Rules: rules(fmt.Sprintf("policy/%d", p), effects[1:], 4)})
		}
		before := Decide(context.Background(), &in, situation())

		shuffled := Rules{Own: slices.Clone(in.Own), Default: in.Default, Policies: slices.Clone(in.Policies)}
		random.Shuffle(len(shuffled.Own), func(i, j int) { shuffled.Own[i], shuffled.Own[j] = shuffled.Own[j], shuffled.Own[i] })
		random.Shuffle(len(shuffled.Policies), func(i, j int) {
			shuffled.Policies[i], shuffled.Policies[j] = shuffled.Policies[j], shuffled.Policies[i]
		})
		again := Decide(context.Background(), &shuffled, situation())
		if before.Effect != again.Effect || before.Indeterminate() != again.Indeterminate() || !slices.Equal(ruleNames(before), ruleNames(again)) || !slices.Equal(stageIDs(before), stageIDs(again)) {
			t.Fatalf("the order of rules changed the verdict: %v and %v", before, again)
		}

		more := Policy{Name: "more", Rules: rules("policy/more", effects[1:], 4)}
		if random.IntN(10) == 0 {
			more = Policy{Name: "more", Err: errors.New("it does not compile")}
		}
		for i := range more.Rules {
			more.Rules[i].During = []string{"", "freeze"}[random.IntN(2)]
		}
		in.Policies = append(in.Policies, more)
		after := Decide(context.Background(), &in, situation())
		if rank(after) < rank(before) {
			t.Fatalf("a further policy loosened the verdict from %d to %d", rank(before), rank(after))
		}
		for _, id := range stageIDs(before) {
			if !slices.Contains(stageIDs(after), id) {
				t.Fatalf("a further policy removed stage %s", id)
			}
		}
	}
}

type fixedCalendar struct{ open bool }

func (c fixedCalendar) Contains(time.Time) bool                      { return c.open }
func (fixedCalendar) Ends(time.Time) (time.Time, bool)               { return noon.Add(time.Hour), true }
func (fixedCalendar) Next(time.Time) (time.Time, bool)               { return noon.Add(time.Hour), true }
func (fixedCalendar) NextChange(time.Time) (time.Time, bool)         { return noon.Add(time.Hour), true }
func (c fixedCalendar) Calendar(string) (expression.Calendar, error) { return c, nil }

func TestNextChange(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		rule   catalog.Rule
		want   time.Time
	}{
		"During":   {"A closed calendar names the instant at which it opens.", catalog.Rule{Name: "r", During: "freeze", Effect: v1alpha1.EffectDeny}, noon.Add(time.Hour)},
		"When":     {"A calendar in a condition does so as well.", catalog.Rule{Name: "r", When: compile(t, "calendar('hours').contains(now)"), Effect: v1alpha1.EffectDeny}, noon.Add(time.Hour)},
		"Timeless": {"Without time in any rule, time alone never changes the answer.", catalog.Rule{Name: "r", When: compile(t, "true"), Effect: v1alpha1.EffectHold}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := situation()
			s.Action.Calendars, s.Policy.Calendars = fixedCalendar{}, fixedCalendar{}
			v := Decide(context.Background(), &Rules{Default: catalog.Rule{Name: "default", Effect: v1alpha1.EffectAllow}, Policies: []Policy{{Rules: []catalog.Rule{tc.rule}}}}, s)
			if !v.NextChange.Equal(tc.want) {
				t.Errorf("%s\nNextChange: want %v, got %v", tc.reason, tc.want, v.NextChange)
			}
		})
	}
}
