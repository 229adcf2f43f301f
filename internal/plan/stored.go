package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// MaxChanges is how many changes the API stores. The digest covers all of them all the same.
const MaxChanges = 64

// maxFields is how many fields all changes together show.
const maxFields = 512

// OperationRest is the operation that stands for the changes for which there is no room.
const OperationRest = "more"

// Stored are changes as the API stores them. Unread are the objects that nobody could look at.
func Stored(changes []v1alpha1.PlannedChange, unread []string) []v1alpha1.PlannedChange {
	if more := len(changes) - MaxChanges + 1; more > 1 {
		rest := v1alpha1.PlannedChange{Operation: OperationRest, Object: fmt.Sprintf("… and %d objects more, see the Action", more)}
		if !slices.ContainsFunc(changes[MaxChanges-1:], func(c v1alpha1.PlannedChange) bool { return slices.Contains(unread, c.Object) }) {
			rest.Basis = BasisOf(changes[MaxChanges-1:])
		}
		changes = append(changes[:MaxChanges-1:MaxChanges-1], rest)
	}
	for i := range changes {
		for j, line := range changes[i].Fields {
			changes[i].Fields[j] = cutTo(line, maxStored)
		}
	}
	return changes
}

// maxStored is how many characters of a line are stored.
const maxStored = 500

// warning begins a line that warns.
const warning = "WARNING: "

// WarningsFirst are lines of a change with those first that warn, for where not all of them can be shown.
func WarningsFirst(fields []string) []string {
	out := slices.Clone(fields)
	slices.SortStableFunc(out, func(a, b string) int { return warns(b) - warns(a) })
	return out
}

func warns(line string) int {
	if strings.HasPrefix(line, warning) {
		return 1
	}
	return 0
}

// linesFor is how many lines each change of these steps may have: all of them are stored in the request, in each Approval and in the Record, which the
// API server bounds.
func linesFor(steps []v1alpha1.RenderedStep) int {
	changes := 0
	for i := range steps {
		if steps[i].HTTP != nil {
			changes++
		}
		changes += len(steps[i].Writes)
	}
	return min(maxFields/max(min(changes, MaxChanges), 1), stored.lines)
}

// OwnFields names the fields of a copied container that a step sets itself.
func OwnFields(execution *v1alpha1.Execution, step string) []string {
	var own []string
	for _, candidate := range slices.Concat(execution.Steps, execution.Finally) {
		if candidate.Name != step || candidate.Job == nil {
			continue
		}
		if len(candidate.Job.Command) > 0 {
			own = append(own, "command", "args")
		}
		if len(candidate.Job.Args) > 0 {
			own = append(own, "args")
		}
	}
	return own
}
