package actionrequest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/execution"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/metrics"
	"github.com/signoff-dev/signoff/internal/visible"
)

// What a temporary request has done stays until its time is over, or it is cancelled or deleted; then it is taken back from the Record alone.
// No rule and no missing guard holds that up: giving back is always allowed.

// stays keeps what the steps of a temporary request have done for its time. Where they did not all succeed, it is taken back at once.
func (s *scope) stays(ctx context.Context, record *v1alpha1.Record, outcome v1alpha1.Outcome, message string) error {
	now := s.Clock.Now().Truncate(time.Second)
	if outcome == v1alpha1.OutcomeSucceeded {
		length, err := record.Spec.Duration.Value(0)
		if err != nil {
			return fmt.Errorf("failed to tell when what Record %s did is taken back: %w", record.Name, err)
		}
		until := metav1.NewTime(now.Add(length))
		record.Status.ActiveUntil = &until
		if err := s.storeRecord(ctx, record); err != nil {
			return err
		}
		s.event(s.request, v1alpha1.ReasonActive, fmt.Sprintf("All steps are done; it is taken back %s.", gate.Time(until.Time, now)))
		return nil
	}
	return s.takeBack(ctx, record, outcome, message)
}

// isTemporary tells whether an execution has done all it does, and its effect is to be taken back.
func isTemporary(record *v1alpha1.Record) bool {
	return record.Status.Outcome == "" && (record.Status.ActiveUntil != nil || record.Status.Revert != nil)
}

// temporary waits for the end of a temporary request, and takes back what it has done.
func (s *scope) temporary(ctx context.Context, record *v1alpha1.Record) error {
	s.objects.leave(s.key())
	if record.Status.Revert != nil {
		return s.revert(ctx, record)
	}
	until := record.Status.ActiveUntil.Time
	switch {
	case s.stopped():
		return s.endTime(ctx, record, s.stopText())
	case !s.now.Before(until):
		return s.endTime(ctx, record, fmt.Sprintf("Its time of %s was over.", record.Spec.Duration))
	}
	// What it did may change as it likes meanwhile.
	s.Watcher.Forget(s.request.UID)
	s.at(until)
	s.showActive(record, until)
	return s.store(ctx)
}

// endTime begins to take back what was done in full.
func (s *scope) endTime(ctx context.Context, record *v1alpha1.Record, why string) error {
	if err := s.takeBack(ctx, record, v1alpha1.OutcomeReverted, why); err != nil {
		return err
	}
	return s.revert(ctx, record)
}

// takeBack notes that what was done is to be taken back, and how the request ends then.
func (s *scope) takeBack(ctx context.Context, record *v1alpha1.Record, outcome v1alpha1.Outcome, why string) error {
	now := metav1.NewTime(s.Clock.Now().Truncate(time.Second))
	record.Status.Revert = &v1alpha1.Revert{StartedAt: now, Outcome: outcome, Message: gate.Cut(why, maxMessage)}
	return s.storeRecord(ctx, record)
}

// revert takes back what was done, as far as it can be at the moment.
func (s *scope) revert(ctx context.Context, record *v1alpha1.Record) error {
	reverted := s.Runner.Revert(ctx, record)
	given, err := s.mayStay(ctx, record, reverted)
	if err != nil {
		return err
	}
	over := len(reverted.Left) == 0 || given != nil && !s.now.Before(countsFrom(given, reverted))
	s.left.note(s.request.UID, !over)
	if !over {
		return s.notYet(ctx, record, reverted, given)
	}
	message, decision := backText(record, reverted), ""
	if given != nil {
		decision = leftText(given, reverted)
		// Why it was taken back, and what was not touched, is to be read as well.
		message = gate.Cut(decision, maxMessage/2) + " " + message
	}
	if err := s.finished(ctx, record, record.Status.Revert.Outcome, message); err != nil {
		return err
	}
	if given != nil {
		s.event(s.request, v1alpha1.ReasonResolved, decision)
	}
	return s.concluded(ctx, record)
}

// notYet shows what is left, and waits for the next attempt.
func (s *scope) notYet(ctx context.Context, record *v1alpha1.Record, reverted *execution.Reverted, given *v1alpha1.Resolution) error {
	s.showReverting(record, reverted, given)
	s.Watcher.Watch(s.request, record.Spec.ActionRef.Namespace, record.Spec.ServiceAccountName, reverted.Waiting)
	s.at(s.now.Add(pause(s.now.Sub(record.Status.Revert.StartedAt.Time))))
	if given != nil {
		s.at(countsFrom(given, reverted))
	}
	return s.store(ctx)
}

// mayStay is what somebody decided who may: that what is left is taken back by hand or may stay. Nil: nobody has.
func (s *scope) mayStay(ctx context.Context, record *v1alpha1.Record, reverted *execution.Reverted) (*v1alpha1.Resolution, error) {
	if len(reverted.Left) == 0 || record.Spec.RequestRef.UID != s.request.UID {
		return nil, nil //nolint:nilnil // that nobody has decided is an answer, not an error
	}
	given, err := s.resolution(ctx, v1alpha1.StepRevert, record.Status.Revert)
	if given == nil || err != nil || given.Outcome != v1alpha1.StepSucceeded {
		return nil, err
	}
	return given, nil
}

// countsFrom is from when on it counts that somebody decided that what is left may stay. They saw what was left then: what an API server that does not
// answer leaves now is something else, and may be gone with the next attempt. Zero: at once, whatever the clocks say.
func countsFrom(given *v1alpha1.Resolution, reverted *execution.Reverted) time.Time {
	if reverted.Transient == 0 {
		return time.Time{}
	}
	return given.Seal.At.Add(gate.LeavePatience)
}

// leftText says who decided that what is left may stay, and what that is.
func leftText(given *v1alpha1.Resolution, reverted *execution.Reverted) string {
	return fmt.Sprintf("%s decided that what is left is taken back by hand or may stay: %s. Left: %s.",
		visible.Inside(given.By.Username), quote(given.Comment, 200), strings.Join(reverted.Left, "; "))
}

// showStayed shows, of a temporary request that has ended, that something is left, and who let it stay. Every other end begins with why what was done is
// taken back, so that the Record alone tells, whenever it is found.
func (s *scope) showStayed(record *v1alpha1.Record) {
	if record.Status.Revert == nil {
		return
	}
	why := sentence(record.Status.Revert.Message)
	if !strings.HasPrefix(record.Status.Message, why[:min(len(why), maxMessage/2)]) { // the end of a long one is cut off
		s.condition(v1alpha1.ConditionReverted, false, v1alpha1.ReasonRevertFailed, record.Status.Message)
	}
}

// backText says why something was taken back, and what of it was not.
func backText(record *v1alpha1.Record, reverted *execution.Reverted) string {
	message := sentence(record.Status.Revert.Message)
	switch {
	case len(reverted.Left) > 0:
		message += " The rest is taken back."
	case wrote(record):
		message += " What was done is taken back."
	case len(record.Status.Undo) > 0:
		message += " Nothing that it wrote is left."
	default:
		message += " Nothing was written."
	}
	if len(reverted.Kept) > 0 {
		message += " Not touched: " + strings.Join(reverted.Kept, "; ") + "."
	}
	return message
}

// wrote tells whether a step has written anything, as far as its status says: that it has begun to is not enough.
func wrote(record *v1alpha1.Record) bool {
	return slices.ContainsFunc(record.Status.Steps, func(status v1alpha1.StepStatus) bool {
		return status.State == v1alpha1.StepDone || execution.Written(&status)
	})
}

// showActive shows until when what was done stays.
func (s *scope) showActive(record *v1alpha1.Record, until time.Time) {
	s.showExecution(record)
	message := fmt.Sprintf("All steps are done. It is taken back %s; cancel the request to take it back now.", gate.Time(until, s.now))
	s.waiting(v1alpha1.PhaseActive, v1alpha1.ReasonActive, message, "taken back "+gate.Time(until, s.now))
	s.condition(v1alpha1.ConditionExecuted, true, v1alpha1.ReasonActive, message)
	s.condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonActive, message)
}

// showReverting shows what is left, and who can end that, or has decided to.
func (s *scope) showReverting(record *v1alpha1.Record, reverted *execution.Reverted, given *v1alpha1.Resolution) {
	s.showExecution(record)
	reason := v1alpha1.ReasonReverting
	if len(reverted.Left) > len(reverted.Waiting) {
		reason = v1alpha1.ReasonRevertFailed
	}
	message := strings.Join(reverted.Left, "; ") + ". It is tried again until nothing is left."
	switch {
	case given != nil:
		message = gate.Cut(strings.Join(reverted.Left, "; "), maxMessage/2) + fmt.Sprintf(". %s decided that it may stay. It is tried again before that counts, %s at the latest, as it may be left for a moment only.",
			visible.Inside(given.By.Username), gate.Time(countsFrom(given, reverted), s.now))
	case reason == v1alpha1.ReasonRevertFailed:
		message = gate.Cut(message, maxMessage/2) + fmt.Sprintf(" Where it cannot be, whoever holds resolve, and has not asked for it, ends that (%s): kubectl signoff resolve -n %s %s --outcome=succeeded --comment=\"…\"",
			s.Gate.WhoResolves(record.Spec.ActionRef), s.request.Namespace, s.request.Name)
	}
	s.waiting(v1alpha1.PhaseReverting, reason, message, gate.Cut(reverted.Left[0], gate.ColumnWidth))
}

// left are the requests of which something was left when it was last tried to take it back.
type left struct {
	mu   sync.Mutex
	uids sets.Set[types.UID]
}

// note notes whether something of a request is left, and shows of how many something is.
func (l *left) note(uid types.UID, is bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.uids == nil {
		l.uids = sets.New[types.UID]()
	}
	if is {
		l.uids.Insert(uid)
	} else {
		l.uids.Delete(uid)
	}
	metrics.RevertsFailing(l.uids.Len())
}
