package expression

import (
	"context"
	"testing"
)

func BenchmarkEvalBool(b *testing.B) {
	cases := map[string]struct {
		place  Place
		source string
	}{
		"Rule":       {ActionRule, "inputs.environment == 'production' || !calendar('open').contains(now)"},
		"SevenTerms": {RoleWhen, "inputs.environment == 'production' || inputs.replicas > 2 && requester.groups.exists(g, g == 'developers') && request.reason.startsWith('fix') && !requester.isAgent"},
		"Counted":    {ActionRule, "target.metadata.labels.all(k, k.startsWith('t')) && inputs.environment == 'staging'"},
		"Converted":  {ActionRule, "inputs.day > now && inputs.environment == 'staging'"},
		"Role":       {RoleWhen, "inputs.environment == 'staging' || 'senior' in caller.groups"},
	}
	for name, tc := range cases {
		b.Run(name, func(b *testing.B) {
			c, err := NewCompiler(tc.place, exampleSchema())
			if err != nil {
				b.Fatal(err)
			}
			p, err := c.Bool(tc.source)
			if err != nil {
				b.Fatal(err)
			}
			ctx, vars, budget := context.Background(), exampleVars(), NewBudget()
			b.ReportAllocs()
			for b.Loop() {
				budget.remaining = DecisionLimit
				if _, err := p.EvalBool(ctx, vars, budget); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	b.Run("Compiler", func(b *testing.B) {
		schema := exampleSchema()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := NewCompiler(ActionRule, schema); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Expression", func(b *testing.B) {
		c, err := NewCompiler(ActionRule, exampleSchema())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Bool("inputs.environment == 'production' || !calendar('open').contains(now)"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
