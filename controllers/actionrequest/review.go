package actionrequest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
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
	"github.com/signoff-dev/signoff/internal/quorum"
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
	lines = append(lines, planLines(a.Spec.Plan)...)
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
	// Again says that every open review must be looked at again: the guard came or went.
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
	case err != nil || !review.Spec.Review || !isOpen(review) && !isDecided(review):
		return nil, nil //nolint:nilnil // no review is an answer, not an error
	}
	return review, nil
}

func isOpen(review *v1alpha1.Approval) bool { return review.Status.State == v1alpha1.ApprovalOpen }

// isDecided tells of a review that somebody did.
func isDecided(review *v1alpha1.Approval) bool {
	return review.Status.State == v1alpha1.ApprovalApproved || review.Status.State == v1alpha1.ApprovalDenied
}

// review looks at one review, and says after which time to look again.
func (s *scope) review(ctx context.Context, review *v1alpha1.Approval) (time.Duration, error) {
	if !isOpen(review) {
		err := s.closedReview(ctx, review)
		if evidence.Is(err) {
			return s.unreviewable(ctx, err)
		}
		return 0, err
	}
	if missing := s.Guard.InForce(); missing != nil {
		return s.unguardedReview(ctx, review, missing)
	}
	stage := stageOf(review)
	judgement, problem := s.Gate.ReviewContext(ctx, gate.SubjectOf(s.request), s.now)
	if problem != nil && problem.Transient {
		return time.Second, nil
	}
	stage.result = quorum.Result{State: v1alpha1.ApprovalOpen}
	var err error
	if problem == nil {
		err = s.votes(ctx, judgement, stage)
		s.at(judgement.Vars.Trace.NextChange)
	} else {
		stage.ballot, err = s.ballot(review)
	}
	switch {
	case evidence.Is(err):
		return s.unreviewable(ctx, err)
	case err != nil:
		return 0, err
	}
	switch {
	case stage.result.State != v1alpha1.ApprovalOpen:
		return 0, s.reviewed(ctx, stage)
	case !s.now.Before(review.Spec.ExpiresAt.Time):
		if err := s.overdue(ctx, review); err != nil {
			return 0, err
		}
	}
	if err := s.showReview(ctx, stage); err != nil {
		return 0, err
	}
	s.at(review.Spec.ExpiresAt.Time)
	return s.wait(), nil
}

// unreviewable says that votes on a review do not count, because somebody changed it without Signoff.
func (s *scope) unreviewable(ctx context.Context, err error) (time.Duration, error) {
	problem := evidence.Of(err)
	if problem.Wait {
		return time.Second, nil
	}
	s.suspect(s.key(), s.request.UID, problem)
	s.condition(v1alpha1.ConditionReviewed, false, problem.Reason, "Review of the emergency: no vote on it counts: "+problem.Message+".")
	return 0, s.store(ctx)
}

// overdue says that nobody reviewed in time. The review stays open: it must still be done, and until then its request stays.
// Where its request is gone, the review itself says that this has been told.
func (s *scope) overdue(ctx context.Context, review *v1alpha1.Approval) error {
	said, kind, object := s.request.Status.Conditions, v1alpha1.ConditionReviewed, client.Object(s.request)
	if s.orphan {
		said, kind, object = review.Status.Conditions, v1alpha1.ConditionReady, review
	}
	if known := meta.FindStatusCondition(said, kind); known != nil && known.Reason == v1alpha1.ReasonReviewOverdue {
		return nil
	}
	// A review that was opened since they were counted last may be one that nobody knows of.
	s.Late()
	message := fmt.Sprintf("Review of the emergency: overdue since %s, nobody did it in time. It can still be done, and must be: see kubectl describe approval -n %s %s",
		review.Spec.Expires, review.Namespace, review.Name)
	s.condition(v1alpha1.ConditionReviewed, false, v1alpha1.ReasonReviewOverdue, message)
	if err := s.tell(audit.Overdue(review)); err != nil {
		return err
	}
	if err := s.store(ctx); err != nil {
		return err
	}
	if s.orphan {
		setCondition(&review.Status.Conditions, review.Generation, s.now, kind, false, v1alpha1.ReasonReviewOverdue, message)
		if err := s.Client.Status().Update(ctx, review); err != nil {
			return fmt.Errorf("failed to update the status of Approval %s/%s: %w", review.Namespace, review.Name, err)
		}
	}
	s.event(object, v1alpha1.ReasonReviewOverdue, message)
	return nil
}

// showReview shows on a finished request, if nothing did before or if the guard was missing, that a review is open, and on the review who is missing.
func (s *scope) showReview(ctx context.Context, stage *stageState) error {
	shown := meta.FindStatusCondition(s.request.Status.Conditions, v1alpha1.ConditionReviewed)
	if s.request.Status.Outcome != "" && (shown == nil || shown.Reason == v1alpha1.ReasonGuardMissing) {
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
	if err := s.tellBallot(stage.approval, stage.ballot); err != nil {
		return err
	}
	if err := s.writeState(ctx, stage.approval, stage.ballot, stage.result.State, decidedLines(stage)); err != nil {
		return err
	}
	return s.concludeReview(ctx, stage.approval, stage.ballot)
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
	written, err := s.recordReview(ctx, review)
	if err == nil && written && s.orphan {
		s.event(s.request, reason, message)
	}
	return err
}
