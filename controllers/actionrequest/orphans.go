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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/decision"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/metrics"
	book "github.com/signoff-dev/signoff/internal/record"
)

// recordedReview is what a Record keeps of the review of an emergency, so that it can be asked for again.
func recordedReview(review *v1alpha1.Approval, inputs *runtime.RawExtension) *v1alpha1.RecordedReview {
	if review == nil {
		return nil
	}
	return &v1alpha1.RecordedReview{
		Name: review.Name, UID: review.UID, DueAt: review.Spec.ExpiresAt, Requirements: review.Spec.Requirements,
		Summary: slices.DeleteFunc(slices.Clone(review.Spec.Summary), isVoteLine), Inputs: inputs,
	}
}

// isVoteLine tells of a line that says how to vote: that names the Approval.
func isVoteLine(line string) bool {
	return strings.HasPrefix(line, "Approve: kubectl ") || strings.HasPrefix(line, "Deny:    kubectl ")
}

// reviewScope is the request of a review, or what the Record says of one that is gone. Nil: nobody waits for the review any more.
func (r *Reviewer) reviewScope(ctx context.Context, review *v1alpha1.Approval) (*scope, error) {
	key := types.NamespacedName{Namespace: review.Namespace, Name: review.Spec.RequestRef.Name}
	request := &v1alpha1.ActionRequest{}
	err := r.Reader.Get(ctx, key, request)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("failed to get the request of review %s: %w", review.Name, err)
	}
	if err == nil && request.UID == review.Spec.RequestRef.UID {
		return r.newScope(request), nil
	}
	if review.Namespace != r.OperatorNamespace && isOpen(review) {
		// The garbage collector removes the review after its request; a successor takes its place.
		return nil, nil //nolint:nilnil // that nobody waits is an answer, not an error
	}
	record := &v1alpha1.Record{}
	if err := r.Reader.Get(ctx, types.NamespacedName{Namespace: r.OperatorNamespace, Name: book.NameFor(review)}, record); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if record.Spec.RequestRef.UID != review.Spec.RequestRef.UID {
		return nil, nil //nolint:nilnil // it is the Record of another request
	}
	return r.orphanScope(record), nil
}

// orphanScope stands for a request that is gone, as its Record describes it.
func (r *Reconciler) orphanScope(record *v1alpha1.Record) *scope {
	s := r.newScope(book.RequestOf(record))
	s.orphan = true
	return s
}

// recordReview writes how a closed review ended into the Record, which outlives the request and the Approval, and tells whether it did that now.
func (s *scope) recordReview(ctx context.Context, review *v1alpha1.Approval) (bool, error) {
	record, err := s.record(ctx)
	if err != nil || record == nil || record.Spec.Review == nil || record.Status.Review != nil || record.Spec.Digest != review.Spec.Digest {
		return false, err
	}
	if _, err := s.Evidence.Record(record); err != nil {
		return false, fmt.Errorf("failed to verify Record %s: %w", record.Name, err)
	}
	record.Status.Review = &v1alpha1.ReviewResult{State: review.Status.State, Decided: review.Status.Decided, At: *review.Status.ClosedAt}
	return true, s.storeRecord(ctx, record)
}

// orphansEvery is how often Records are looked through for reviews that nobody can do any more.
const orphansEvery = 10 * time.Minute

// Orphans does what is still to be done for requests that are gone, as their Records say: it asks again for reviews whose Approval is gone
// with its namespace, in the namespace of the operator, and takes back what was temporary.
type Orphans struct {
	*Reviewer
	// Wake says that a review or a request was deleted, that a review is overdue, or that the guard came or went.
	Wake <-chan struct{}
}

// recall ends executions whose requests are gone, where they safely can, and takes back what was temporary: without the requests nobody would.
// That one cannot be taken back keeps no other waiting.
func (o *Orphans) recall(ctx context.Context) error {
	list := &v1alpha1.RecordList{}
	open := client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("status.outcome", "")}
	if err := o.Reader.List(ctx, list, client.InNamespace(o.OperatorNamespace), open); err != nil {
		return fmt.Errorf("failed to list Records of executions: %w", err)
	}
	spoilt := 0
	var errs []error
	for i := range list.Items {
		if list.Items[i].Spec.Duration != "" && o.spoilt(&list.Items[i]) {
			spoilt++
		}
		errs = append(errs, o.recallOne(ctx, &list.Items[i]))
	}
	metrics.TemporaryLeft(spoilt)
	return errors.Join(errs...)
}

// requestOf is the request that a Record is of.
func requestOf(record *v1alpha1.Record) types.NamespacedName {
	return types.NamespacedName{Namespace: record.Spec.RequestRef.Namespace, Name: record.Spec.RequestRef.Name}
}

// recallOne brings one execution to its end, unless its request is there, or one that asks the same and does it. Nobody else works on it meanwhile.
func (o *Orphans) recallOne(ctx context.Context, record *v1alpha1.Record) error {
	key := requestOf(record)
	if !o.hands.take(key) {
		return nil
	}
	defer o.hands.leave(key)
	// It may have ended since it was listed.
	if err := o.Reader.Get(ctx, client.ObjectKeyFromObject(record), record); err != nil {
		if apierrors.IsNotFound(err) {
			o.left.note(record.Spec.RequestRef.UID, false) // nobody can take back any more what it says
		}
		return client.IgnoreNotFound(err)
	}
	alone, free, err := o.isAlone(ctx, key, record)
	if err != nil || !alone {
		return err
	}
	s := o.orphanScope(record)
	s.request.DeletionTimestamp = &metav1.Time{Time: s.now}
	if record.Spec.Purpose == v1alpha1.PurposePlan {
		return s.endPlan(ctx, record)
	}
	if err := s.proceed(ctx, record); err != nil || record.Status.Outcome == "" {
		return err
	}
	o.objects.giveBack(s.request.UID)
	if free {
		o.objects.leave(key)
	}
	return nil
}

// isAlone tells whether no request works on a Record: neither its own nor one that asks the same and is not over. Free says that no other of its name may
// execute either. A request never has its end before its own Record: where it has, somebody else has written that, and nobody looks at it any more. What it
// has lent would stay for good; the rest of it is left as it is.
func (o *Orphans) isAlone(ctx context.Context, key types.NamespacedName, record *v1alpha1.Record) (alone, free bool, err error) {
	request := &v1alpha1.ActionRequest{}
	err = o.Reader.Get(ctx, key, request)
	switch {
	case apierrors.IsNotFound(err):
		return true, true, nil
	case err != nil:
		return false, false, fmt.Errorf("failed to get request %s: %w", key, err)
	case request.UID == record.Spec.RequestRef.UID:
		forged := request.Status.Outcome != "" && record.Status.Outcome == "" && !o.spoilt(record)
		return forged && record.Spec.Duration != "", false, nil
	}
	name, err := book.Name(request)
	over := request.Status.Outcome != ""
	return err == nil && (name != record.Name || over), over, err
}

// Start looks until the context ends.
func (o *Orphans) Start(ctx context.Context) error {
	// What is asked for again is sealed.
	if err := wait.PollUntilContextCancel(ctx, keysDelay, true, func(context.Context) (bool, error) { return o.Keys() == nil, nil }); err != nil {
		return nil //nolint:nilerr // the context has ended
	}
	for {
		due, err := o.look(ctx)
		if err := errors.Join(err, o.recall(ctx)); err != nil {
			logr.FromContextOrDiscard(ctx).Error(err, "what requests that are gone still need is not done; tried again in a while")
		}
		if !o.rest(ctx, due) {
			return nil
		}
	}
}

// rest waits until an instant, where there is one, until somebody wakes it, and not longer than a while. It tells whether to go on.
func (o *Orphans) rest(ctx context.Context, until time.Time) bool {
	pause := orphansEvery
	if !until.IsZero() {
		pause = min(pause, max(until.Sub(o.Clock.Now()), time.Millisecond))
	}
	timer := o.Clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-o.Wake:
	case <-timer.C():
	}
	return true
}

// look goes through the Records whose review is still open. It tells when the next of them is overdue; zero: none.
func (o *Orphans) look(ctx context.Context) (due time.Time, err error) {
	list, overdue := &v1alpha1.RecordList{}, 0
	open := fields.AndSelectors(fields.OneTermNotEqualSelector("spec.review.name", ""), fields.OneTermEqualSelector("status.review.state", ""))
	if err := o.Reader.List(ctx, list, client.InNamespace(o.OperatorNamespace), client.MatchingFieldsSelector{Selector: open}); err != nil {
		return due, fmt.Errorf("failed to list Records with an open review: %w", err)
	}
	now := o.Clock.Now()
	var errs []error
	for i := range list.Items {
		record := &list.Items[i]
		if at := record.Spec.Review.DueAt.Time; now.Before(at) {
			due = decision.Earlier(due, at)
		} else {
			overdue++
		}
		errs = append(errs, o.ensure(ctx, record))
	}
	metrics.ReviewsOpen(len(list.Items), overdue)
	return due, errors.Join(errs...)
}

// ensure brings the review of a Record to its end where it is closed and the Record does not say so, and makes a successor where it is gone, once the guard
// is in force: what is gone may have been taken away while nobody asked the webhooks, and who may vote on a new one would not be asked either.
func (o *Orphans) ensure(ctx context.Context, record *v1alpha1.Record) error {
	found := &v1alpha1.Approval{}
	key := types.NamespacedName{Namespace: record.Spec.RequestRef.Namespace, Name: record.Spec.Review.Name}
	if err := client.IgnoreNotFound(o.Reader.Get(ctx, key, found)); err != nil {
		return fmt.Errorf("failed to get Approval %s: %w", key, err)
	}
	switch {
	case found.UID == record.Spec.Review.UID && isDecided(found):
		return o.conclude(ctx, key)
	case found.UID == record.Spec.Review.UID || o.Guard.InForce() != nil:
		return nil //nolint:nilerr // it is looked at again once the guard is in force
	}
	s := o.orphanScope(record)
	if _, err := s.Evidence.Record(record); err != nil {
		o.suspect(requestOf(record), record.UID, evidence.Of(err))
		return fmt.Errorf("failed to verify Record %s: %w", record.Name, err)
	}
	next := successor(record)
	if err := s.create(ctx, next); !apierrors.IsAlreadyExists(err) {
		return err
	}
	return o.conclude(ctx, client.ObjectKeyFromObject(next))
}

// conclude brings a review that is closed to its end. One that is open is in the cache, and the reviewer looks at it by itself.
func (o *Orphans) conclude(ctx context.Context, review types.NamespacedName) error {
	if err := o.Client.Get(ctx, review, &v1alpha1.Approval{}); !apierrors.IsNotFound(err) {
		return err //nolint:wrapcheck // it is that of a cache
	}
	_, err := o.Reconcile(ctx, reconcile.Request{NamespacedName: review})
	return err
}

// successor is the review of a request that is gone, beside its Record.
func successor(record *v1alpha1.Record) *v1alpha1.Approval {
	due, ref := record.Spec.Review, &record.Spec.RequestRef
	sum := sha256.Sum256([]byte(due.UID))
	review := &v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: record.Namespace, Name: cut(ref.Name, 40) + "-" + catalog.ReviewStage + "-" + hex.EncodeToString(sum[:4]),
			Labels: map[string]string{v1alpha1.LabelRequest: cut(ref.Name, 63), v1alpha1.LabelRequestUID: string(ref.UID)},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "Record", Name: record.Name, UID: record.UID, Controller: new(true),
			}},
		},
		Spec: v1alpha1.ApprovalSpec{
			RequestRef: v1alpha1.RequestReference{Name: ref.Name, UID: ref.UID}, ActionRef: record.Spec.ActionRef,
			Stage: v1alpha1.StageReference{Name: catalog.ReviewStage}, Digest: record.Spec.Digest, Plan: record.Spec.Plan,
			Requirements: due.Requirements, Requester: record.Spec.Requester, Review: true, Votes: []v1alpha1.Vote{},
			Needs: gate.Cut(gate.Needs(due.Requirements, nil), maxNeeds), Expires: gate.Time(due.DueAt.Time, due.DueAt.Time), ExpiresAt: due.DueAt,
			Summary: append([]string{fmt.Sprintf("The request %s/%s is gone, and with it the review beside it. It must still be done, here.", ref.Namespace, ref.Name)}, due.Summary...),
		},
		Status: v1alpha1.ApprovalStatus{State: v1alpha1.ApprovalOpen},
	}
	review.Spec.Summary = bounded(append(review.Spec.Summary, voteLines(review)...), maxApprovalSummary)
	return review
}
