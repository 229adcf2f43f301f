package actionrequest

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/digest"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/execution"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/steps"
)

// Plan steps run before anybody is asked, once the rules let the request come so far. Each run has a Record, like an execution, so that what a crash may
// do to it is the same. What they gave is in the digest. They run again when they would be others now, or when what they gave has expired.

// planned runs the plan steps of the Action, and tells whether they are done. Where there are none, they are.
func (s *scope) planned(ctx context.Context) (done bool, err error) {
	s.plannedSteps, s.afterPlan = nil, nil
	if s.judgement.Action.Steps.Plan() == nil {
		return true, nil
	}
	record, err := s.planRecord(ctx)
	if err != nil {
		return false, err
	}
	if record != nil {
		if _, err := s.Evidence.Record(record); err != nil {
			return false, s.unbelievable(ctx, record, err)
		}
		if record.Status.Outcome == "" {
			return s.runPlan(ctx, record)
		}
		over, problem := s.planIsOver(ctx, record)
		switch {
		case problem != nil:
			return false, s.hold(ctx, problem)
		case !over:
			return s.usePlan(ctx, record)
		}
	}
	return s.beginPlan(ctx)
}

// planRecord is the Record of the last run. Nil: there is none.
func (s *scope) planRecord(ctx context.Context) (*v1alpha1.Record, error) {
	if s.request.Status.Planning == nil {
		return nil, nil //nolint:nilnil // no Record is an answer, not an error
	}
	record, key := &v1alpha1.Record{}, types.NamespacedName{Namespace: s.OperatorNamespace, Name: s.request.Status.Planning.Record}
	if err := s.Reader.Get(ctx, key, record); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if record.Spec.RequestRef.UID != s.request.UID || record.Spec.Purpose != v1alpha1.PurposePlan {
		return nil, nil //nolint:nilnil // it is somebody else's
	}
	return record, nil
}

// planName is the name of the Record of a run.
func (s *scope) planName(round int32) string {
	if round == 1 {
		return string(s.request.UID) + "-plan"
	}
	return fmt.Sprintf("%s-plan-%d", s.request.UID, round)
}

// planIsOver tells whether the plan steps would be others now, or what they gave has expired.
func (s *scope) planIsOver(ctx context.Context, record *v1alpha1.Record) (bool, *gate.Problem) {
	now, problem := s.newPlan(ctx, s.request.Status.Planning.Round)
	if problem != nil {
		return false, problem
	}
	until, err := s.validUntil(record)
	if err != nil {
		return false, s.indeterminate(ctx, err)
	}
	return now.Spec.Digest != record.Spec.Digest || until != nil && !s.now.Before(until.Time), nil
}

// validUntil is how long what a run gave holds. Nil: as long as the request waits. The status shows it, and nobody believes that.
func (s *scope) validUntil(record *v1alpha1.Record) (*metav1.Time, error) {
	validFor := s.judgement.Action.Object.Spec.Execution.Plan.ValidFor
	if validFor == "" || record.Status.FinishedAt == nil {
		return nil, nil //nolint:nilnil // no end is an answer, not an error
	}
	length, err := validFor.Value(0)
	if err != nil {
		return nil, fmt.Errorf("failed to tell how long the plan holds: %w", err)
	}
	return &metav1.Time{Time: record.Status.FinishedAt.Add(length)}, nil
}

// newPlan is the Record of a run of the plan steps as they are now.
func (s *scope) newPlan(ctx context.Context, round int32) (*v1alpha1.Record, *gate.Problem) {
	action, plan := s.judgement.Action.Object, s.judgement.Action.Steps.Plan()
	account := action.Spec.Execution.Plan.ServiceAccountName
	input, _, problem := s.gather(ctx, plan, account)
	if problem != nil {
		return nil, problem
	}
	input.Round = round
	rendered, problem := s.render(ctx, plan, input)
	if problem != nil {
		return nil, problem
	}
	variables, err := plan.Variables(*input)
	if err != nil {
		return nil, s.indeterminate(ctx, err)
	}
	sum, err := digest.Of(s.judgement.Covered(s.request, rendered, nil, nil))
	if err != nil {
		return nil, s.indeterminate(ctx, err)
	}
	return &v1alpha1.Record{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.OperatorNamespace, Name: s.planName(round), Labels: map[string]string{v1alpha1.LabelNonce: s.request.Spec.Seal.Nonce},
		},
		Spec: v1alpha1.RecordSpec{
			RequestRef: v1alpha1.RecordRequestReference{Namespace: s.request.Namespace, Name: s.request.Name, UID: s.request.UID},
			ActionRef:  s.request.Spec.ActionRef, Purpose: v1alpha1.PurposePlan, Requester: *s.request.Spec.Requester,
			ServiceAccountName: account, Digest: sum, ClaimedAt: evidence.Instant(s.now),
			Steps: rendered, Timeout: action.Spec.Execution.Plan.Timeout, Variables: variables, Verdict: s.restsOn(ctx),
		},
	}, nil
}

// beginPlan begins the next run.
func (s *scope) beginPlan(ctx context.Context) (bool, error) {
	if missing := s.Guard.InForce(); missing != nil {
		return false, s.unguarded(ctx, missing)
	}
	if err := s.auditReady(); err != nil {
		return false, err
	}
	round := int32(1)
	if s.request.Status.Planning != nil {
		round = s.request.Status.Planning.Round + 1
	}
	record, problem := s.newPlan(ctx, round)
	if problem != nil {
		return false, s.hold(ctx, problem)
	}
	if err := s.Evidence.SealClaim(record, s.now); err != nil {
		return false, fmt.Errorf("failed to seal Record %s: %w", record.Name, err)
	}
	err := s.Client.Create(ctx, record)
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return false, unrecorded(fmt.Errorf("failed to begin the plan of request %s/%s: %w", s.request.Namespace, s.request.Name, err))
	}
	s.request.Status.Planning = &v1alpha1.Planning{Record: record.Name, Round: round}
	if err != nil {
		// An earlier attempt created it, and ended before the status could say so.
		return false, s.store(ctx)
	}
	s.Runner.Claimed(record)
	s.event(s.request, v1alpha1.ReasonPlanning, fmt.Sprintf("Plan steps run as %s/%s.", record.Spec.ActionRef.Namespace, record.Spec.ServiceAccountName))
	return s.runPlan(ctx, record)
}

// runPlan does as much of a run as can be done now.
func (s *scope) runPlan(ctx context.Context, record *v1alpha1.Record) (bool, error) {
	for i := current(record); i < len(record.Spec.Steps); i = current(record) {
		if unknown(record, i) {
			return false, s.planEnds(ctx, record, v1alpha1.OutcomeFailed, fmt.Sprintf("plan step %s: %s", record.Status.Steps[i].Name, record.Status.Steps[i].Message))
		}
		begun := i < len(record.Status.Steps) && execution.Begun(&record.Status.Steps[i])
		if missing := s.Guard.InForce(); missing != nil && !begun {
			if i < len(record.Status.Steps) {
				// A call that still waits for its turn is not sent meanwhile.
				s.Runner.Withdraw(record, &record.Spec.Steps[i], &record.Status.Steps[i])
			}
			return false, s.unguarded(ctx, missing)
		}
		goOn, err := s.step(ctx, record, &record.Spec.Steps[i], i)
		if err != nil || !goOn {
			return false, err
		}
		if step := &record.Status.Steps[i]; step.State == v1alpha1.StepFailed {
			return false, s.planEnds(ctx, record, v1alpha1.OutcomeFailed, fmt.Sprintf("plan step %s: %s", step.Name, step.Message))
		}
	}
	return false, s.planEnds(ctx, record, v1alpha1.OutcomeSucceeded, "")
}

// planEnds writes how a run ended, and looks at the request again.
func (s *scope) planEnds(ctx context.Context, record *v1alpha1.Record, outcome v1alpha1.Outcome, message string) error {
	if err := s.finished(ctx, record, outcome, message); err != nil {
		return err
	}
	s.rest()
	s.request.Status.Planning.Steps = record.Status.Steps
	s.waiting(v1alpha1.PhasePending, v1alpha1.ReasonPlanning, "The plan steps are done.", "")
	return s.store(ctx)
}

// rest ends what ran for plan steps: the request may wait for people for days.
func (s *scope) rest() {
	s.Watcher.Forget(s.request.UID)
	s.Runner.Forget(s.request.UID)
}

// usePlan takes what a run gave. One that failed ends the request: nobody can be shown what they would agree to.
func (s *scope) usePlan(ctx context.Context, record *v1alpha1.Record) (bool, error) {
	if record.Status.Outcome != v1alpha1.OutcomeSucceeded {
		ends := " Nobody was asked, and nothing was executed."
		if s.before.Digest != "" {
			ends = " Nothing was executed." // people may have agreed to what an earlier run gave
		}
		return false, s.finish(ctx, v1alpha1.OutcomeFailed, ending{reason: v1alpha1.ReasonPlanFailed, message: capital(sentence(record.Status.Message)) + ends})
	}
	until, err := s.validUntil(record)
	if err != nil {
		return false, s.hold(ctx, s.indeterminate(ctx, err))
	}
	if until != nil {
		// Nobody may look for days. What has expired is made again whenever something happens, such as a vote, and by itself ever less often.
		s.at(later(record.Status.FinishedAt.Add(pause(s.now.Sub(s.request.CreationTimestamp.Time))), until))
	}
	s.request.Status.Planning.Steps, s.request.Status.Planning.ValidUntil = record.Status.Steps, until
	s.plannedSteps = steps.Planned(record.Spec.Steps, record.Status.Steps)
	before, statuses := steps.AfterPlan(s.plannedSteps)
	if s.afterPlan, err = steps.NewEarlier(before, statuses, ""); err != nil {
		return false, s.hold(ctx, s.indeterminate(ctx, err))
	}
	return true, nil
}

// capital begins a text with a capital.
func capital(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// planRuns names the Job of a plan step that still runs when its request ends, and how to end it. Empty: there is none, or it cannot be told.
func (s *scope) planRuns(ctx context.Context) string {
	record, err := s.planRecord(ctx)
	if err != nil || record == nil || record.Status.Outcome != "" {
		return ""
	}
	if _, err := s.Evidence.Record(record); err != nil {
		return ""
	}
	index := current(record)
	if index >= len(record.Status.Steps) || index >= len(record.Spec.Steps) {
		return ""
	}
	job := execution.RunningJob(&record.Spec.Steps[index], &record.Status.Steps[index])
	if job == nil {
		return ""
	}
	return fmt.Sprintf(" Job %s/%s of plan step %s still runs, and what it gives is not used: kubectl delete -n %s job/%s",
		job.Namespace, job.Name, record.Spec.Steps[index].Name, job.Namespace, job.Name)
}

// dropPlan ends a run that nobody needs any more. A Job of it that runs is not stopped.
func (s *scope) dropPlan(ctx context.Context) error {
	record, err := s.planRecord(ctx)
	if err != nil || record == nil {
		return err
	}
	return s.endPlan(ctx, record)
}

// endPlan ends a run whose request has ended, or is gone.
func (s *scope) endPlan(ctx context.Context, record *v1alpha1.Record) error {
	if record.Status.Outcome != "" {
		return nil
	}
	if _, err := s.Evidence.Record(record); err != nil {
		return nil //nolint:nilerr // nobody acts on a Record that somebody else has written
	}
	s.rest()
	return s.finished(ctx, record, v1alpha1.OutcomeCancelled, "The request ended before.")
}

// showPlanning shows which plan step runs and what is waited for.
func (s *scope) showPlanning(record *v1alpha1.Record, step *v1alpha1.RenderedStep) {
	s.request.Status.Planning.Steps = record.Status.Steps
	s.waiting(v1alpha1.PhasePending, v1alpha1.ReasonPlanning, runningText(record, step), "plan step "+step.Name)
}
