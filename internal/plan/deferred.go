package plan

import (
	"slices"
	"strings"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// conditions says whether a step runs at the end, whether it may be skipped, and what of a write nobody can know yet.
func (d *describer) conditions(step *v1alpha1.RenderedStep, late []v1alpha1.LateValue) []string {
	var lines []string
	if slices.ContainsFunc(d.view.Finally, func(last v1alpha1.RenderedStep) bool { return last.Name == step.Name }) {
		lines = append(lines, "at the end, also where another step fails")
	}
	if step.When != "" {
		lines = append(lines, cutTo("only when it holds then: "+quote(step.When, d.most.line/2), d.most.line))
	}
	if len(late) == 0 {
		return lines
	}
	places := make([]string, len(late))
	for i := range late {
		places[i] = d.most.pathText(segments(late[i].Path))
	}
	return append(lines, cutTo("Deferred: known once earlier steps have run: "+strings.Join(places, ", "), d.most.line))
}

// supposes says that a write is compared with what an earlier step makes that may be skipped, and notes where the step may be skipped itself.
func (d *describer) supposes(step *v1alpha1.RenderedStep, ref v1alpha1.ObjectReference) []string {
	var lines, names []string
	for _, other := range append(d.gone[:len(d.gone):len(d.gone)], ref) {
		for _, name := range d.perhaps[other] {
			if holds(other, ref) && name != step.Name && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) > 0 {
		lines = append(lines, cutTo("compared with what is there if these steps have run, which may be skipped: "+strings.Join(names, ", "), d.most.line))
	}
	if step.When != "" && !slices.Contains(d.perhaps[ref], step.Name) {
		d.perhaps[ref] = append(d.perhaps[ref], step.Name)
	}
	return lines
}
