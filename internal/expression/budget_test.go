package expression

import (
	"context"
	"errors"
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
