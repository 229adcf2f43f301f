package action

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/decision"
	"github.com/signoff-dev/signoff/internal/expression"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	allow   = v1alpha1.EffectAllow
	require = v1alpha1.EffectRequireApproval
	hold    = v1alpha1.EffectHold
	deny    = v1alpha1.EffectDeny
)

// when compiles the condition of the rule with this number: it holds where the input of that number is true.
func when(t *testing.T, number int) *expression.Program {
	t.Helper()
	compiler, err := expression.NewCompiler(expression.PolicyRule, nil)
	if err != nil {
		t.Fatal(err)
	}
	program, err := compiler.Bool(fmt.Sprintf("inputs.rule%d == true", number))
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func rule(effect v1alpha1.Effect, condition *expression.Program) catalog.Rule {
	out := catalog.Rule{Name: string(effect), Effect: effect, When: condition}
	if effect == require {
		out.Stages = []*catalog.Stage{{Ref: v1alpha1.StageReference{Name: "owners"}}}
	}
	return out
}

func TestApproval(t *testing.T) {
	condition := when(t, 0)
	for name, tc := range map[string]struct {
		reason string
		rules  []catalog.Rule
		def    v1alpha1.Effect
		want   string
	}{
		"NothingWritten":   {"Everything is refused, so that nobody is ever asked.", nil, deny, "never"},
		"DefaultAllow":     {"Everything runs at once.", nil, allow, "never"},
		"DefaultRequire":   {"Every request falls to the default.", nil, require, "always"},
		"AllowOrRequire":   {"Some requests meet the first rule, some the second.", []catalog.Rule{rule(allow, condition), rule(require, condition)}, deny, "sometimes"},
		"AllowElseRequire": {"What the rule does not allow falls to the default.", []catalog.Rule{rule(allow, condition)}, require, "sometimes"},
		"RequireElseDeny":  {"What is not refused needs approval.", []catalog.Rule{rule(require, condition)}, deny, "always"},
		"RequireElseAllow": {"What the rule does not catch runs at once.", []catalog.Rule{rule(require, condition)}, allow, "sometimes"},
		"DenyElseRequire":  {"A refusal needs no approval, and the rest does.", []catalog.Rule{rule(deny, condition)}, require, "always"},
		"DenyElseAllow":    {"Nobody is ever asked.", []catalog.Rule{rule(deny, condition)}, allow, "never"},
		"HoldElseRequire":  {"When the hold ends the default applies.", []catalog.Rule{rule(hold, condition)}, require, "always"},
		"AlwaysRequire":    {"A rule that allows spares nobody a rule that always asks.", []catalog.Rule{rule(require, nil), rule(allow, condition)}, deny, "always"},
		"AlwaysAllow":      {"A rule without condition keeps the default from ever applying.", []catalog.Rule{rule(allow, nil)}, require, "never"},
		"AlwaysDeny":       {"Nothing comes through to be asked about.", []catalog.Rule{rule(deny, nil), rule(require, condition)}, require, "never"},
	} {
		t.Run(name, func(t *testing.T) {
			def := rule(tc.def, nil)
			if diff := cmp.Diff(tc.want, approval(tc.rules, &def)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestApprovalAgreesWithDecisions compares with what is decided in every situation, for every set of up to three rules.
func TestApprovalAgreesWithDecisions(t *testing.T) {
	effects := []v1alpha1.Effect{allow, require, hold, deny}
	sets := [][]catalog.Rule{nil}
	for number := range 3 {
		condition := when(t, number)
		for _, set := range sets {
			if len(set) != number {
				continue
			}
			for _, effect := range effects {
				for _, c := range []*expression.Program{nil, condition} {
					sets = append(sets, append(set[:number:number], rule(effect, c)))
				}
			}
		}
	}
	if want := 1 + 8 + 8*8 + 8*8*8; len(sets) != want {
		t.Fatalf("want %d sets of rules, got %d", want, len(sets))
	}
	for _, rules := range sets {
		for _, effect := range effects {
			def := rule(effect, nil)
			if want, got := decided(t, rules, def), approval(rules, &def); want != got {
				t.Errorf("%s default %s: want %s, got %s", show(rules), effect, want, got)
			}
		}
	}
}

// decided judges every situation, which is which of the conditions hold.
func decided(t *testing.T, rules []catalog.Rule, def catalog.Rule) string {
	t.Helper()
	var asked, spared bool
	for situation := range 1 << len(rules) {
		values := map[string]any{}
		for number := range rules {
			values[fmt.Sprintf("rule%d", number)] = situation>>number&1 == 1
		}
		vars := expression.Vars{Values: map[string]any{"inputs": values}}
		verdict := decision.Decide(t.Context(), &decision.Rules{Own: rules, Default: def},
			&decision.Situation{Now: noon, Action: vars, Policy: vars, Budget: expression.NewBudget()})
		if verdict.Indeterminate() {
			t.Fatalf("%s cannot be judged: %v", show(rules), verdict.Errors)
		}
		asked = asked || verdict.Effect != deny && len(verdict.Stages) > 0
		spared = spared || verdict.Effect == allow
	}
	switch {
	case !asked:
		return "never"
	case spared:
		return "sometimes"
	}
	return "always"
}

func show(rules []catalog.Rule) string {
	var all []string
	for _, r := range rules {
		text := string(r.Effect)
		if r.When != nil {
			text += " if " + r.When.Source()
		}
		all = append(all, text)
	}
	return "[" + strings.Join(all, ", ") + "]"
}
