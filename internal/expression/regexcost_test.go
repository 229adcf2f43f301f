package expression

import (
	"strings"
	"testing"
)

// TestRegexCost: what a regular expression costs counts by how large it is once it is compiled, and not by how it is written.
func TestRegexCost(t *testing.T) {
	const dear = `(.{0,300}x){2}y`
	text := strings.Repeat("a", 20_000)
	for name, tc := range map[string]struct {
		reason, source string
		least, most    uint64
	}{
		"Dear":     {"Each letter takes a thousand steps.", `fact.text.matches('` + dear + `')`, 1_500_000, DecisionLimit},
		"Computed": {"Also where it is not literal.", `fact.text.matches(fact.pattern)`, 1_500_000, DecisionLimit},
		"Find":     {"Also where it looks for a part.", `fact.text.find('` + dear + `') == 'x'`, 1_500_000, DecisionLimit},
		"Plain":    {"What is plain stays cheap.", `fact.text.matches('^[a-z]+b$')`, 1, 40_000},
	} {
		t.Run(name, func(t *testing.T) {
			compiler, err := NewCompiler(ActionRule, nil, "fact")
			if err != nil {
				t.Fatal(err)
			}
			program, err := compiler.Bool(tc.source)
			if err != nil {
				t.Fatal(err)
			}
			budget := NewBudget()
			_, _ = program.EvalBool(t.Context(), Vars{Values: map[string]any{"fact": map[string]any{"text": text, "pattern": dear}}}, budget)
			if cost := DecisionLimit - budget.Remaining(); cost < tc.least || cost > tc.most {
				t.Errorf("%s It cost %d.", tc.reason, cost)
			}
		})
	}
}
