package notifier

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/notify"
)

type metav1Time = metav1.Time

// tell finds out what happened to a request, and hands over what was not told yet. The cache has no request that is over and no Approval that is
// closed, so both are read from the API server; but only where a Notifier is there to tell.
func (r *Reconciler) tell(ctx context.Context, key types.NamespacedName) error {
	if key.Namespace == r.OperatorNamespace {
		if err := r.tellReviews(ctx, key.Name); err != nil {
			return err
		}
	}
	notifiers, err := r.notifiers(ctx, key.Namespace)
	if err != nil || len(notifiers) == 0 {
		return err
	}
	request := &v1alpha1.ActionRequest{}
	if err := r.Reader.Get(ctx, key, request); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("failed to read request %s: %w", key, err)
	}
	approvals := &v1alpha1.ApprovalList{}
	if err := r.Reader.List(ctx, approvals, client.InNamespace(key.Namespace), client.MatchingFields{"spec.requestRef.name": key.Name},
		// No older than what was just read, which the API server answers from memory.
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: request.ResourceVersion, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}}); err != nil {
		return fmt.Errorf("failed to list the Approvals of %s: %w", key, err)
	}
	r.handOverAll(ctx, notifiers, notify.Of(request, approvals.Items))
	return nil
}

// notifiers are those that see the requests of a namespace.
func (r *Reconciler) notifiers(ctx context.Context, namespace string) ([]*notify.Notifier, error) {
	var all []*notify.Notifier
	places := []string{namespace, r.OperatorNamespace}
	slices.Sort(places)
	for _, place := range slices.Compact(places) {
		list := &v1alpha1.NotifierList{}
		if err := r.Client.List(ctx, list, client.InNamespace(place), client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("failed to list Notifiers: %w", err)
		}
		for i := range list.Items {
			if n := r.compile(&list.Items[i]); n != nil {
				all = append(all, n)
			}
		}
	}
	return all, nil
}

// compile compiles a Notifier once. Nil: it does not compile, which its status says.
func (r *Reconciler) compile(object *v1alpha1.Notifier) *notify.Notifier {
	key := fmt.Sprintf("%s/%d", object.UID, object.Generation)
	if known, ok := r.compiled.Get(key); ok {
		n, _ := known.(*notify.Notifier)
		if n == nil {
			return nil
		}
		// What was delivered is newer.
		fresh := *n
		fresh.Object = object
		return &fresh
	}
	n, errs := notify.Compile(object.DeepCopy())
	if len(errs) > 0 {
		n = nil
	}
	// Before others find it, and tell what it has told.
	r.remember(object)
	r.compiled.Add(key, n)
	return n
}

// remember takes over from the status of a Notifier what an earlier process has told.
func (r *Reconciler) remember(object *v1alpha1.Notifier) {
	for i := range object.Status.Deliveries {
		if d := &object.Status.Deliveries[i]; d.State != v1alpha1.DeliveryRetrying {
			r.told.Add(client.ObjectKeyFromObject(object).String()+"/"+d.ID+"/"+d.Channel+"/"+d.Recipient, true)
		}
	}
}

// isNews tells what is to be told: what happened before the Notifier is there, or is known to be delivered, is not.
func isNews(object *v1alpha1.Notifier, e *notify.Event) bool {
	if e.Time.Before(object.CreationTimestamp.Time) {
		return false
	}
	through := object.Status.DeliveredThrough
	return through == nil || e.Late.IsZero() || !e.Late.Before(through.Time)
}

// handOver hands over what a Notifier tells of an event, once.
func (r *Reconciler) handOver(ctx context.Context, n *notify.Notifier, e *notify.Event) {
	owner := client.ObjectKeyFromObject(n.Object)
	for _, m := range n.Messages(ctx, e, notify.Telling{
		People: people{r.Store.Current(), r.Gate, e.Time}, Source: r.Sender.Source, Claim: func(key string) bool { return r.claim(owner.String() + "/" + key) },
	}) {
		r.outbox.Put(&notify.Delivery{Owner: owner, UID: n.Object.UID, Account: n.Object.Spec.ServiceAccountName, Message: m})
	}
}

func (r *Reconciler) handOverAll(ctx context.Context, notifiers []*notify.Notifier, events []notify.Event) {
	for _, n := range notifiers {
		for i := range events {
			if isNews(n.Object, &events[i]) {
				r.handOver(ctx, n, &events[i])
			}
		}
	}
}

// claim takes a message, which nobody else then sends.
func (r *Reconciler) claim(key string) bool {
	r.telling.Lock()
	defer r.telling.Unlock()
	if _, done := r.told.Get(key); done {
		return false
	}
	r.told.Add(key, true)
	return true
}

// missed tells once what happened while no process was there to see it.
type missed struct{ *Reconciler }

// NeedLeaderElection says that only one replica tells.
func (*missed) NeedLeaderElection() bool { return true }

// pageSize is how many requests are read at once.
const pageSize = 500

// Start implements manager.Runnable. What fails is tried until it succeeds.
func (m *missed) Start(ctx context.Context) error {
	for {
		err := m.all(ctx)
		if err == nil {
			m.caughtUp.Store(true)
			return nil
		}
		logr.FromContextOrDiscard(ctx).Error(err, "failed to look for what happened meanwhile; it is tried again")
		select {
		case <-m.Clock.After(retryDelay):
		case <-ctx.Done():
			return nil
		}
	}
}

// all tells of all requests: first of those that are open, which end at most, then of those that have ended.
func (m *missed) all(ctx context.Context) error {
	from, err := m.oldest(ctx)
	if err != nil || from.IsZero() {
		return err
	}
	open := &v1alpha1.ActionRequestList{}
	if err := m.Client.List(ctx, open, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("failed to list requests: %w", err)
	}
	if err := m.these(ctx, open, from); err != nil {
		return err
	}
	if err := m.reviews(ctx, from); err != nil {
		return err
	}
	options := &client.ListOptions{FieldSelector: fields.OneTermNotEqualSelector("status.outcome", ""), Limit: pageSize}
	for {
		list := &v1alpha1.ActionRequestList{}
		if err := m.Reader.List(ctx, list, options); err != nil {
			return fmt.Errorf("failed to list requests that ended: %w", err)
		}
		if err := m.these(ctx, list, from); err != nil {
			return err
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return nil
		}
	}
}

// these tells of requests, but for those that ended, and were reviewed, so long ago that all is told.
func (m *missed) these(ctx context.Context, list *v1alpha1.ActionRequestList, from time.Time) error {
	for i := range list.Items {
		request := &list.Items[i]
		if request.Status.Outcome != "" && !changedSince(request.Status.Conditions, from) {
			continue
		}
		if err := m.tell(ctx, client.ObjectKeyFromObject(request)); err != nil {
			return err
		}
	}
	return nil
}

func changedSince(conditions []metav1.Condition, from time.Time) bool {
	return slices.ContainsFunc(conditions, func(c metav1.Condition) bool { return !c.LastTransitionTime.Time.Before(from) })
}

// oldest is since when a Notifier has not told everything. Zero: there is no Notifier.
func (m *missed) oldest(ctx context.Context) (time.Time, error) {
	list := &v1alpha1.NotifierList{}
	if err := m.Client.List(ctx, list); err != nil {
		return time.Time{}, fmt.Errorf("failed to list Notifiers: %w", err)
	}
	var oldest time.Time
	for i := range list.Items {
		at := list.Items[i].CreationTimestamp.Time
		if through := list.Items[i].Status.DeliveredThrough; through != nil && through.After(at) {
			at = through.Time
		}
		if oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest, nil
}
