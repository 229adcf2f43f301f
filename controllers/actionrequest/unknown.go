package actionrequest

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/execution"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/visible"
)

// A step of which nobody knows whether it was done stops its request until somebody who holds the verb resolve decides: no time, and no
// cancellation, makes it known. After that the request goes on as if the step had ended so.

// unknown tells whether nobody knows how the step ended whose status is at the index.
func unknown(record *v1alpha1.Record, index int) bool {
	return index < len(record.Status.Steps) && record.Status.Steps[index].State == v1alpha1.StepUnknown
}

// becameUnknown stores that nobody knows how a step ended, and tells people. A plan step has failed then: nobody was asked, and nothing follows.
func (s *scope) becameUnknown(ctx context.Context, record *v1alpha1.Record, index int) (bool, error) {
	if status := &record.Status.Steps[index]; record.Spec.Purpose == v1alpha1.PurposePlan {
		execution.Resolve(status, v1alpha1.StepDidFail, status.Message, s.Clock.Now())
		return true, nil
	}
	if err := s.storeRecord(ctx, record); err != nil {
		return false, err
	}
	return s.undecided(ctx, record, index)
}

// undecided takes up what somebody has decided about a step, or waits for it. It tells whether more can be done now.
func (s *scope) undecided(ctx context.Context, record *v1alpha1.Record, index int) (bool, error) {
	status := &record.Status.Steps[index]
	if s.request.DeletionTimestamp != nil {
		// Nobody can decide any more, and the namespace must be able to go.
		execution.Resolve(status, v1alpha1.StepDidFail, status.Message+". The request was deleted before anybody decided", s.Clock.Now())
		return s.decided(ctx, record, index)
	}
	given, err := s.resolution(ctx, status.Name, nil)
	switch {
	case err != nil:
		return false, err
	case given == nil:
		// No object tells what nobody knows.
		s.Watcher.Forget(s.request.UID)
		s.showUnknown(record, status)
		return false, s.store(ctx)
	}
	text := fmt.Sprintf("%s decided that it %s: %s. Before: %s", visible.Inside(given.By.Username), verdictOn[given.Outcome], quote(given.Comment, 200), status.Message)
	execution.Resolve(status, given.Outcome, text, s.Clock.Now())
	goOn, err := s.decided(ctx, record, index)
	if err == nil {
		s.event(s.request, v1alpha1.ReasonResolved, fmt.Sprintf("Step %s: %s", status.Name, text))
	}
	return goOn, err
}

// verdictOn says in a sentence how a step ended.
var verdictOn = map[v1alpha1.StepOutcome]string{v1alpha1.StepSucceeded: "succeeded", v1alpha1.StepDidFail: "failed"}

// decided stores how a step ended. What comes next is told by that, also to a process that takes over right after.
func (s *scope) decided(ctx context.Context, record *v1alpha1.Record, index int) (bool, error) {
	status := &record.Status.Steps[index]
	s.stepped(record, &v1alpha1.StepStatus{State: v1alpha1.StepUnknown}, status)
	if err := s.storeRecord(ctx, record); err != nil {
		return false, err
	}
	return true, s.refresh(ctx)
}

// resolution is what somebody decided about a step, or about what is left of what is being taken back, who may, and what can be proved of it. Nil: nothing.
func (s *scope) resolution(ctx context.Context, step string, revert *v1alpha1.Revert) (*v1alpha1.Resolution, error) {
	for i := range s.request.Spec.Resolutions {
		given := &s.request.Spec.Resolutions[i]
		if given.Step != step || revert != nil && foresees(given, revert) {
			continue
		}
		envelope, err := s.Evidence.Resolution(s.request, given)
		if err == nil {
			err = s.mayResolve(ctx, given, revert != nil)
		}
		switch {
		case err == nil:
			return given, s.tell(audit.Resolved(s.request, given, envelope))
		case !evidence.Is(err):
			return nil, err
		case evidence.Of(err).Wait:
			return nil, fmt.Errorf("failed to verify what was decided about step %s: %w", step, err)
		}
		s.suspect(s.key(), types.UID(fmt.Sprintf("%s/%d", s.request.UID, i)), evidence.Of(err))
		logr.FromContextOrDiscard(ctx).Info("what was written about a step does not count", "step", step, "reason", err.Error())
	}
	return nil, nil //nolint:nilnil // that nobody has decided is an answer, not an error
}

// foresees tells whether a decision about what is left was given before anything was taken back: nobody could know then what would be left.
func foresees(given *v1alpha1.Resolution, revert *v1alpha1.Revert) bool {
	return given.Seal != nil && given.Seal.At.Time.Before(revert.StartedAt.Time)
}

// mayResolve tells whether who has decided was one who may, when they did. The seal says only that the first webhook was asked: where the one
// that judges was away, it holds for anybody.
func (s *scope) mayResolve(ctx context.Context, given *v1alpha1.Resolution, ofRevert bool) error {
	may := s.Gate.MayResolve
	if ofRevert {
		may = s.Gate.MayLeave
	}
	switch problem := may(ctx, gate.SubjectOf(s.request), &given.By, given.Seal.At.Time); {
	case problem == nil:
		return nil
	case problem.Transient:
		return fmt.Errorf("failed to tell whether %s may decide about step %s: %s", given.By.Username, given.Step, problem.Message)
	default:
		s.lookAgain() // what a Role says about it may not be known at the moment
		return &evidence.Error{Reason: problem.Reason, Message: problem.Message}
	}
}

// resolved gives the facts about what people decided, as far as it counts.
func (s *scope) resolved(ctx context.Context) []audit.Event {
	var facts []audit.Event
	for i := range s.request.Spec.Resolutions {
		given := &s.request.Spec.Resolutions[i]
		if envelope, err := s.Evidence.Resolution(s.request, given); err == nil && s.mayResolve(ctx, given, s.request.EndsRevert(&given.NewResolution)) == nil {
			facts = append(facts, audit.Resolved(s.request, given, envelope))
		}
	}
	return facts
}

// showUnknown shows what is not known, who can decide, and how.
func (s *scope) showUnknown(record *v1alpha1.Record, status *v1alpha1.StepStatus) {
	s.showExecution(record)
	who := s.Gate.WhoResolves(record.Spec.ActionRef)
	message := fmt.Sprintf("Step %s: %s. Whoever holds resolve decides (%s): kubectl signoff resolve -n %s %s --outcome=succeeded|failed --comment=\"…\"",
		status.Name, status.Message, who, s.request.Namespace, s.request.Name)
	if s.stopped() {
		message += ". Cancelled: no further step begins after that" + butLast(record)
	}
	s.waiting(v1alpha1.PhaseOutcomeUnknown, v1alpha1.ReasonOutcomeUnknown, message, gate.Cut("resolve step "+status.Name+": "+strings.TrimPrefix(who, "Who can: "), maxWaitingFor))
	s.condition(v1alpha1.ConditionStalled, true, v1alpha1.ReasonOutcomeUnknown, message)
}
