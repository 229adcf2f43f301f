package execution

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/steps"
)

// defaultTimeout is how long all steps together may take where the Record does not say.
const defaultTimeout = 30 * time.Minute

// limit is when a step times out, and by what, in words.
type limit struct {
	end  time.Time
	name string
}

// limitOf is the earlier end of execution.timeout, which counts from the claim, and the timeout of the step, which counts from when
// the step began. The time in which somebody had to decide how an earlier step ended does not count. A timeout that cannot be read counts as the default one, never as none.
func limitOf(record *v1alpha1.Record, step *v1alpha1.RenderedStep, startedAt *metav1.Time) limit {
	whole, err := record.Spec.Timeout.Value(defaultTimeout)
	if err != nil {
		whole = defaultTimeout
	}
	if slices.ContainsFunc(record.Spec.Finally, func(f v1alpha1.RenderedStep) bool { return f.Name == step.Name }) {
		return limitOfLast(step, startedAt)
	}
	out := limit{end: record.Spec.ClaimedAt.Add(whole + undecided(record)), name: fmt.Sprintf("execution.timeout (%s)", whole)}
	own, err := step.Timeout.Value(0)
	if err != nil || own <= 0 || startedAt == nil {
		return out
	}
	if end := startedAt.Add(own); end.Before(out.end) {
		return limit{end: end, name: fmt.Sprintf("the timeout of the step (%s)", own)}
	}
	return out
}

// limitOfLast is the end of a step of finally, which has time of its own.
func limitOfLast(step *v1alpha1.RenderedStep, startedAt *metav1.Time) limit {
	own, err := step.Timeout.Value(steps.LastTimeout)
	if err != nil || own <= 0 {
		own = steps.LastTimeout
	}
	if startedAt == nil {
		return limit{end: time.Unix(1<<40, 0), name: "its time"}
	}
	return limit{end: startedAt.Add(own), name: fmt.Sprintf("the timeout of the step (%s)", own)}
}

// Deadline is when a step times out: call Step again then, even if nothing changes.
func (r *Runner) Deadline(record *v1alpha1.Record, step *v1alpha1.RenderedStep) time.Time {
	for i := range record.Status.Steps {
		if status := &record.Status.Steps[i]; status.Name == step.Name {
			return limitOf(record, step, status.StartedAt).end
		}
	}
	return limitOf(record, step, nil).end
}
