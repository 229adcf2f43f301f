package plan

import (
	"slices"
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

// supposes says that a write is compared with what an earlier step makes that may be skipped, and notes where the step may be skipped itself.
func (d *describer) supposes(step *v1alpha1.RenderedStep, ref v1alpha1.ObjectReference) []string {
	var lines []string
	names := slices.DeleteFunc(slices.Clone(d.perhaps[ref]), func(name string) bool { return name == step.Name })
	if len(names) > 0 {
		lines = append(lines, cutTo("compared with what is there if these steps have run, which may be skipped: "+strings.Join(names, ", "), d.most.line))
	}
	if step.When != "" && !slices.Contains(d.perhaps[ref], step.Name) {
		d.perhaps[ref] = append(d.perhaps[ref], step.Name)
	}
	return lines
}
