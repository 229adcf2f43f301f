package actionrequest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/visible"
)

// openReview opens the review of an emergency. It comes before the claim, so that nothing is executed without one.
func (s *scope) openReview(ctx context.Context) error {
	if s.judgement.Review == nil {
		return nil
	}
	review, err := s.findReview(ctx)
	if err != nil {
		return err
	}
	s.emergency = review
	passed := gate.Passed(s.judgement)
	s.condition(v1alpha1.ConditionApproved, true, v1alpha1.ReasonBreakGlass, "Nobody was asked: the requester broke the glass and passed "+passed+".")
	if review.Status.State == v1alpha1.ApprovalOpen {
		s.condition(v1alpha1.ConditionReviewed, false, v1alpha1.ReasonAwaitingReview, awaitingReview(review))
	}
	s.request.Status.Summary = bounded(append(s.request.Status.Summary,
		fmt.Sprintf("Emergency, in the requester's words: %s.", quote(s.request.Spec.BreakGlass.Reason, maxReason)),
		"It passed "+passed+".",
		fmt.Sprintf("Review, due %s: see kubectl describe approval -n %s %s", review.Spec.Expires, review.Namespace, review.Name)), maxRequestSummary)
	return nil
}

func awaitingReview(review *v1alpha1.Approval) string {
	return fmt.Sprintf("What was done in an emergency must be reviewed: %s, by %s. See kubectl describe approval -n %s %s",
		review.Spec.Needs, review.Spec.Expires, review.Namespace, review.Name)
}

// findReview finds the review that an earlier attempt opened, or opens it.
func (s *scope) findReview(ctx context.Context) (*v1alpha1.Approval, error) {
	for round := range maxRounds {
		key := types.NamespacedName{Namespace: s.request.Namespace, Name: s.reviewName(round)}
		found := &v1alpha1.Approval{}
		err := s.Reader.Get(ctx, key, found)
		switch {
		case apierrors.IsNotFound(err):
			return s.createReview(ctx, key.Name)
		case err != nil:
			return nil, fmt.Errorf("failed to get Approval %s: %w", key, err)
		case found.Spec.RequestRef.UID != s.request.UID || !found.Spec.Review:
			return nil, fmt.Errorf("Approval %s is not the review of this request; it must be removed by an administrator", key) //nolint:staticcheck // a kind begins with a capital
		case found.Status.State != v1alpha1.ApprovalSuperseded:
			return found, nil
		}
	}
	return nil, errors.New("failed to open the review: it was superseded too often")
}

// reviewName stands for the request, everything that will be executed, and the round.
func (s *scope) reviewName(round int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00review\x00%s\x00%d", s.request.UID, s.plan.digest, round))
	return cut(s.request.Name, 40) + "-" + catalog.ReviewStage + "-" + hex.EncodeToString(sum[:4])
}

func (s *scope) createReview(ctx context.Context, name string) (*v1alpha1.Approval, error) {
	review := s.newReview(name)
	if err := s.create(ctx, review); err != nil {
		return nil, err
	}
	s.event(review, v1alpha1.ReasonAwaitingReview, "Needs "+review.Spec.Needs+". Due "+review.Spec.Expires+".")
	s.event(s.request, v1alpha1.ReasonBreakGlass, fmt.Sprintf("%s broke the glass and passed %s: %s. %s",
		visible.Inside(s.request.Spec.Requester.Username), gate.Passed(s.judgement), quote(s.request.Spec.BreakGlass.Reason, maxReason), awaitingReview(review)))
	return review, nil
}

func (s *scope) newReview(name string) *v1alpha1.Approval {
	stage := &stageState{Stage: &gate.Stage{
		Stage:        &catalog.Stage{Ref: v1alpha1.StageReference{Name: catalog.ReviewStage}},
		Requirements: s.judgement.Review.Requirements,
	}}
	review := s.newApproval(stage, name)
	due := s.now.Add(s.judgement.Review.Within).Truncate(time.Second)
	review.Spec.Review = true
	review.Spec.Expires, review.Spec.ExpiresAt = gate.Time(due, s.now), metav1.NewTime(due)
	words := quote(s.request.Spec.BreakGlass.Reason, maxFor)
	review.Spec.For = words[1 : len(words)-1]
	review.Spec.Summary = s.reviewSummary(review)
	return review
}

// reviewSummary is what a reviewer must read.
func (s *scope) reviewSummary(a *v1alpha1.Approval) []string {
	action, who := s.judgement.Action.Object, visible.Inside(a.Spec.Requester.Username)
	lines := []string{
		fmt.Sprintf("%s broke the glass to run %q (%s)%s. It ran at once; this is the review afterwards.", who, action.Spec.Title, a.Spec.ActionRef, s.onBehalf()),
		"inputs: " + inputsLine(s.judgement.Inputs),
		fmt.Sprintf("Emergency, as %s wrote: %s", who, quote(s.request.Spec.BreakGlass.Reason, maxReason)),
	}
	if a.Spec.Reason != "" {
		lines = append(lines, fmt.Sprintf("%s wrote: %s", who, quote(s.request.Spec.Reason, maxReason)))
	}
	lines = append(lines, "It passed: "+gate.Passed(s.judgement)+".",
		fmt.Sprintf("It acts, as %s/%s:", action.Namespace, action.Spec.Execution.ServiceAccountName))
	lines = append(lines, planLines(a.Spec.Plan, maxSummaryPlan)...)
	lines = append(lines, fmt.Sprintf("Who can review: %s. Not %s. Due %s.", s.Gate.Who(s.judgement, a.Spec.Requirements, &a.Spec.Requester), s.dependent(a), a.Spec.Expires))
	return bounded(append(lines, voteLines(a)...), maxApprovalSummary)
}

// needless tells whether an open Approval can be closed because nobody waits for it. A review stays open after its request has ended,
// unless nothing was executed.
func (s *scope) needless(approval *v1alpha1.Approval) bool {
	if !approval.Spec.Review {
		return true
	}
	if s.request.Status.Execution != nil {
		return false
	}
	return s.request.Status.Outcome != "" || s.plan == nil || approval.Spec.Digest != s.plan.digest
}

// Reviewer takes the reviews of emergencies to their end. They outlast their requests, which are no longer in the cache then, so the
// request is read live.
type Reviewer struct {
	*Reconciler
	// Again says that every open review must be looked at again: the guard came or went, or governing objects changed.
	Again <-chan event.GenericEvent
}

// SetupWithManager makes the manager run the reviewer.
func (r *Reviewer) SetupWithManager(mgr ctrl.Manager) error {
	isReview := predicate.NewPredicateFuncs(func(object client.Object) bool {
		approval, ok := object.(*v1alpha1.Approval)
		return ok && approval.Spec.Review
	})
	return ctrl.NewControllerManagedBy(mgr).
		Named("review").
		For(&v1alpha1.Approval{}, builder.WithPredicates(isReview)).
		WatchesRawSource(source.Channel(r.Again, handler.EnqueueRequestsFromMapFunc(r.allReviews))).
		WithOptions(controller.Options{
			RateLimiter: tries(),
			NewQueue: func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
				return workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{Name: name, Clock: r.Clock})
			},
		}).
		Complete(r)
}

// allReviews names every review that is open. The cache holds no Approvals that are closed.
func (r *Reviewer) allReviews(ctx context.Context, _ client.Object) []reconcile.Request {
	list := &v1alpha1.ApprovalList{}
	if err := r.Client.List(ctx, list); err != nil {
		logr.FromContextOrDiscard(ctx).Error(err, "failed to list open reviews; they are looked at at their next event")
		return nil
	}
	var reviews []reconcile.Request
	for i := range list.Items {
		if list.Items[i].Spec.Review {
			reviews = append(reviews, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return reviews
}

// Reconcile counts the votes of one review, closes it once it is decided, and brings one that is closed to its end.
func (r *Reviewer) Reconcile(ctx context.Context, key ctrl.Request) (ctrl.Result, error) {
	review, err := r.find(ctx, key.NamespacedName)
	if err != nil || review == nil {
		return ctrl.Result{}, err
	}
	s, err := r.reviewScope(ctx, review)
	if err != nil || s == nil {
		return ctrl.Result{}, err
	}
	wait, err := s.review(ctx, review.DeepCopy())
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: conflictDelay}, nil
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("failed to reconcile review %s: %w", key, err)
	}
	return ctrl.Result{RequeueAfter: wait}, nil
}

// find gives a review that is open, or was decided. Nil: there is none. The cache holds open ones only.
func (r *Reviewer) find(ctx context.Context, key types.NamespacedName) (*v1alpha1.Approval, error) {
	review := &v1alpha1.Approval{}
	err := r.Client.Get(ctx, key, review)
	if apierrors.IsNotFound(err) {
		err = r.Reader.Get(ctx, key, review)
	}
	switch {
	case client.IgnoreNotFound(err) != nil:
		return nil, fmt.Errorf("failed to get review %s: %w", key, err)
	case review.Spec.Review && (isOpen(review) || isDecided(review)):
		return review, nil
	}
	return nil, nil //nolint:nilnil // no review is an answer, not an error
}

func isOpen(review *v1alpha1.Approval) bool { return review.Status.State == v1alpha1.ApprovalOpen }

// isDecided tells of a review that somebody did.
func isDecided(review *v1alpha1.Approval) bool {
	return review.Status.State == v1alpha1.ApprovalApproved || review.Status.State == v1alpha1.ApprovalDenied
}

// review looks at one review, and says after which time to look again.
func (s *scope) review(ctx context.Context, review *v1alpha1.Approval) (time.Duration, error) {
	err := s.reviewNow(ctx, review)
	reason, why := hindrance(err)
	switch {
	case evidence.Is(err):
		err = s.unreviewable(ctx, review, evidence.Of(err))
	case reason != "":
		err = s.hinderedReview(ctx, review, reason, why)
	case !isOpen(review):
		return 0, err
	}
	if err != nil {
		return 0, err
	}
	return s.wait(), nil
}

// reviewNow does the next thing for a review.
func (s *scope) reviewNow(ctx context.Context, review *v1alpha1.Approval) error {
	switch {
	case s.neverRan(): // the request closes it
		return nil
	case !isOpen(review):
		return s.closedReview(ctx, review)
	}
	s.at(review.Spec.ExpiresAt.Time)
	if missing := s.Guard.InForce(); missing != nil {
		return s.unguardedReview(ctx, review, missing)
	}
	judgement, problem := s.Gate.ReviewContext(ctx, gate.SubjectOf(s.request), s.now)
	if problem != nil {
		// It passes within seconds, and that is not worth a write to every review.
		s.at(s.now.Add(time.Second))
		return s.late(ctx, review)
	}
	stage := stageOf(review)
	err := s.votes(ctx, judgement, stage)
	s.at(judgement.Vars.Trace.NextChange)
	switch {
	case err != nil:
		return err
	case stage.result.State != v1alpha1.ApprovalOpen:
		return s.reviewed(ctx, stage)
	}
	if err := s.late(ctx, review); err != nil {
		return err
	}
	return s.showReview(ctx, stage)
}

// hindrance says by a reason and in words what keeps a review from being counted or closed for a while. Empty: nothing does.
func hindrance(err error) (reason, why string) {
	if unaudited := asUnaudited(err); unaudited != nil {
		return v1alpha1.ReasonAuditUnavailable, unaudited.Error() + "."
	}
	if vote, ok := errors.AsType[*gate.Unjudged](err); ok {
		return v1alpha1.ReasonIndeterminate, fmt.Sprintf("the vote of %s cannot be judged: %s", vote.Voter, vote.Problem.Message)
	}
	return "", ""
}

// hinderedReview shows what keeps a review from being counted or closed, and looks again.
func (s *scope) hinderedReview(ctx context.Context, review *v1alpha1.Approval, reason, why string) error {
	after := auditDelay
	if reason != v1alpha1.ReasonAuditUnavailable {
		after = pause(s.now.Sub(review.CreationTimestamp.Time))
	}
	s.at(s.now.Add(after))
	why = "It waits, because " + why
	if s.isLate(review) {
		return s.lateAnyway(ctx, review, " "+why)
	}
	s.condition(v1alpha1.ConditionReviewed, false, reason, "Review of the emergency. "+why)
	return s.store(ctx)
}

// unreviewable says that votes on a review do not count, because somebody changed it without Signoff, or waits until that can be told.
func (s *scope) unreviewable(ctx context.Context, review *v1alpha1.Approval, problem *evidence.Error) error {
	if problem.Wait {
		if s.at(s.now.Add(time.Second)); s.isLate(review) {
			return s.lateAnyway(ctx, review, "")
		}
		return nil
	}
	s.suspect(s.key(), s.request.UID, problem)
	s.condition(v1alpha1.ConditionReviewed, false, problem.Reason, "Review of the emergency: no vote on it counts: "+problem.Message+".")
	return s.store(ctx)
}

// lateAnyway shows that nobody reviewed in time, also where that cannot be told at the moment: it is tried again with every look.
func (s *scope) lateAnyway(ctx context.Context, review *v1alpha1.Approval, why string) error {
	s.mention(audit.Overdue(review))
	return s.overdue(ctx, review, why)
}

// isLate tells of a review that nobody has done in time.
func (s *scope) isLate(review *v1alpha1.Approval) bool {
	return isOpen(review) && !s.now.Before(review.Spec.ExpiresAt.Time)
}

// late says that nobody reviewed in time, if that is so.
func (s *scope) late(ctx context.Context, review *v1alpha1.Approval) error {
	if !s.isLate(review) {
		return nil
	}
	if err := s.tell(audit.Overdue(review)); err != nil {
		return err
	}
	return s.overdue(ctx, review, "")
}

// overdue shows that nobody reviewed in time, and perhaps what keeps votes from being counted. The review stays open: it must still be done, and until then its
// request stays. Where its request is gone, the review itself says that this has been told.
func (s *scope) overdue(ctx context.Context, review *v1alpha1.Approval, why string) error {
	said, kind, object := &s.request.Status.Conditions, v1alpha1.ConditionReviewed, client.Object(s.request)
	if s.orphan {
		said, kind, object = &review.Status.Conditions, v1alpha1.ConditionReady, review
	}
	message := fmt.Sprintf("Review of the emergency: overdue since %s, nobody did it in time. It can still be done, and must be: see kubectl describe approval -n %s %s",
		review.Spec.Expires, review.Namespace, review.Name)
	known := saidOverdue(*said, kind)
	if known != nil && known.Message == gate.Cut(message+why, maxMessage) {
		return nil
	}
	if known == nil {
		// A review that was opened since they were counted last may be one that nobody knows of.
		s.Recount()
	}
	setCondition(said, object.GetGeneration(), s.now, kind, false, v1alpha1.ReasonReviewOverdue, message+why)
	if err := s.storeOverdue(ctx, review); err != nil {
		return err
	}
	if known == nil {
		s.event(object, v1alpha1.ReasonReviewOverdue, message)
	}
	return nil
}

// saidOverdue is the condition that says that a review is overdue. Nil: none does.
func saidOverdue(conditions []metav1.Condition, kind string) *metav1.Condition {
	if known := meta.FindStatusCondition(conditions, kind); known != nil && known.Reason == v1alpha1.ReasonReviewOverdue {
		return known
	}
	return nil
}

func (s *scope) storeOverdue(ctx context.Context, review *v1alpha1.Approval) error {
	if !s.orphan {
		return s.store(ctx)
	}
	if err := s.Client.Status().Update(ctx, review); err != nil {
		return fmt.Errorf("failed to update the status of Approval %s/%s: %w", review.Namespace, review.Name, err)
	}
	return nil
}

// passing are the reasons of what keeps a review from being counted or closed for a while.
var passing = []string{v1alpha1.ReasonGuardMissing, v1alpha1.ReasonIndeterminate, v1alpha1.ReasonAuditUnavailable}

// showReview shows on a request, if nothing did before on a finished one or if something was in the way, that a review is open, and on the review who is missing.
func (s *scope) showReview(ctx context.Context, stage *stageState) error {
	shown := meta.FindStatusCondition(s.request.Status.Conditions, v1alpha1.ConditionReviewed)
	if shown == nil && s.request.Status.Outcome != "" || shown != nil && slices.Contains(passing, shown.Reason) {
		s.condition(v1alpha1.ConditionReviewed, false, v1alpha1.ReasonAwaitingReview, awaitingReview(stage.approval))
		if err := s.store(ctx); err != nil {
			return err
		}
	}
	if stage.result.Missing == nil {
		return nil
	}
	return s.progress(ctx, stage)
}

// reviewed closes a review. What was said on it is in the audit log by then. The write that closes it comes before everything that says how it ended: where
// a vote comes in between, it conflicts, and all votes are counted anew.
func (s *scope) reviewed(ctx context.Context, stage *stageState) error {
	if err := s.toldLate(stage.approval); err != nil {
		return err
	}
	if err := s.tellBallot(stage.approval, stage.ballot); err != nil {
		return err
	}
	if err := s.writeState(ctx, stage.approval, stage.ballot, stage.result.State, decidedLines(stage)); err != nil {
		return err
	}
	return s.concludeReview(ctx, stage.approval, stage.ballot)
}

// toldLate makes sure that it is told that a review was overdue, where people were shown that.
func (s *scope) toldLate(review *v1alpha1.Approval) error {
	if saidOverdue(s.request.Status.Conditions, v1alpha1.ConditionReviewed) == nil && saidOverdue(review.Status.Conditions, v1alpha1.ConditionReady) == nil {
		return nil
	}
	return s.tell(audit.Overdue(review))
}

// closedReview brings to its end what a pass before did not that has closed a review.
func (s *scope) closedReview(ctx context.Context, review *v1alpha1.Approval) error {
	ballot, err := s.ballot(review)
	if err != nil {
		return err
	}
	return s.concludeReview(ctx, review, ballot)
}

// concludeReview tells, shows and keeps how a closed review ended, as far as that is not done. The Record comes last: one that says nothing of the review is
// found again, after a crash too.
func (s *scope) concludeReview(ctx context.Context, review *v1alpha1.Approval, ballot *evidence.Ballot) error {
	if err := s.tellBallot(review, ballot); err != nil {
		return err
	}
	reason := v1alpha1.ReasonReviewed
	if review.Status.State == v1alpha1.ApprovalDenied {
		reason = v1alpha1.ReasonReviewDenied
	}
	known := meta.FindStatusCondition(s.request.Status.Conditions, v1alpha1.ConditionReviewed)
	news := !s.orphan && (known == nil || known.Reason != reason)
	message := "Review of the emergency: " + strings.Join(review.Status.Decided, " ")
	s.condition(v1alpha1.ConditionReviewed, review.Status.State == v1alpha1.ApprovalApproved, reason, message)
	if err := s.store(ctx); client.IgnoreNotFound(err) != nil {
		return err
	}
	if news {
		s.event(s.request, reason, message)
	}
	if written, err := s.recordReview(ctx, review); err != nil || !written {
		return err
	}
	s.Recount()
	if s.orphan {
		s.event(s.request, reason, message)
	}
	return nil
}
