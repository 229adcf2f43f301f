package actionrequest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/execution"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/metrics"
	"github.com/signoff-dev/signoff/internal/record"
	"github.com/signoff-dev/signoff/internal/visible"
)

// claimInTurn claims the execution of a request whose Action counts what was started before: everything is judged once more when it is the turn
// of this request, on facts as they are then, and nobody else who is counted starts in between. No Record: the request waits.
func (s *scope) claimInTurn(ctx context.Context) (*v1alpha1.Record, error) {
	if !s.turns.take(s.judgement.Action.Object.Namespace, s.key()) {
		s.at(s.now.Add(turnCheck))
		return nil, nil //nolint:nilnil // no Record is an answer, not an error
	}
	defer s.turns.leave(s.key())
	ctx, end := context.WithTimeout(ctx, turnWork)
	defer end()
	s.now = s.Clock.Now()
	ready, err := s.approach(gate.Live(ctx))
	if err != nil || !ready {
		return nil, err
	}
	// What would be written may be another object by now.
	if alone, err := s.alone(ctx); err != nil || !alone {
		return nil, errors.Join(err, s.store(ctx))
	}
	return s.claim(ctx)
}

// claim gives the Record that lets the execution begin. No Record: the request is over.
func (s *scope) claim(ctx context.Context) (*v1alpha1.Record, error) {
	if over, err := s.closeUndemanded(ctx); over || err != nil {
		return nil, err
	}
	if err := s.noneMissing(ctx); err != nil {
		return nil, err
	}
	if err := s.auditReady(); err != nil {
		return nil, err
	}
	if err := s.openReview(ctx); err != nil {
		return nil, err
	}
	if err := s.accounted(ctx); err != nil {
		return nil, err
	}
	record, err := s.createRecord(ctx)
	if err != nil {
		return nil, unrecorded(fmt.Errorf("failed to claim the execution of request %s/%s: %w", s.request.Namespace, s.request.Name, err))
	}
	logr.FromContextOrDiscard(ctx).Info("the request is executed", "action", s.request.Spec.ActionRef.String())
	return record, nil
}

// begin executes what was claimed.
func (s *scope) begin(ctx context.Context, record *v1alpha1.Record) error {
	if err := s.refresh(ctx); err != nil {
		return err
	}
	s.event(s.request, v1alpha1.ReasonExecuting, fmt.Sprintf("Started as %s/%s, digest %s.", record.Spec.ActionRef.Namespace, record.Spec.ServiceAccountName, short(record.Spec.Digest)))
	return s.proceed(ctx, record)
}

// createRecord creates the Record, or finds the one that an earlier attempt created. Creating it is the lock: whoever creates it executes,
// once. Where nobody can tell whether it was created, nobody else whose start depends on it gets a turn before that is known.
func (s *scope) createRecord(ctx context.Context) (*v1alpha1.Record, error) {
	record, err := s.newClaim(ctx)
	if err != nil {
		return nil, err
	}
	s.tried.Add(s.request.UID, true)
	err = s.Client.Create(ctx, record)
	s.claimed = err == nil || uncertain(err) || apierrors.IsAlreadyExists(err)
	switch {
	case err == nil:
		s.observe()
		s.Runner.Claimed(record)
		return record, nil
	case uncertain(err):
		s.turns.keep(s.key())
		return nil, err
	case !apierrors.IsAlreadyExists(err):
		return nil, err
	}
	return s.findRecord(ctx)
}

// observe notes how long people took to agree, once: whoever has created the Record is the first to start it.
func (s *scope) observe() {
	if !s.agreedAt.IsZero() {
		metrics.Approved(s.agreedAt.Sub(s.request.CreationTimestamp.Time))
	}
}

// findRecord finds the Record that is in the way of a claim: that of an earlier attempt, or that of an earlier request that was the same.
func (s *scope) findRecord(ctx context.Context) (*v1alpha1.Record, error) {
	own, earlier, err := s.ownRecord(ctx)
	switch {
	case err == nil && earlier != nil:
		return nil, s.repeats(ctx, earlier)
	case err == nil && own == nil:
		err = fmt.Errorf("the Record of request %s was there and is gone", s.key())
	}
	return own, err
}

// newClaim is the Record, sealed.
func (s *scope) newClaim(ctx context.Context) (*v1alpha1.Record, error) {
	record, err := s.newRecord(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Evidence.SealClaim(record, s.now); err != nil {
		return nil, fmt.Errorf("failed to seal the Record: %w", err)
	}
	return record, nil
}

// uncertain tells that a write may have been done, or may still be.
func uncertain(err error) bool {
	if tooLarge(err) {
		return false // etcd says so without taking it
	}
	return apierrors.ReasonForError(err) == metav1.StatusReasonUnknown || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) || apierrors.IsInternalError(err)
}

// resume takes an execution up again that began earlier.
func (s *scope) resume(ctx context.Context) error {
	record, err := s.record(ctx)
	if err != nil {
		return err
	}
	if record == nil {
		left := ""
		if s.temporaryRequest() {
			left = "It was temporary, and what it did may be left: look at what its plan names, and take it back by hand."
		}
		return s.endWith(ctx, ending{reason: v1alpha1.ReasonFailed, rejected: true,
			message: "The Record of this execution is gone, so nobody can tell what was done. Nothing more is executed."}, left)
	}
	return s.proceed(ctx, record)
}

// proceed does the next steps of a claimed execution, from the Record and nothing else.
func (s *scope) proceed(ctx context.Context, record *v1alpha1.Record) error {
	if err := s.started(ctx, record); err != nil {
		return s.unbelievable(ctx, record, err)
	}
	if record.Status.Outcome != "" {
		return s.concluded(ctx, record)
	}
	if record.Spec.Duration != "" {
		s.objects.lend(s.key(), s.request.UID, placesOf(record))
	}
	if isTemporary(record) {
		return s.temporary(ctx, record)
	}
	s.objects.hold(s.key(), placesOf(record))
	return s.work(ctx, record)
}

// work does as much of a claimed execution as can be done now.
func (s *scope) work(ctx context.Context, record *v1alpha1.Record) error {
	for record.Status.Outcome == "" && !isTemporary(record) {
		goOn, err := s.onward(ctx, record)
		if err != nil || !goOn {
			return err
		}
	}
	if isTemporary(record) {
		return s.temporary(ctx, record)
	}
	return s.concluded(ctx, record)
}

// onward does the next thing for a claimed execution. It tells whether more can be done now.
func (s *scope) onward(ctx context.Context, record *v1alpha1.Record) (bool, error) {
	if record.Status.Ending != nil {
		return s.last(ctx, record)
	}
	index := current(record)
	if failed(record, index-1) {
		return s.failedAt(ctx, record, index-1)
	}
	if index == len(record.Spec.Steps) {
		return s.endSteps(ctx, record, v1alpha1.OutcomeSucceeded, "")
	}
	if unknown(record, index) {
		return s.undecided(ctx, record, index)
	}
	switch outcome, why, err := s.stopsAt(ctx, record, index); {
	case err != nil:
		return false, err
	case outcome != "":
		return s.endSteps(ctx, record, outcome, why)
	}
	goOn, err := s.guardedStep(ctx, record, &record.Spec.Steps[index], index)
	if err != nil {
		return false, err
	}
	if failed(record, index) {
		return s.failedAt(ctx, record, index)
	}
	if goOn && index < len(record.Spec.Steps)-1 {
		err = s.refresh(ctx)
	}
	return goOn, err
}

// failed tells whether there is a step at the index, and has failed.
func failed(record *v1alpha1.Record, index int) bool {
	return index >= 0 && index < len(record.Status.Steps) && record.Status.Steps[index].State == v1alpha1.StepFailed
}

// failedAt ends the steps because one of them has failed. That it has is stored with the end, or was before, where somebody decided so.
func (s *scope) failedAt(ctx context.Context, record *v1alpha1.Record, index int) (bool, error) {
	return s.endSteps(ctx, record, v1alpha1.OutcomeFailed, fmt.Sprintf("step %s: %s", record.Spec.Steps[index].Name, record.Status.Steps[index].Message))
}

// endSteps ends the steps. Those of finally follow; without any, the execution has ended.
func (s *scope) endSteps(ctx context.Context, record *v1alpha1.Record, outcome v1alpha1.Outcome, message string) (bool, error) {
	if len(record.Spec.Finally) == 0 {
		return true, s.settle(ctx, record, outcome, message)
	}
	record.Status.Ending = &v1alpha1.Ending{Outcome: outcome, Message: gate.Cut(message, maxMessage)}
	return true, s.storeRecord(ctx, record)
}

// last does the next thing for the steps of finally. Nobody stops them, and that one fails changes nothing for the others.
func (s *scope) last(ctx context.Context, record *v1alpha1.Record) (bool, error) {
	begun, at := 0, len(record.Status.Steps)
	for i := range record.Status.Steps {
		if isLast(record, record.Status.Steps[i].Name) {
			begun++
		}
	}
	if at > 0 && open(&record.Status.Steps[at-1]) && begun > 0 {
		begun, at = begun-1, at-1
	}
	if begun == len(record.Spec.Finally) {
		return true, s.settle(ctx, record, record.Status.Ending.Outcome, ended(record))
	}
	if unknown(record, at) {
		return s.undecided(ctx, record, at)
	}
	goOn, err := s.guardedStep(ctx, record, &record.Spec.Finally[begun], at)
	if err == nil && at < len(record.Status.Steps) && record.Status.Steps[at].State == v1alpha1.StepFailed {
		return true, s.storeRecord(ctx, record)
	}
	return goOn, err
}

func isLast(record *v1alpha1.Record, name string) bool {
	return slices.ContainsFunc(record.Spec.Finally, func(step v1alpha1.RenderedStep) bool { return step.Name == name })
}

// ended says how the steps ended, and which of those of finally failed.
func ended(record *v1alpha1.Record) string {
	text := record.Status.Ending.Message
	for _, status := range record.Status.Steps {
		if status.State == v1alpha1.StepFailed && isLast(record, status.Name) {
			text = strings.TrimSpace(sentence(text) + fmt.Sprintf(" At the end, step %s failed: %s", status.Name, status.Message))
		}
	}
	return text
}

// current is the index of the step that is next, or that has begun and is not done.
func current(record *v1alpha1.Record) int {
	index := len(record.Status.Steps)
	if index > 0 && open(&record.Status.Steps[index-1]) {
		index--
	}
	return index
}

// open tells whether a step has begun and not ended.
func open(status *v1alpha1.StepStatus) bool {
	return status.State == v1alpha1.StepStarted || status.State == v1alpha1.StepUnknown
}

// stopsAt says how and why the steps end at the one of the index, which has not failed: somebody has cancelled them, or they have no valid request any
// more. Empty: they go on.
func (s *scope) stopsAt(ctx context.Context, record *v1alpha1.Record, index int) (v1alpha1.Outcome, string, error) {
	if s.stopped() {
		if safe, err := s.safePoint(ctx, record, index); safe || err != nil {
			return v1alpha1.OutcomeCancelled, s.stopText() + " " + s.doneSoFar(record, index), err
		}
	}
	why, err := s.void(ctx, record, index)
	if why == "" || err != nil {
		return "", "", err
	}
	return v1alpha1.OutcomeFailed, why, nil
}

// safePoint tells whether an execution may stop here: before a step, while a step has written everything and only waits, or while a call waits to
// be sent, or where a step could not be done so far. A Job that runs is not such a point, and neither is one that was created before the Record could say so.
func (s *scope) safePoint(ctx context.Context, record *v1alpha1.Record, index int) (bool, error) {
	step, status := &record.Spec.Steps[index], statusAt(record, index)
	if index == len(record.Status.Steps) || execution.OnlyWaits(&status) || execution.Uncreated(step, &status) {
		adrift, err := s.Runner.Adrift(ctx, record, step, status)
		return !adrift && err == nil, err
	}
	if s.Runner.Stoppable(record, step, status) {
		return true, nil
	}
	return s.Runner.Withdraw(record, step, &status), nil
}

// statusAt is how far the step at the index is.
func statusAt(record *v1alpha1.Record, index int) v1alpha1.StepStatus {
	if index == len(record.Status.Steps) {
		return v1alpha1.StepStatus{Name: record.Spec.Steps[index].Name}
	}
	return record.Status.Steps[index]
}

func (s *scope) doneSoFar(record *v1alpha1.Record, index int) string {
	step, status := &record.Spec.Steps[index], statusAt(record, index)
	switch {
	case s.Runner.Doubtful(record, step, status):
		return fmt.Sprintf("It stopped at step %s, and it cannot be told whether that was done: sending it was interrupted. Look at what it writes%s", step.Name, stays(record, "; earlier steps stay"))
	case execution.Written(&status):
		return hadDone(record, step)
	case index == 0 && status.Basis == "" && status.Attempts == 0:
		return "Nothing was executed."
	case status.Attempts > 0:
		return fmt.Sprintf("It stopped before another attempt of step %s%s", step.Name, stays(record, "; what was done stays"))
	}
	return fmt.Sprintf("It stopped before step %s%s", step.Name, stays(record, "; earlier steps stay"))
}

// hadDone says what a step had done that only waited.
func hadDone(record *v1alpha1.Record, step *v1alpha1.RenderedStep) string {
	switch {
	case step.HTTP != nil:
		return fmt.Sprintf("Step %s had made its call and was waiting for what that began; what the call did stays, and goes on there.", step.Name)
	case step.Writes[0].Operation == v1alpha1.WriteDelete:
		return fmt.Sprintf("Step %s had deleted its object and was waiting until that is gone; the deletion goes on.", step.Name)
	}
	return fmt.Sprintf("Step %s had written its objects and was waiting%s", step.Name, stays(record, "; what it wrote stays"))
}

// stays ends a sentence with what is left of an execution that was stopped. What a temporary one has done is taken back, which is said once that is done.
func stays(record *v1alpha1.Record, what string) string {
	if record.Spec.Duration != "" {
		return "."
	}
	return what + "."
}

// step does the next thing for one step, whose status is at the index. It tells whether more can be done now. That it failed is for the caller
// to store.
func (s *scope) step(ctx context.Context, record *v1alpha1.Record, step *v1alpha1.RenderedStep, index int) (bool, error) {
	fresh := index == len(record.Status.Steps)
	if fresh {
		record.Status.Steps = append(record.Status.Steps, v1alpha1.StepStatus{Name: step.Name})
		s.beginsStep(record, step.Name)
	}
	status := record.Status.Steps[index]
	outcome, err := s.Runner.Step(ctx, record, step, status)
	record.Status.Steps[index] = outcome.Status
	s.stepped(record, &status, &outcome.Status)
	// What a resume rests on must be stored: that the step began, and on what.
	changed := fresh || differs(&status, &outcome.Status)
	if err == nil {
		goOn, err := s.onwards(ctx, record, step, index, &outcome, changed)
		return goOn, s.unstorable(ctx, record, step, index, err)
	}
	err = fmt.Errorf("failed to run step %s of request %s/%s: %w", step.Name, s.request.Namespace, s.request.Name, err)
	return false, errors.Join(err, s.hindered(ctx, record, step, changed))
}

// hindered shows that a step cannot be done at the moment, and what keeps it from that: it is tried again without anybody, and people see why it takes so
// long.
func (s *scope) hindered(ctx context.Context, record *v1alpha1.Record, step *v1alpha1.RenderedStep, changed bool) error {
	if changed {
		if err := s.storeRecord(ctx, record); err != nil {
			return err
		}
	}
	s.showStep(record, step, nil)
	return s.store(ctx)
}

// unstorable shows of a step that how far it has come cannot be stored, where that is because the Record is too large: trying again mends nothing then, and
// people would not see why nothing goes on. It gives back the error.
func (s *scope) unstorable(ctx context.Context, record *v1alpha1.Record, step *v1alpha1.RenderedStep, index int, err error) error {
	if !tooLarge(err) {
		return err
	}
	status := &record.Status.Steps[index]
	status.State, status.FinishedAt = v1alpha1.StepStarted, nil // nothing else is known
	status.Message = gate.Cut("cannot go on: its Record has become too large to be stored: "+visible.Inside(err.Error()), maxMessage)
	s.showStep(record, step, nil)
	return errors.Join(err, s.store(ctx))
}

// tooLarge tells whether the API server takes an object for too large, or etcd does, for which the API server has no code of its own.
func tooLarge(err error) bool {
	return apierrors.IsRequestEntityTooLargeError(err) || err != nil && strings.Contains(err.Error(), "request is too large")
}

// showStep shows which step runs, of the plan or of the execution.
func (s *scope) showStep(record *v1alpha1.Record, step *v1alpha1.RenderedStep, objects []v1alpha1.ObjectReference) {
	if record.Spec.Purpose == v1alpha1.PurposePlan {
		s.showPlanning(record, step)
	} else {
		s.showExecuting(record, step, objects)
	}
}

// onwards does what comes after a step was looked at, and tells whether more can be done now.
func (s *scope) onwards(ctx context.Context, record *v1alpha1.Record, step *v1alpha1.RenderedStep, index int, outcome *execution.Outcome, changed bool) (bool, error) {
	switch state := outcome.Status.State; {
	case state == v1alpha1.StepFailed:
		return true, nil
	case state == v1alpha1.StepUnknown:
		return s.becameUnknown(ctx, record, index)
	case over(state) && index == len(record.Spec.Steps)-1 && len(record.Spec.Finally) == 0:
		return true, nil
	case over(state) || outcome.Intent:
		return true, s.storeRecord(ctx, record)
	}
	s.at(outcome.At)
	return false, s.await(ctx, record, step, changed, outcome.Waiting)
}

// differs tells whether a step has come to something that a resume rests on.
func differs(before, after *v1alpha1.StepStatus) bool {
	return before.Basis != after.Basis || before.Attempts != after.Attempts
}

// over tells that a step has ended, and not badly.
func over(state v1alpha1.StepState) bool {
	return state == v1alpha1.StepDone || state == v1alpha1.StepSkipped
}

// await leaves a step that waits for objects, and makes their changes wake the request.
func (s *scope) await(ctx context.Context, record *v1alpha1.Record, step *v1alpha1.RenderedStep, changed bool, objects []v1alpha1.ObjectReference) error {
	if changed {
		if err := s.storeRecord(ctx, record); err != nil {
			return err
		}
	}
	s.Watcher.Watch(s.request, record.Spec.ActionRef.Namespace, record.Spec.ServiceAccountName, objects)
	s.at(s.Runner.Deadline(record, step))
	s.showStep(record, step, objects)
	return s.store(ctx)
}

func (s *scope) storeRecord(ctx context.Context, record *v1alpha1.Record) error {
	record.Status.Revision++
	if err := s.Evidence.SealRecord(record, s.now); err != nil {
		return fmt.Errorf("failed to seal Record %s: %w", record.Name, err)
	}
	if err := s.Client.Status().Update(ctx, record); err != nil {
		return fmt.Errorf("failed to update the status of Record %s: %w", record.Name, err)
	}
	s.revisions.note(record)
	return nil
}

// settle writes how the steps ended to the Record. What those of a temporary request have done stays for its time, and is then taken back.
func (s *scope) settle(ctx context.Context, record *v1alpha1.Record, outcome v1alpha1.Outcome, message string) error {
	write := s.finished
	if record.Spec.Duration != "" && len(record.Status.Steps) > 0 {
		write = s.stays
	}
	if err := write(ctx, record, outcome, message); err != nil {
		return err
	}
	metrics.Executed(outcome, s.Clock.Now().Sub(record.Spec.ClaimedAt.Time))
	return nil
}

// finished writes how the execution ended to the Record.
func (s *scope) finished(ctx context.Context, record *v1alpha1.Record, outcome v1alpha1.Outcome, message string) error {
	finished := metav1.NewTime(s.Clock.Now().Truncate(time.Second))
	record.Status.Outcome, record.Status.Message, record.Status.FinishedAt = outcome, gate.Cut(message, maxMessage), &finished
	record.Status.ObservedGeneration = record.Generation
	return s.storeRecord(ctx, record)
}

// concluded brings the outcome from the Record to the request.
func (s *scope) concluded(ctx context.Context, record *v1alpha1.Record) error {
	s.showExecution(record)
	s.showStayed(record)
	end := ending{message: record.Status.Message, record: record}
	switch record.Status.Outcome {
	case v1alpha1.OutcomeSucceeded:
		end.reason, end.message = v1alpha1.ReasonSucceeded, strings.TrimSpace("All steps are done. "+end.message)
	case v1alpha1.OutcomeCancelled:
		end.reason = v1alpha1.ReasonCancelled
	case v1alpha1.OutcomeReverted:
		end.reason = v1alpha1.ReasonReverted
	case v1alpha1.OutcomeFailed, v1alpha1.OutcomeDenied, v1alpha1.OutcomeExpired:
		end.reason = v1alpha1.ReasonFailed
	}
	return s.end(ctx, record.Status.Outcome, end)
}

// duration is for how long the request lends what it does. Empty: for good.
func (s *scope) duration() v1alpha1.Duration {
	return gate.Duration(s.judgement.Action.Object, &s.request.Spec)
}

// until is until when the Record is needed: it is the lock, and as long as a request could run that says the same or was put back, or its seal
// counts, it must be there.
func (s *scope) until() *metav1.Time {
	end := s.request.Spec.ExpiresAt
	if end == nil {
		end = new(metav1.NewTime(s.expires().Truncate(time.Second)))
	}
	return new(metav1.NewTime(later(end.Time, &s.request.Spec.Seal.ExpiresAt)))
}

// restsOn is what was decided, and on what, without what did not count. It is explained anew: the status, which shows it too, could be written by somebody else.
func (s *scope) restsOn(ctx context.Context) *v1alpha1.Verdict {
	s.judgement.Explain(ctx)
	verdict := gate.VerdictStatus(s.judgement)
	verdict.EvaluatedAt, verdict.NextChange = metav1.NewTime(verdict.EvaluatedAt.Truncate(time.Second)), nil
	verdict.Rules = slices.DeleteFunc(verdict.Rules, func(rule v1alpha1.RuleResult) bool { return rule.Answer == v1alpha1.RuleNotApplicable })
	for i := range verdict.Rules {
		verdict.Rules[i].Differ = nil
	}
	return verdict
}

// newRecord is the claim: everything that is executed, and who let it.
func (s *scope) newRecord(ctx context.Context) (*v1alpha1.Record, error) {
	name, err := record.Name(s.request)
	if err != nil {
		return nil, err
	}
	action := s.judgement.Action.Object
	claim := &v1alpha1.Record{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.OperatorNamespace, Name: name},
		Spec: v1alpha1.RecordSpec{
			RequestRef: v1alpha1.RecordRequestReference{Namespace: s.request.Namespace, Name: s.request.Name, UID: s.request.UID},
			ActionRef:  s.request.Spec.ActionRef, Requester: *s.request.Spec.Requester, OnBehalfOf: s.request.Spec.OnBehalfOf,
			ServiceAccountName: action.Spec.Execution.ServiceAccountName,
			Digest:             s.plan.digest, ClaimedAt: evidence.Instant(s.now),
			Approvals: s.plan.approvedBy, Plan: s.plan.changes, Steps: s.plan.steps,
			Timeout: action.Spec.Execution.Timeout, Variables: s.plan.variables, Finally: s.plan.finally, Planned: s.plan.planned,
			Duration: s.duration(), Until: s.until(), Verdict: s.restsOn(ctx),
		},
	}
	claim.Spec.Review = recordedReview(s.emergency, s.request.Spec.Inputs)
	claim.Labels = record.Labels(&claim.Spec)
	claim.Labels[v1alpha1.LabelNonce] = s.request.Spec.Seal.Nonce
	return claim, nil
}
