package actionrequest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/metawatch"
	"github.com/signoff-dev/signoff/internal/metrics"
	"github.com/signoff-dev/signoff/internal/seal"
)

// Finished objects are kept for a time that the configuration says, and then removed: requests with their Approvals, which they own, and Records.
// They are watched by their metadata only, and each is looked at when its time can be over at the earliest: not before, and not now and then. One that somebody
// deletes is looked at at once.

// looksPerSecond bounds how often something finished is read whose time may be over, and looksAtOnce how many are read before that. At a start this holds of nearly
// everything that is there, and it can wait.
const (
	looksPerSecond = 50
	looksAtOnce    = 200
)

// removalPause is how long something rests that cannot be removed yet, for a reason whose end nobody tells.
const removalPause = time.Minute

// kept names an object that is to be removed one day.
type kept struct{ namespace, name, uid string }

// Keeper removes finished objects of one kind when their time is over.
type Keeper struct {
	// Name is for logs, Metadata watches, and Selector selects what is finished.
	Name     string
	Metadata metadata.ResourceInterface
	Selector fields.Selector
	// For is when one is to be looked at, after it was finished. Zero: never.
	For time.Duration
	// Clock tells the time.
	Clock clock.WithTicker
	// Remove removes an object if its time is over, or lets it go where it is being deleted. Else it says when to look again; zero: an event will come.
	Remove func(context.Context, types.NamespacedName, types.UID) (time.Time, error)
}

// Start watches and removes until the context ends.
func (k *Keeper) Start(ctx context.Context) error {
	queue := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[kept]{Name: k.Name, Clock: k.Clock})
	looks := rate.NewLimiter(looksPerSecond, looksAtOnce)
	go k.work(ctx, queue)
	metawatch.Run(ctx, k.Name, k.Metadata, k.Selector, func(found *metav1.PartialObjectMetadata) {
		if found == nil {
			return
		}
		item := kept{found.Namespace, found.Name, string(found.UID)}
		switch {
		case found.DeletionTimestamp != nil:
			queue.Add(item)
		case k.For > 0:
			// It was finished after it was made, by two clocks.
			now := k.Clock.Now()
			pause := found.CreationTimestamp.Add(k.For - seal.MaxSkew).Sub(now)
			if pause <= 0 {
				// However often everything is listed again, what is new does not wait for ever.
				pause = min(looks.ReserveN(now, 1).DelayFrom(now), time.Hour)
			}
			queue.AddAfter(item, pause)
		}
	})
	queue.ShutDown()
	return nil
}

func (k *Keeper) work(ctx context.Context, queue workqueue.TypedDelayingInterface[kept]) {
	for {
		item, ended := queue.Get()
		if ended {
			return
		}
		key := types.NamespacedName{Namespace: item.namespace, Name: item.name}
		again, err := k.Remove(ctx, key, types.UID(item.uid))
		queue.Done(item)
		if err != nil {
			again = k.Clock.Now().Add(removalPause)
			logr.FromContextOrDiscard(ctx).Error(err, "something finished is not removed; tried again in a while", "kind", k.Name, "object", key.String())
		}
		if !again.IsZero() {
			queue.AddAfter(item, max(again.Sub(k.Clock.Now()), time.Millisecond))
		}
	}
}

// Retention says how long what is finished is kept.
type Retention struct {
	// Requests and Records are how long. Zero: for ever.
	Requests, Records time.Duration
	// Details is how long requests show everything.
	Details time.Duration
	// Client removes, and Reader reads the API server directly.
	Client client.Client
	Reader client.Reader
	// OperatorNamespace is where Records live.
	OperatorNamespace string
	// Audit says whether what happened is where it outlives the cluster. Nil: nothing is written.
	Audit Audit
	// Clock tells the time.
	Clock clock.WithTicker
}

// told says why what happened until an instant might be lost with the objects that tell it.
func (r *Retention) told(until time.Time) error {
	if r.Audit == nil {
		return nil
	}
	if err := r.Audit.Delivered(until); err != nil {
		return &unauditedError{err}
	}
	return nil
}

// Request removes a finished request when its time is over, and lets one go that is being deleted.
func (r *Retention) Request(ctx context.Context, key types.NamespacedName, uid types.UID) (time.Time, error) {
	request := &v1alpha1.ActionRequest{}
	if err := r.Reader.Get(ctx, key, request); err != nil {
		return time.Time{}, client.IgnoreNotFound(err)
	}
	if request.UID != uid || request.Status.Outcome == "" {
		return time.Time{}, nil
	}
	if request.DeletionTimestamp != nil {
		return time.Time{}, letGo(ctx, r.Client, r.Reader, key, uid)
	}
	finished := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionFinished)
	if finished == nil || awaitsReview(request) {
		return time.Time{}, nil
	}
	end := r.end(request, finished.LastTransitionTime.Time)
	if whole := finished.LastTransitionTime.Add(r.Details); whole.Before(end) {
		if r.Clock.Now().Before(whole) {
			return whole, nil
		}
		if err := r.shrink(ctx, request); err != nil {
			return time.Time{}, err
		}
	}
	if r.Clock.Now().Before(end) {
		return end, nil
	}
	return time.Time{}, r.removeRequest(ctx, request, finished.LastTransitionTime.Time)
}

// removeRequest removes a request once everything that it tells is told elsewhere: its end, and the review of an emergency, which came later perhaps. When that was done
// its Record says: a condition keeps its date while it is False, so where a review was denied.
func (r *Retention) removeRequest(ctx context.Context, request *v1alpha1.ActionRequest, last time.Time) error {
	if reviewed := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionReviewed); reviewed != nil && request.Status.Execution != nil {
		last = later(last, &reviewed.LastTransitionTime)
		record := &v1alpha1.Record{}
		err := r.Reader.Get(ctx, types.NamespacedName{Namespace: r.OperatorNamespace, Name: request.Status.Execution.ID}, record)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("failed to get the Record of request %s/%s: %w", request.Namespace, request.Name, err)
		}
		if review := record.Status.Review; review != nil {
			last = later(last, &review.At)
		}
	}
	return r.remove(ctx, request, last)
}

// end is when a request is removed.
func (r *Retention) end(request *v1alpha1.ActionRequest, finished time.Time) time.Time {
	if r.Requests == 0 {
		return finished.Add(forEver)
	}
	// A tool that applies it again finds it, rather than making it again.
	return later(finished.Add(r.Requests), request.Spec.ExpiresAt)
}

// later is the later of two times. Nil: there is no second one.
func later(a time.Time, b *metav1.Time) time.Time {
	if b != nil && b.After(a) {
		return b.Time
	}
	return a
}

// forEver is longer than anybody waits.
const forEver = 100 * 365 * 24 * time.Hour

// shrink leaves of the status of a finished request what tells people who asked for what, who agreed, and what came of it. What exactly each field was
// is in the Record, or in the Approvals; on what rules were judged, and what they did not say, matters no more. There may be very many of them.
func (r *Retention) shrink(ctx context.Context, request *v1alpha1.ActionRequest) error {
	before := request.Status.DeepCopy()
	status := &request.Status
	if status.Execution != nil || status.Adoption != nil && len(status.Adoption.Approvals) > 0 {
		for i := range status.Plan {
			status.Plan[i].Fields, status.Plan[i].Basis = nil, ""
		}
	}
	if status.Planning != nil {
		status.Planning.Steps = nil
	}
	if verdict := status.Verdict; verdict != nil {
		verdict.Facts, verdict.NextChange = nil, nil
		verdict.Rules = slices.DeleteFunc(verdict.Rules, func(r v1alpha1.RuleResult) bool { return r.Answer == v1alpha1.RuleNotApplicable })
		for i := range verdict.Rules {
			verdict.Rules[i].Differ = nil
		}
	}
	if apiequality.Semantic.DeepEqual(*before, *status) {
		return nil
	}
	if err := r.Client.Status().Update(ctx, request); err != nil {
		return fmt.Errorf("failed to shrink the status of request %s/%s: %w", request.Namespace, request.Name, err)
	}
	return nil
}

// awaitsReview tells of an emergency that nobody has reviewed. Its status is written when somebody has.
func awaitsReview(request *v1alpha1.ActionRequest) bool {
	reviewed := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionReviewed)
	return reviewed != nil && slices.Contains(append([]string{v1alpha1.ReasonAwaitingReview, v1alpha1.ReasonReviewOverdue}, passing...), reviewed.Reason)
}

// isSettled tells whether a Record waits for nothing but its time: its execution has ended and was reviewed where that is due, and nobody deletes it.
func isSettled(record *v1alpha1.Record) bool {
	reviewed := record.Spec.Review == nil || record.Status.Review != nil
	return record.Status.Outcome != "" && reviewed && record.DeletionTimestamp == nil
}

// Record removes the Record of an execution that has ended when its time is over, and its request is gone.
func (r *Retention) Record(ctx context.Context, key types.NamespacedName, uid types.UID) (time.Time, error) {
	record := &v1alpha1.Record{}
	if err := r.Reader.Get(ctx, key, record); err != nil {
		return time.Time{}, client.IgnoreNotFound(err)
	}
	finished := record.Status.FinishedAt
	if record.UID != uid || finished == nil || !isSettled(record) {
		return time.Time{}, nil
	}
	end := later(finished.Add(r.Records), record.Spec.Until)
	if r.Clock.Now().Before(end) {
		return end, nil
	}
	if needed, err := r.needed(ctx, record); err != nil || needed {
		return r.Clock.Now().Add(removalPause), err
	}
	last := finished.Time
	if review := record.Status.Review; review != nil {
		last = later(last, &review.At)
	}
	return time.Time{}, r.remove(ctx, record, last)
}

// needed tells whether the request of a Record is still there.
func (r *Retention) needed(ctx context.Context, record *v1alpha1.Record) (bool, error) {
	request := &v1alpha1.ActionRequest{}
	err := r.Reader.Get(ctx, requestOf(record), request)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("failed to get the request of Record %s: %w", record.Name, err)
	}
	return err == nil && request.UID == record.Spec.RequestRef.UID, nil
}

// remove removes exactly what was looked at, once everything that it tells is told elsewhere.
func (r *Retention) remove(ctx context.Context, object client.Object, last time.Time) error {
	err := r.told(last)
	if err == nil {
		err = r.drop(ctx, object)
	}
	kind := "ActionRequest"
	if _, is := object.(*v1alpha1.Record); is {
		kind = "Record"
	}
	metrics.Removed(kind, err)
	return err
}

func (r *Retention) drop(ctx context.Context, object client.Object) error {
	uid, version := object.GetUID(), object.GetResourceVersion()
	err := r.Client.Delete(ctx, object, client.Preconditions{UID: &uid, ResourceVersion: &version})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("failed to remove %s/%s: %w", object.GetNamespace(), object.GetName(), err)
	}
	return nil
}
