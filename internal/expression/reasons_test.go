package expression

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExplain(t *testing.T) {
	listener := Listener{People: map[string]string{"caller": "you are", "requester": "alice is"}, Yes: "it would apply", No: "it would not apply"}
	cases := map[string]struct {
		reason string
		place  Place
		source string
		change func(*Vars, *Listener)
		want   Reasons
	}{
		"Equal": {
			reason: "an input and what else it could be", place: ActionRule, source: "inputs.environment == 'staging'",
			change: func(_ *Vars, l *Listener) { l.Values = func(string) []any { return []any{"staging", "production"} } },
			want:   Reasons{[]string{`inputs.environment is "staging"`}, []string{`with inputs.environment "production" it would not apply`}},
		},
		"EqualOpen": {
			reason: "where nobody knows other values, the term itself is said", place: ActionRule, source: "inputs.environment == 'staging'",
			want: Reasons{[]string{`inputs.environment is "staging"`}, []string{`if inputs.environment were not "staging", it would not apply`}},
		},
		"NotEqual": {
			reason: "the value that the expression names was tried", place: ActionRule, source: "'production' == inputs.environment",
			want: Reasons{[]string{`inputs.environment is "staging"`}, []string{`with inputs.environment "production" it would apply`}},
		},
		"NotCertain": {
			reason: "what would not be enough is not promised", place: ActionRule, source: "inputs.environment == 'production' && inputs.replicas > 10",
			want: Reasons{
				[]string{`inputs.environment is "staging"`, `inputs.replicas is 3, which is not more than 10`},
				[]string{`if inputs.environment were "production" and inputs.replicas were more than 10, it would apply`},
			},
		},
		"OnlyWhatDecides": {
			reason: "what made no difference is not said", place: ActionRule, source: "inputs.environment == 'production' && inputs.force",
			want: Reasons{[]string{`inputs.environment is "staging"`}, []string{`with inputs.environment "production" it would apply`}},
		},
		"Group": {
			reason: "a group, in plain words", place: RoleWhen, source: "inputs.environment != 'staging' || 'senior' in caller.groups",
			change: func(_ *Vars, l *Listener) { l.Values = func(string) []any { return []any{"staging", "production"} } },
			want: Reasons{
				[]string{`inputs.environment is "staging"`, "you are not in group senior"},
				[]string{`with inputs.environment "production" it would apply`, "if you are in group senior, it would apply"},
			},
		},
		"GroupExists": {
			reason: "the same, written as a loop", place: RoleWhen, source: "!requester.groups.exists(g, g == 'developers')",
			want: Reasons{[]string{"alice is in group developers"}, []string{"if alice is not in group developers, it would apply"}},
		},
		"Calendar": {
			reason: "a calendar says until when, and then is tried", place: ActionRule, source: "!calendar('open').contains(now)",
			want: Reasons{[]string{"calendar open is open until Mon 23 Nov 2026 17:00 UTC"}, []string{"from Mon 23 Nov 2026 17:00 UTC it would apply"}},
		},
		"CalendarClosed": {
			reason: "a calendar that opens", place: ActionRule, source: "calendar('soon').contains(now)",
			want: Reasons{[]string{"calendar soon is closed until Mon 23 Nov 2026 13:00 UTC"}, []string{"from Mon 23 Nov 2026 13:00 UTC it would apply"}},
		},
		"Moment": {
			reason: "an instant that comes", place: ActionRule, source: "now >= timestamp('2026-12-27T00:00:00Z')",
			want: Reasons{
				[]string{`now is "2026-11-23T12:00:00Z", which is not at least timestamp("2026-12-27T00:00:00Z") ("2026-12-27T00:00:00Z")`},
				[]string{"from Sun 27 Dec 2026 00:00 UTC it would apply"},
			},
		},
		"Hour": {
			reason: "an hour of which nobody can tell when it comes", place: ActionRule, source: "now.getHours() >= 17",
			want: Reasons{[]string{"now.getHours() is 12, which is not at least 17"}, []string{"if now.getHours() were at least 17, it would apply"}},
		},
		"Hidden": {
			reason: "what may not be read is not shown, nor where it is compared", place: ActionRule, source: "target.metadata.labels['tier'] == 'critical'",
			change: hideTarget,
			want: Reasons{
				[]string{`label "tier" of the target (not shown: you may not read Deployment a/b)`},
				[]string{`if label "tier" of the target were otherwise, it would not apply`},
			},
		},
		"HiddenOther": {
			reason: "a value that it is not may be said", place: ActionRule, source: "target.metadata.labels['tier'] == 'other'", change: hideTarget,
			want: Reasons{
				[]string{`label "tier" of the target (not shown: you may not read Deployment a/b)`},
				[]string{`if label "tier" of the target were "other", it would apply`},
			},
		},
		"HiddenNotEqual": {
			reason: "nor is the one that it is, the other way round", place: ActionRule, source: "target.metadata.labels['tier'] != 'critical'", change: hideTarget,
			want: Reasons{
				[]string{`label "tier" of the target (not shown: you may not read Deployment a/b)`},
				[]string{`if label "tier" of the target were otherwise, it would apply`},
			},
		},
		"HiddenOneOf": {
			reason: "nor in a list", place: ActionRule, source: "target.metadata.labels['tier'] in ['critical']", change: hideTarget,
			want: Reasons{
				[]string{`label "tier" of the target (not shown: you may not read Deployment a/b)`},
				[]string{`if label "tier" of the target were otherwise, it would not apply`},
			},
		},
		"HiddenCall": {
			reason: "nor in a call", place: ActionRule, source: "target.metadata.labels['tier'].startsWith('critical')", change: hideTarget,
			want: Reasons{
				[]string{`what it reads of target (not shown: you may not read Deployment a/b)`},
				[]string{`if what it reads of target were otherwise, it would not apply`},
			},
		},
		"HiddenSet": {
			reason: "nor whether it is there", place: ActionRule, source: "has(target.metadata.labels)", change: hideTarget,
			want: Reasons{
				[]string{`target.metadata.labels (not shown: you may not read Deployment a/b)`},
				[]string{`if target.metadata.labels were otherwise, it would not apply`},
			},
		},
		"HiddenMoment": {
			reason: "nor as an instant that comes", place: ActionRule, source: "now < timestamp(target.metadata.labels['until'])",
			change: func(v *Vars, l *Listener) {
				v.Values["target"] = map[string]any{"metadata": map[string]any{"labels": map[string]any{"until": "2026-12-27T00:00:00Z"}}}
				hideTarget(v, l)
			},
			want: Reasons{
				[]string{`what it reads of target (not shown: you may not read Deployment a/b)`},
				[]string{`if what it reads of target were otherwise, it would not apply`},
			},
		},
		"Unset": {
			reason: "an error says what is not there", place: ActionRule, source: "target.metadata.labels['team'] == 'x'",
			want: Reasons{[]string{`label "team" of the target is not set`}, nil},
		},
		"NamespaceLabel": {
			reason: "whose label it is, and what counts where it is not there", place: ActionRule,
			source: "namespaceObject.metadata.labels[?'tier'].orValue('critical') == 'critical'",
			change: func(v *Vars, _ *Listener) {
				v.Values["namespaceObject"] = map[string]any{"metadata": map[string]any{"labels": map[string]any{"tier": "standard"}}}
			},
			want: Reasons{
				[]string{`label "tier" of the namespace of the target is "standard", not "critical" (no label "tier" counts as "critical")`},
				[]string{`if label "tier" of the namespace of the target were "critical", it would apply`},
			},
		},
		"Number": {
			reason: "a number that would have to be another one", place: ActionRule, source: "target.spec.critical > 0",
			change: func(v *Vars, _ *Listener) {
				v.Values["target"] = map[string]any{"spec": map[string]any{"critical": int64(2)}}
			},
			want: Reasons{[]string{"target.spec.critical is 2, which is more than 0"}, []string{"if target.spec.critical were at most 0, it would not apply"}},
		},
		"OneOf": {
			reason: "a list of which it is none", place: ActionRule, source: "target.spec.stage in ['Alpha', 'Beta']",
			change: func(v *Vars, _ *Listener) { v.Values["target"] = map[string]any{"spec": map[string]any{"stage": "GA"}} },
			want: Reasons{
				[]string{`target.spec.stage is "GA", which is not one of ["Alpha", "Beta"]`},
				[]string{`if target.spec.stage were one of ["Alpha", "Beta"], it would apply`},
			},
		},
		"Always": {
			reason: "what is written as a constant is called one, and nothing would change it", place: ActionRule, source: "true",
			want: Reasons{[]string{"a condition is always true"}, nil},
		},
		"AlwaysInside": {
			reason: "nor inside of something else", place: ActionRule, source: "true || inputs.force",
			want: Reasons{[]string{"a condition is always true", "inputs.force is true"}, nil},
		},
		"Has": {
			reason: "presence", place: ActionRule, source: "has(target.status)",
			want: Reasons{[]string{"target.status is not set"}, []string{"if has(target.status), it would apply"}},
		},
		"Control": {
			reason: "nothing that a requester wrote can move the cursor", place: ActionRule, source: "request.reason == 'x'",
			change: func(v *Vars, _ *Listener) { v.Values["request"] = map[string]any{"reason": "a\x1b[2Jb\nc"} },
			want:   Reasons{[]string{`request.reason is "a\x1b[2Jb\nc", not "x"`}, []string{`if request.reason were "x", it would apply`}},
		},
		"Objects": {
			reason: "what would be written is named", place: PolicyRule, source: "objects.exists(o, o.labels[?'tier'].orValue('critical') == 'critical')",
			change: func(v *Vars, _ *Listener) {
				v.Values["objects"] = []any{map[string]any{"kind": "Deployment", "namespace": "production", "name": "checkout", "labels": map[string]any{}}}
			},
			want: Reasons{
				[]string{`Deployment production/checkout: label "tier" is "critical" (no label "tier" counts as "critical")`},
				[]string{`if not objects.exists(o, o.labels[?"tier"].orValue("critical") == "critical"), it would not apply`},
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := newCompiler(t, tc.place).Bool(tc.source)
			if err != nil {
				t.Fatal(err)
			}
			vars, to := exampleVars(), listener
			if tc.change != nil {
				tc.change(&vars, &to)
			}
			if diff := cmp.Diff(tc.want, p.Explain(t.Context(), vars, NewBudget(), &to)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
			if !vars.Trace.NextChange.IsZero() {
				t.Errorf("an explanation made the decision depend on time")
			}
		})
	}
}

// hideTarget is for who may not read the target.
func hideTarget(_ *Vars, l *Listener) {
	l.Hide = func(v string) string { return map[string]string{"target": "you may not read Deployment a/b"}[v] }
}

func TestExplainIsBounded(t *testing.T) {
	terms := make([]string, 40)
	for i := range terms {
		terms[i] = "inputs.environment == '" + strings.Repeat("x", 300+i) + "'"
	}
	p, err := newCompiler(t, ActionRule).Bool(strings.Join(terms, " || "))
	if err != nil {
		t.Fatal(err)
	}
	got := p.Explain(t.Context(), exampleVars(), NewBudget(), &Listener{Yes: "it would apply"})
	for _, line := range append(got.Because, got.Differ...) {
		if len([]rune(line)) > 256 {
			t.Errorf("a line of %d characters cannot be stored: %s", len(line), line)
		}
	}
	if len(got.Because) > 16 || len(got.Differ) > 16 {
		t.Errorf("too many lines: %d, %d", len(got.Because), len(got.Differ))
	}
	if got := p.Explain(t.Context(), exampleVars(), NewBudgetOf(0), &Listener{}); len(got.Differ) > 0 {
		t.Errorf("without a budget nothing is tried: %v", got)
	}
}

// FuzzExplain demands that whatever compiles can be explained, and says what it gave.
func FuzzExplain(f *testing.F) {
	for _, source := range []string{"inputs.force", "!(inputs.force && 'x' in requester.groups) || has(target.x)", "[1, 2].exists(x, x == inputs.replicas)",
		"inputs.force ? inputs.replicas > 1 : calendar('open').contains(now)", "dyn(1) in [1] && 'a' == 'a'"} {
		f.Add(source)
	}
	c, err := NewCompiler(ActionRule, exampleSchema())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source string) {
		p, err := c.Bool(source)
		if err != nil {
			return
		}
		holds, err := p.EvalBool(t.Context(), exampleVars(), NewBudget())
		root := p.termTree()
		if root == nil || err != nil {
			return
		}
		e := &explainer{ctx: t.Context(), vars: exampleVars(), budget: NewBudget(), to: &Listener{}, program: p, answers: map[*leaf]answer{}}
		if got := e.judge(root, nil); got != answerOf(holds) && got != unknown {
			t.Errorf("the terms of %q give %d, the expression %t", source, got, holds)
		}
		p.Explain(t.Context(), exampleVars(), NewBudget(), &Listener{})
	})
}
