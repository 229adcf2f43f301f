package actionrequest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/seal"
)

// Audit takes what happened, and says whether it can.
type Audit interface {
	audit.Taker
	// Delivered says why facts that were taken until an instant might be lost with the cluster: a receiver does not have them yet.
	Delivered(until time.Time) error
	// Ready says why nothing may be started: what would be done could not be written down.
	Ready() error
}

// auditDelay is how long a request waits before the audit log is tried again.
const auditDelay = 2 * time.Second

// codeDeleted says that a request was deleted before it started.
const codeDeleted = "Deleted"

// unauditedError says that facts could not be written.
type unauditedError struct{ cause error }

func (e *unauditedError) Error() string {
	return "the audit log cannot be written: " + strings.ReplaceAll(e.cause.Error(), "\n", "; ")
}

func (e *unauditedError) Unwrap() error { return e.cause }

// tell writes facts.
func (r *Reconciler) tell(facts ...audit.Event) error {
	if r.Audit == nil || len(facts) == 0 {
		return nil
	}
	if err := r.Audit.Write(facts...); err != nil {
		return &unauditedError{err}
	}
	return nil
}

// mention writes facts as soon as they are known. Where that fails, they are written before the request starts or ends: votes, and what
// people see, wait for no log.
func (r *Reconciler) mention(facts ...audit.Event) bool {
	return r.tell(facts...) == nil
}

// unaudited keeps a request that cannot start or end before the audit log takes what happened.
func (s *scope) unaudited(ctx context.Context, why *unauditedError) error {
	phase := s.before.Phase
	switch {
	case s.request.Status.Execution != nil:
		phase = v1alpha1.PhaseExecuting
	case phase == "":
		phase = v1alpha1.PhasePending
	}
	s.waiting(phase, v1alpha1.ReasonAuditUnavailable, "Waits: "+why.Error()+".", gate.Cut(why.Error(), gate.ColumnWidth))
	s.at(s.now.Add(auditDelay))
	return s.store(ctx)
}

// requested tells that a request was taken up. Its inputs are known once it has been judged.
func (s *scope) requested() []audit.Event {
	if s.Audit == nil || s.request.Status.Adoption == nil {
		return nil
	}
	request, err := s.Evidence.Request(s.request)
	if err != nil {
		return nil
	}
	adoption, err := s.Evidence.Adopted(s.request, request)
	if err != nil || adoption == nil {
		return nil
	}
	var resolved map[string]any
	if s.judgement != nil {
		resolved = s.judgement.Inputs
	}
	inputs, err := audit.NewInputs(resolved, s.AuditInputs)
	if err != nil {
		// What cannot be hashed could not have been sealed either.
		inputs = nil
	}
	return []audit.Event{audit.Requested(s.request, request, adoption, inputs, s.request.Spec.Seal.At.Time)}
}

// adoptedNow mentions that a request was taken up, before its status says so.
func (s *scope) adoptedNow() {
	if s.before.Adoption == nil {
		s.mention(s.requested()...)
	}
}

// openedNow mentions that an Approval was opened, before the status of the request names it.
func (s *scope) openedNow(approval *v1alpha1.Approval, root *seal.Envelope) {
	if s.Audit != nil {
		s.mention(audit.Opened(approval, root))
	}
}

// ballotFacts are what is known of an Approval that has been verified: that it was opened, its votes, and how it was closed. They are always given
// together, because votes are a chain in which none may be missing; what has been written is not written again.
// What a vote for somebody else rests on comes before it.
func (s *scope) ballotFacts(approval *v1alpha1.Approval, ballot *evidence.Ballot) []audit.Event {
	facts := []audit.Event{audit.Opened(approval, ballot.Root)}
	for i := range ballot.Votes {
		if d := s.Gate.DelegationOf(&approval.Spec.Votes[i]); d != nil {
			if envelope, err := s.Evidence.Delegation(d); err == nil {
				facts = append(facts, audit.Delegated(d, envelope))
			}
		}
		facts = append(facts, audit.Voted(approval, i, ballot.Votes[i]))
	}
	if isClosed(approval) && approval.Status.ClosedAt != nil {
		facts = append(facts, audit.Closed(approval, approval.Status.ClosedAt.Time))
	}
	return facts
}

func isClosed(approval *v1alpha1.Approval) bool {
	return approval.Status.State != "" && approval.Status.State != v1alpha1.ApprovalOpen
}

// voted mentions what is new on an Approval, before its status says how many votes were counted.
func (s *scope) voted(approval *v1alpha1.Approval, ballot *evidence.Ballot) {
	if s.Audit == nil {
		return
	}
	counted := 0
	if known := approval.Status.Seal; known != nil {
		counted = int(known.Votes)
	}
	if len(ballot.Votes) > counted || isClosed(approval) {
		s.mention(s.ballotFacts(approval, ballot)...)
	}
}

// closedNow mentions that an Approval was closed, before the request goes on from it, and tells whether it was written.
func (s *scope) closedNow(approval *v1alpha1.Approval, ballot *evidence.Ballot) bool {
	if s.Audit == nil || ballot == nil {
		return true
	}
	written := s.mention(s.ballotFacts(approval, ballot)...)
	if written {
		s.told.Add(approval.UID, true)
	} else {
		s.told.Remove(approval.UID)
	}
	return written
}

// accounted makes sure that everything which led to the start or to the end of a request is in the audit log. It is nearly always.
func (s *scope) accounted(ctx context.Context) error {
	if s.Audit == nil {
		return nil
	}
	if err := s.tell(s.requested()...); err != nil {
		return err
	}
	for _, opened := range s.openedApprovals() {
		if _, done := s.told.Get(opened.UID); done {
			continue
		}
		if err := s.accountedApproval(ctx, opened); err != nil {
			return err
		}
	}
	return nil
}

func (s *scope) accountedApproval(ctx context.Context, opened v1alpha1.OpenedApproval) error {
	approval := &v1alpha1.Approval{}
	key := types.NamespacedName{Namespace: s.request.Namespace, Name: opened.Name}
	if err := s.Reader.Get(ctx, key, approval); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil
		}
		return fmt.Errorf("failed to get Approval %s: %w", key, err)
	}
	ballot, err := s.ballot(approval)
	if approval.UID != opened.UID || err != nil {
		// It proves nothing, and why is told where the request ends for it.
		return nil //nolint:nilerr // see above
	}
	if err := s.tell(s.ballotFacts(approval, ballot)...); err != nil {
		return err
	}
	if isClosed(approval) {
		s.told.Add(opened.UID, true)
	}
	return nil
}

// auditReady says why what would be done could not be written down.
func (s *scope) auditReady() error {
	if s.Audit == nil {
		return nil
	}
	if err := s.Audit.Ready(); err != nil {
		return &unauditedError{err}
	}
	return nil
}

// started tells that an execution began, before its first step does. Its Record is verified first.
func (s *scope) started(ctx context.Context, record *v1alpha1.Record) error {
	envelope, err := s.Evidence.Record(record)
	if err != nil {
		return fmt.Errorf("failed to verify Record %s: %w", record.Name, err)
	}
	if err := s.asWritten(ctx, record); err != nil {
		return err
	}
	if record.Status.Outcome == "" && len(record.Status.Steps) == 0 {
		if err := s.tell(audit.Started(record, envelope)); err != nil {
			return err
		}
	}
	s.mention(s.stopFacts()...)
	return nil
}

// stopFacts are who wanted an execution stopped, or what was lent given back. The Record says only how that ended.
func (s *scope) stopFacts() []audit.Event {
	if s.Audit == nil || s.request.Spec.Cancellation == nil {
		return nil
	}
	return []audit.Event{audit.Stopping(s.cancelFact("Cancelled by somebody while it was executed."))}
}

// beginsStep mentions that a step begins, before it does anything.
func (s *scope) beginsStep(record *v1alpha1.Record, name string) {
	now := metav1.NewTime(s.Clock.Now().Truncate(time.Second))
	s.stepped(record, &v1alpha1.StepStatus{}, &v1alpha1.StepStatus{Name: name, State: v1alpha1.StepStarted, StartedAt: &now})
}

// stepped mentions how far a step has come, before the Record says so.
func (s *scope) stepped(record *v1alpha1.Record, before, step *v1alpha1.StepStatus) {
	if s.Audit != nil && step.State != before.State {
		s.mention(stepFact(record, step))
	}
}

func stepFact(record *v1alpha1.Record, step *v1alpha1.StepStatus) audit.Event {
	at := step.FinishedAt
	if at == nil {
		at = step.StartedAt
	}
	if at == nil {
		at = &metav1.Time{Time: record.Spec.ClaimedAt.Time}
	}
	return audit.Stepped(record, step, at.Time)
}

// executed tells all of an execution that has ended.
func (s *scope) executed(ctx context.Context, record *v1alpha1.Record) error {
	if s.Audit == nil {
		return nil
	}
	envelope, err := s.Evidence.Record(record)
	if err != nil {
		return fmt.Errorf("failed to verify Record %s: %w", record.Name, err)
	}
	facts := append(s.stopFacts(), s.resolved(ctx)...)
	for i := range record.Status.Steps {
		facts = append(facts, stepFact(record, &record.Status.Steps[i]))
	}
	at := s.now
	if record.Status.FinishedAt != nil {
		at = record.Status.FinishedAt.Time
	}
	return s.tell(append(facts, audit.Finished(record, envelope, at))...)
}

// ended tells how a request ends, before its status says so, and all that led there.
func (s *scope) ended(ctx context.Context, outcome v1alpha1.Outcome, end ending) error {
	if s.Audit == nil {
		return nil
	}
	if err := s.accounted(ctx); err != nil {
		return err
	}
	if end.fact != nil {
		return s.tell(append(s.stopFacts(), *end.fact)...)
	}
	if end.record != nil {
		return s.executed(ctx, end.record)
	}
	return s.tell(s.endFact(outcome, end))
}

// endFact is how a request ends of which nothing was executed, or nothing that could be proved.
func (s *scope) endFact(outcome v1alpha1.Outcome, end ending) audit.Event {
	switch {
	case outcome == v1alpha1.OutcomeDenied:
		return audit.Denied(s.request, end.message, s.now)
	case outcome == v1alpha1.OutcomeExpired:
		return audit.Expired(s.request, end.message, s.now)
	case outcome == v1alpha1.OutcomeCancelled && s.request.Spec.Cancellation == nil:
		return audit.Withdrawn(s.request, codeDeleted, end.message, s.now)
	case outcome == v1alpha1.OutcomeCancelled:
		return s.cancelFact("Cancelled by somebody. Nothing was executed.")
	case end.rejected:
		return audit.Rejected(s.request, end.reason, end.message, s.now)
	}
	return audit.RequestFailed(s.request, end.reason, end.message, s.now)
}

// cancelFact is who cancelled, or what stands in their place where nobody can tell.
func (s *scope) cancelFact(otherwise string) audit.Event {
	envelope, err := s.Evidence.Cancellation(s.request)
	if err != nil {
		return audit.Withdrawn(s.request, evidence.Of(err).Reason, otherwise, s.now)
	}
	return audit.Cancelled(s.request, envelope, s.request.Spec.Cancellation.Seal.At.Time)
}

// tellBallot tells what is known of an Approval that has been verified.
func (s *scope) tellBallot(approval *v1alpha1.Approval, ballot *evidence.Ballot) error {
	if s.Audit == nil {
		return nil
	}
	return s.tell(s.ballotFacts(approval, ballot)...)
}

// asUnaudited gives the error that says that facts could not be written, or nil.
func asUnaudited(err error) *unauditedError {
	var e *unauditedError
	if errors.As(err, &e) {
		return e
	}
	return nil
}
