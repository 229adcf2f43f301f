package actionrequest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/steps"
	"github.com/signoff-dev/signoff/internal/visible"
)

const (
	// maxPlannedLines is about how many lines of what all plan steps gave are shown, and maxPlannedLine how long each may be.
	maxPlannedLines = 40
	maxPlannedLine  = 900
	// leastShare is how many lines an output has in any case: its name, one line, and how many more there are.
	leastShare = 3
)

// plannedOutput is something that a plan step gave, line by line.
type plannedOutput struct {
	name  string
	lines []string
}

// room is how many lines it takes to show all of it. What has one line stands beside its name.
func (o *plannedOutput) room() int {
	if len(o.lines) == 1 {
		return 1
	}
	return 1 + len(o.lines)
}

// plannedLines show what the plan steps gave.
func (s *scope) plannedLines() []string {
	if len(s.plannedSteps) == 0 {
		return nil
	}
	var outputs []plannedOutput
	err := steps.EachOutput(s.plannedSteps, func(step, name string, value any) {
		text, isText := value.(string)
		if !isText {
			text = valueText(value)
		}
		outputs = append(outputs, plannedOutput{name: step + "." + name, lines: strings.Split(strings.TrimRight(text, "\n"), "\n")})
	})
	if err != nil {
		return []string{"What the plan steps gave cannot be read: " + err.Error()}
	}
	plan := s.judgement.Action.Object.Spec.Execution.Plan
	first := fmt.Sprintf("The plan steps, as %s/%s, gave:", s.judgement.Action.Object.Namespace, plan.ServiceAccountName)
	return append([]string{first}, showPlanned(outputs, maxPlannedLines)...)
}

// showPlanned shows outputs in about so many lines. They come out of tools, so nothing in them may look like one of our own lines.
func showPlanned(outputs []plannedOutput, most int) []string {
	var out []string
	for i, room := range shares(outputs, most) {
		o := &outputs[i]
		shown := func(at int) string { return gate.Cut(visible.Inside(o.lines[at]), maxPlannedLine) }
		if len(o.lines) == 1 {
			out = append(out, fmt.Sprintf("  %s: %s", o.name, shown(0)))
			continue
		}
		out = append(out, fmt.Sprintf("  %s:", o.name))
		whole := len(o.lines)
		if room < o.room() {
			whole = room - 2 // for its name, and for how many more there are
		}
		for at := range whole {
			out = append(out, "  | "+shown(at))
		}
		if more := len(o.lines) - whole; more > 0 {
			out = append(out, fmt.Sprintf("  … and %d lines more: kubectl signoff show, or status.planning of the request", more))
		}
	}
	return out
}

// shares gives each output as many lines as it needs, where that leaves enough for the others, and else a fair share: so a long one has what short ones
// leave, and none pushes another out of sight.
func shares(outputs []plannedOutput, most int) []int {
	order := make([]int, len(outputs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(outputs[a].room(), outputs[b].room()) })
	out := make([]int, len(outputs))
	for done, at := range order {
		fair := max(most/(len(order)-done), leastShare)
		out[at] = min(outputs[at].room(), fair)
		most -= out[at]
	}
	return out
}
