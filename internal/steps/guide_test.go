package steps

import (
	"os"
	"strings"
	"testing"
)

// TestGuide compiles the steps that the guide shows, so that it cannot rot.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/guides/write-an-action.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		list, isSteps := strings.CutPrefix(block, "    steps:\n")
		last, isLast := strings.CutPrefix(block, "    finally:\n")
		if !isSteps && !isLast {
			continue
		}
		found++
		compile := compileSteps
		if isLast {
			list, compile = last, compileFinally
		}
		if _, errs := compile(t, deployment, list); len(errs) > 0 {
			t.Errorf("the guide shows steps that do not compile: %v\n%s", errs.ToAggregate(), block)
		}
	}
	if found < 5 {
		t.Errorf("%d lists of steps were found in the guide", found)
	}
}
