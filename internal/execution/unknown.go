package execution

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/egress"
)

// A call that may have been made, and of which the host does not say whether it was, is not made again. Its step waits until a person decides.

// lost is about a step of which nobody knows whether its call was made. No time ends that.
func (t *task) lost(why error) Outcome {
	t.status.State = v1alpha1.StepUnknown
	t.status.UnknownSince = &metav1.Time{Time: t.now.Truncate(time.Second)}
	t.status.Message = oneLine(fmt.Sprintf("it cannot be told whether %s was made: %v. It is not made again. Look there for the Idempotency-Key %s",
		t.callName(), why, t.step.HTTP.IdempotencyKey))
	return Outcome{Status: t.status}
}

// unanswered is about a call that had no answer when its time was over. Last is what kept it from being made when that was tried last. Nil: nothing, as far
// as is known here.
func (t *task) unanswered(ctx context.Context, last error) (Outcome, error) {
	state, result := t.calls.look(t.uid(), t.thisCall(), t.now)
	switch {
	case t.isUnsent():
		return t.neverMade(last), nil
	case state == callUnknown && result.Sent:
		return t.called(ctx, result) // it has rested since
	case t.isSafe():
		return t.fail("%s is over, and %s had no answer%s", t.limit.name, t.callName(), because(last)), nil
	}
	return t.uncertain(ctx, fmt.Errorf("%s is over, and it had no answer%s", t.limit.name, because(last)))
}

// neverMade ends a step whose call was never sent.
func (t *task) neverMade(last error) Outcome {
	if errors.Is(last, errNoRoom) {
		return t.fail("nothing was sent: %s is over, and %v", t.limit.name, last)
	}
	return t.fail("%s is over, and %s could not be made%s", t.limit.name, t.callName(), because(last))
}

// because adds a reason to a sentence, where there is one.
func because(err error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprintf(": %v", egress.WithoutURL(err))
}

// Resolve gives a step of which nobody knew how it ended the end that somebody has decided. Message says who, for people.
func Resolve(status *v1alpha1.StepStatus, outcome v1alpha1.StepOutcome, message string, now time.Time) {
	at := &metav1.Time{Time: now.Truncate(time.Second)}
	status.State, status.Message = v1alpha1.StepFailed, oneLine(message)
	if outcome == v1alpha1.StepSucceeded {
		status.State = v1alpha1.StepDone
	}
	status.ResolvedAt, status.FinishedAt = at, at
}

// undecided is how long the execution waited for people to decide how steps had ended. That counts against no timeout.
func undecided(record *v1alpha1.Record) time.Duration {
	var sum time.Duration
	for i := range record.Status.Steps {
		if s := &record.Status.Steps[i]; s.UnknownSince != nil && s.ResolvedAt != nil {
			sum += max(s.ResolvedAt.Sub(s.UnknownSince.Time), 0)
		}
	}
	return sum
}
