package plan

import (
	"strings"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// conditions says whether a step may be skipped, and what of a write nobody can know yet.
func (b bounds) conditions(step *v1alpha1.RenderedStep, late []v1alpha1.LateValue) []string {
	var lines []string
	if step.When != "" {
		lines = append(lines, cutTo("only when it holds then: "+quote(step.When, b.line/2), b.line))
	}
	if len(late) == 0 {
		return lines
	}
	places := make([]string, len(late))
	for i := range late {
		places[i] = b.pathText(segments(late[i].Path))
	}
	return append(lines, cutTo("Deferred: known once earlier steps have run: "+strings.Join(places, ", "), b.line))
}
