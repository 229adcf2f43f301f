package expression

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestBudgetIsCarried(t *testing.T) {
	c := newCompiler(t, WaitFor)
	cases := map[string]struct{ reason, source string }{
		"Small":   {"what a small program may cost at most is taken", "object.status.ready"},
		"Counted": {"what a counted program did cost is taken", "object.l.all(x, x == 'x')"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := c.Bool(tc.source)
			if err != nil {
				t.Fatal(err)
			}
			vars := exampleVars()
			vars.Values["object"] = map[string]any{"l": make2(20, "x"), "status": map[string]any{"ready": true}}
			budget := NewBudgetOf(1000)
			if _, err := p.EvalBool(context.Background(), vars, budget); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			cost := 1000 - budget.Remaining()
			if cost == 0 || cost > 500 {
				t.Errorf("%s: it cost %d", tc.reason, cost)
			}
			for range 1000 {
				if _, err = p.EvalBool(context.Background(), vars, budget); err != nil {
					break
				}
			}
			if !errors.Is(err, ErrBudget) {
				t.Errorf("%s: a thousand evaluations fit into a budget of 1000: %v", tc.reason, err)
			}
			if _, err := p.EvalBool(context.Background(), vars, budget); !errors.Is(err, ErrBudget) {
				t.Errorf("%s: an empty budget was used: %v", tc.reason, err)
			}
		})
	}
}

// Only programs that can never become expensive run without being counted.
func TestWhichProgramsAreCounted(t *testing.T) {
	cases := map[string]struct {
		reason  string
		place   Place
		source  string
		counted bool
	}{
		"Comparison":   {"a comparison", ActionRule, "inputs.environment == 'production'", false},
		"Calendar":     {"a calendar", ActionRule, "calendar('open').contains(now)", false},
		"Groups":       {"the API bounds groups", ActionRule, "requester.groups.exists(g, g == 'sre')", false},
		"BoundedInput": {"the schema bounds lists of inputs", ActionRule, "inputs.parts.all(p, p.name != 'x')", false},
		"TargetField":  {"a field of the target", ActionRule, "target.metadata.labels['team'] == 'payments'", false},
		"TargetList":   {"a loop over something of the target", ActionRule, "target.spec.containers.all(c, c.image != '')", true},
		"TargetRegex":  {"a regular expression over something of the target", ActionRule, "target.spec.image.matches('^a+$')", true},
		"Repeated":     {"loops inside of loops", ActionRule, "requester.groups.all(a, requester.groups.all(b, a == b))", true},
		"Replace":      {"a text that could become long", ActionRule, "target.a.replace(target.b, target.c) == ''", true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := newCompiler(t, tc.place).Bool(tc.source)
			if err != nil {
				t.Fatal(err)
			}
			if counted := p.cost == 0; counted != tc.counted {
				t.Errorf("%s: counted is %v (cost at most %d), want %v", tc.reason, counted, p.cost, tc.counted)
			}
		})
	}
}

// TestCostsTooMuchAtLeast: an expression that can never be evaluated is refused when it is compiled, and only where that is certain.
func TestCostsTooMuchAtLeast(t *testing.T) {
	hundred := "[" + strings.TrimSuffix(strings.Repeat("1,", 100), ",") + "]"
	cube := hundred + ".map(a, " + hundred + ".map(b, " + hundred + ".map(c, a + b + c)))"
	for name, tc := range map[string]struct {
		reason, source string
		refused        bool
		want           error
	}{
		"Certain":   {"A million rounds are more than an expression may cost.", "size(" + cube + ") > 0", true, nil},
		"Plane":     {"Ten thousand are not.", "size(" + hundred + ".map(a, " + hundred + ".map(b, a + b))) > 0", false, nil},
		"EarlyExit": {"Loops that end with the first element cost next to nothing.", strings.ReplaceAll(strings.ReplaceAll(cube, "map", "exists"), "a + b + c", "a + b + c > 0"), false, nil},
		"Perhaps":   {"What is evaluated for some requests only is none of the smallest cost.", "inputs.force || size(" + cube + ") > 0", false, nil},
		"Branch":    {"Nor is one of two branches.", "inputs.force ? true : size(" + cube + ") > 0", false, nil},
		"NotForced": {"Where it must be evaluated after all, the budget ends it.", "!inputs.force || size(" + cube + ") > 0", false, ErrBudget},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := newCompiler(t, ActionRule).Bool(tc.source)
			if refused := err != nil; refused != tc.refused || refused && !strings.Contains(err.Error(), "this costs at least ") {
				t.Fatalf("%s\ncompile: got %v, want refused %t", tc.reason, err, tc.refused)
			}
			if err != nil {
				return
			}
			if _, err := p.EvalBool(t.Context(), exampleVars(), nil); !errors.Is(err, tc.want) {
				t.Errorf("%s\nevaluate: got %v, want %v", tc.reason, err, tc.want)
			}
		})
	}
}
