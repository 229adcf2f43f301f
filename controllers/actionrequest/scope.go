package actionrequest

import (
	"context"
	"errors"
	"fmt"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/decision"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/metrics"
	"github.com/signoff-dev/signoff/internal/seal"
	"github.com/signoff-dev/signoff/internal/steps"
	"github.com/signoff-dev/signoff/internal/visible"
)

// scope is one reconciliation of one request.
type scope struct {
	*Reconciler
	// request is the request; its status is what will be written. before is its status as read.
	request *v1alpha1.ActionRequest
	before  v1alpha1.ActionRequestStatus
	now     time.Time
	// judgement is set by judge, and plan by prepare.
	judgement *gate.Judgement
	plan      *preparation
	// sealed is the envelope of the request, once it has been verified. readopt says that its Approvals have changed since it was adopted.
	sealed  *seal.Envelope
	readopt bool
	// claimed says that there is a Record, or may be one.
	claimed bool
	// plannedSteps is what the plan steps gave, and afterPlan what that tells the steps after them. Nil: there are none.
	plannedSteps []v1alpha1.PlannedStep
	afterPlan    *steps.Earlier
	// agreedAt is when the last of those agreed who had to. Zero: nobody had to.
	agreedAt time.Time
	// emergency is the review that was opened before the claim. Nil: none is needed.
	emergency *v1alpha1.Approval
	// orphan says that the request is gone and only its review is still to be done.
	orphan bool
	// closed are the Approvals that this reconciliation has closed; the cache may not know yet.
	closed map[string]bool
	// voided are the votes that this reconciliation found to be about something else by now, and differs is how that differs.
	voided, differs []string
	// wake is the next instant at which something must be done. Zero: an event will come.
	wake time.Time
}

func (r *Reconciler) newScope(request *v1alpha1.ActionRequest) *scope {
	request = request.DeepCopy()
	return &scope{Reconciler: r, request: request, before: *request.Status.DeepCopy(), now: r.Clock.Now(), closed: map[string]bool{}}
}

func (s *scope) key() types.NamespacedName { return client.ObjectKeyFromObject(s.request) }

// run does the next thing, and says after which time to look again. Zero: an event will come.
func (s *scope) run(ctx context.Context) (time.Duration, error) {
	err := s.next(ctx)
	if evidence.Is(err) {
		err = s.unproven(ctx, err)
	}
	if unaudited := asUnaudited(err); unaudited != nil {
		err = s.unaudited(ctx, unaudited)
	}
	if vote, ok := errors.AsType[*gate.Unjudged](err); ok {
		err = s.unjudged(ctx, vote)
	}
	if unread, ok := errors.AsType[*unreadError](err); ok {
		err = s.blind(ctx, unread)
	}
	if refused, ok := errors.AsType[*unrecordedError](err); ok {
		err = s.unstored(ctx, refused)
	}
	if err != nil {
		return 0, err
	}
	if s.request.Status.Outcome != "" {
		return 0, nil
	}
	return s.wait(), nil
}

// wait is after which time to look again. Zero: an event will come.
func (s *scope) wait() time.Duration {
	if s.wake.IsZero() {
		return 0
	}
	return max(s.wake.Sub(s.Clock.Now()), time.Millisecond)
}

func (s *scope) next(ctx context.Context) error {
	switch {
	case s.request.Status.Outcome != "":
		return s.release(ctx)
	case s.request.Status.Execution != nil:
		return s.resume(ctx)
	case s.request.DeletionTimestamp != nil:
		return s.deleted(ctx)
	case s.request.Spec.Cancellation != nil:
		return s.cancelled(ctx)
	}
	switch begun, err := s.begun(ctx); {
	case err != nil:
		return err
	case begun != nil:
		return s.proceed(ctx, begun)
	}
	if err := s.genuine(ctx); err != nil {
		return err
	}
	// There is no Record, so what only an execution shows was written by somebody else.
	s.request.Status.Steps, s.request.Status.ActiveUntil = nil, nil
	if over, err := s.repeated(ctx); over || err != nil {
		return err
	}
	return s.advance(ctx)
}

// begun finds the Record of an execution that has begun although the status does not say so, because the write that was to say it was lost. What
// was written since would look like drift, and nobody may vote on it any more. It is looked for where this process has tried to begin it, and once
// for each request that another process may have taken up: also where its status does not say even that.
func (s *scope) begun(ctx context.Context) (*v1alpha1.Record, error) {
	_, tried := s.tried.Get(s.request.UID)
	if s.request.Spec.Seal == nil || !tried && (s.remembered() != nil || s.ownFind()) {
		return nil, nil //nolint:nilnil // no Record is an answer, not an error
	}
	record, err := s.record(ctx)
	if err == nil {
		s.claimed = record != nil
	}
	return record, err
}

// ownFind tells that no other process can have taken the request up: it was sealed after this one began to lead.
func (s *scope) ownFind() bool {
	return s.request.Status.Adoption == nil && s.request.Spec.Seal.At.After(s.since.Add(2*seal.MaxSkew))
}

// advance brings a request that has not started nearer to its start.
func (s *scope) advance(ctx context.Context) error {
	ready, err := s.approach(ctx)
	if err != nil || !ready {
		return err
	}
	if alone, err := s.alone(ctx); err != nil || !alone {
		return errors.Join(err, s.store(ctx))
	}
	claim := s.claim
	if s.judgement.Action.Counts {
		claim = s.claimInTurn
	}
	record, err := claim(ctx)
	if err != nil || record == nil {
		return err
	}
	return s.begin(ctx, record)
}

// approach does all that comes before the start, and tells whether the request may start now.
func (s *scope) approach(ctx context.Context) (bool, error) {
	s.judgement = s.Gate.Judge(ctx, gate.SubjectOf(s.request), s.now)
	metrics.Judged(metrics.Controllers, s.judgement)
	s.adoptedNow()
	s.at(s.expires())
	s.at(s.judgement.NextChange)
	if !s.now.Before(s.expires()) {
		return false, s.finish(ctx, v1alpha1.OutcomeExpired, ending{reason: v1alpha1.ReasonExpired,
			message: fmt.Sprintf("Expired %s before it could start.", gate.Time(s.expires(), s.now))})
	}
	if over, err := s.denials(ctx); over || err != nil {
		return false, err
	}
	if problem := s.judgement.Problem; problem != nil {
		return false, s.hold(ctx, problem)
	}
	if ready, err := s.look(ctx); err != nil || !ready {
		return false, err
	}
	approved, err := s.approvals(ctx)
	// Time can also change whose votes count.
	s.at(s.judgement.Vars.Trace.NextChange)
	if err != nil || !approved {
		return false, err
	}
	if s.held() {
		return false, s.store(ctx)
	}
	return true, nil
}

// look does what comes before anybody is asked: the plan steps, and the comparison of what would be executed with what is there.
func (s *scope) look(ctx context.Context) (ready bool, err error) {
	if planned, err := s.planned(ctx); err != nil || !planned {
		return false, err
	}
	if problem := s.prepare(ctx); problem != nil {
		return false, s.hold(ctx, problem)
	}
	if missing := s.Guard.InForce(); missing != nil {
		return false, s.unguarded(ctx, missing)
	}
	return true, nil
}

// at notes an instant at which something must be done.
func (s *scope) at(instant time.Time) {
	if instant.After(s.now) {
		s.wake = decision.Earlier(s.wake, instant)
	}
}

func (s *scope) expires() time.Time {
	var action *v1alpha1.Action
	if s.judgement != nil && s.judgement.Action != nil {
		action = s.judgement.Action.Object
	}
	return gate.Expires(action, gate.SubjectOf(s.request), s.now)
}

// store writes the status where it changed.
func (s *scope) store(ctx context.Context) error {
	if s.orphan {
		return nil // nobody can see the status of what is gone
	}
	s.request.Status.ObservedGeneration = s.request.Generation
	s.keepTransitions()
	if apiequality.Semantic.DeepEqual(s.before, s.request.Status) {
		return nil
	}
	if err := s.sealAdoption(); err != nil {
		return err
	}
	if err := s.Client.Status().Update(ctx, s.request); err != nil {
		return fmt.Errorf("failed to update the status of request %s/%s: %w", s.request.Namespace, s.request.Name, err)
	}
	s.before = *s.request.Status.DeepCopy()
	s.remember(s.request.UID, s.request.ResourceVersion)
	s.stored()
	return nil
}

// keepTransitions leaves a condition the time at which it became what it is, also where it was set to something else in between: what is written is what changed.
func (s *scope) keepTransitions() {
	for i := range s.request.Status.Conditions {
		is := &s.request.Status.Conditions[i]
		if was := meta.FindStatusCondition(s.before.Conditions, is.Type); was != nil && was.Status == is.Status {
			is.LastTransitionTime = was.LastTransitionTime
		}
	}
}

// deleted lets a request go that has not started. If it has, it is brought to its end first.
func (s *scope) deleted(ctx context.Context) error {
	record, err := s.record(ctx)
	if err != nil {
		return err
	}
	if record != nil && record.Status.Outcome == "" {
		s.claimed = true
		return s.proceed(ctx, record)
	}
	return s.finish(ctx, v1alpha1.OutcomeCancelled, ending{reason: v1alpha1.ReasonCancelled, message: "Deleted before it started. Nothing was executed." + s.planRuns(ctx)})
}

// release removes our finalizer from a request that is being deleted and has nothing left to do.
func (s *scope) release(ctx context.Context) error {
	s.Watcher.Forget(s.request.UID)
	s.Runner.Forget(s.request.UID)
	if s.request.DeletionTimestamp == nil {
		return nil
	}
	return letGo(ctx, s.Client, s.Reader, s.key(), s.request.UID)
}

// cancelled ends a request that has not started, or brings one that has to its safe point. Where the same was executed before, or still is, it gets that end:
// nobody else is left to bring it there.
func (s *scope) cancelled(ctx context.Context) error {
	if over, err := s.repeated(ctx); over || err != nil {
		return err
	}
	return s.finish(ctx, v1alpha1.OutcomeCancelled, ending{reason: v1alpha1.ReasonCancelled, message: s.stopText() + " Nothing was executed." + s.planRuns(ctx)})
}

// executing tells whether steps of the request run, or may, or what they did is still to be taken back.
func (s *scope) executing() bool {
	status := &s.request.Status
	return status.Outcome == "" && (s.claimed || status.Execution != nil)
}

// stopped tells whether the request is to end before its steps are done.
func (s *scope) stopped() bool {
	return s.request.Spec.Cancellation != nil || s.request.DeletionTimestamp != nil
}

// stopText says who stopped the request, and why.
func (s *scope) stopText() string {
	cancellation := s.request.Spec.Cancellation
	if cancellation == nil {
		return "Deleted."
	}
	by := "somebody"
	if _, err := s.Evidence.Cancellation(s.request); err == nil {
		by = visible.Inside(cancellation.By.Username)
	} else if cancellation.Seal != nil {
		// Whoever asks for something that is cancelled already does so without a seal: there is no uid yet that it could name.
		s.suspect(s.key(), s.request.UID+"/cancellation", evidence.Of(err))
	}
	return fmt.Sprintf("Cancelled by %s: %s.", by, quote(cancellation.Reason, 200))
}

// refresh reads what may have come since the cache saw the request: a cancellation or a deletion. It is called after the claim
// and before a step, so that whatever was stored before the claim is honoured.
func (s *scope) refresh(ctx context.Context) error {
	live := &v1alpha1.ActionRequest{}
	err := s.Reader.Get(ctx, client.ObjectKeyFromObject(s.request), live)
	switch {
	case apierrors.IsNotFound(err) || err == nil && live.UID != s.request.UID:
		now := metav1.NewTime(s.now)
		s.request.DeletionTimestamp = &now
		return nil
	case err != nil:
		return fmt.Errorf("failed to get request %s/%s: %w", s.request.Namespace, s.request.Name, err)
	}
	s.request.Spec, s.request.DeletionTimestamp = live.Spec, live.DeletionTimestamp
	s.request.ResourceVersion, s.request.Finalizers = live.ResourceVersion, live.Finalizers
	return nil
}

// record gives the Record of the request, or nil where there is none.
func (s *scope) record(ctx context.Context) (*v1alpha1.Record, error) {
	own, _, err := s.ownRecord(ctx)
	return own, err
}
