package notifier

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/notify"
)

type metav1Time = metav1.Time

// tell finds out what happened to a request, and hands over what was not told yet. The cache has no request that is over and no Approval that is
// closed, so both are read from the API server; but only where a Notifier is there to tell.
func (r *Reconciler) tell(ctx context.Context, key ctrl.Request) (ctrl.Result, error) {
	notifiers, err := r.notifiers(ctx, key.Namespace)
	if err != nil || len(notifiers) == 0 {
		return ctrl.Result{}, err
	}
	request := &v1alpha1.ActionRequest{}
	if err := r.Reader.Get(ctx, key.NamespacedName, request); apierrors.IsNotFound(err) {
		return ctrl.Result{}, nil
	} else if err != nil {
		return ctrl.Result{}, fmt.Errorf("failed to read request %s: %w", key, err)
	}
	approvals := &v1alpha1.ApprovalList{}
	if err := r.Reader.List(ctx, approvals, client.InNamespace(key.Namespace), client.MatchingFields{"spec.requestRef.name": key.Name},
		// No older than what was just read, which the API server answers from memory.
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: request.ResourceVersion, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}}); err != nil {
		return ctrl.Result{}, fmt.Errorf("failed to list the Approvals of %s: %w", key, err)
	}
	for _, n := range notifiers {
		for _, e := range notify.Of(request, approvals.Items) {
			if !e.Time.Before(since(n.Object)) {
				r.handOver(ctx, n, &e)
			}
		}
	}
	return ctrl.Result{}, nil
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
	r.compiled.Add(key, n)
	r.remember(object)
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

// since is from when on something is told: what happened before the Notifier is there, or is known to be delivered, is not.
func since(object *v1alpha1.Notifier) time.Time {
	at := object.CreationTimestamp.Time
	if through := object.Status.DeliveredThrough; through != nil && through.After(at) {
		return through.Time
	}
	return at
}

// handOver hands over what a Notifier tells of an event, once.
func (r *Reconciler) handOver(ctx context.Context, n *notify.Notifier, e *notify.Event) {
	owner := client.ObjectKeyFromObject(n.Object)
	messages, err := n.Messages(ctx, e, people{r.Store.Current()})
	if err != nil {
		r.unwritten(ctx, n, e, err)
		return
	}
	for _, m := range messages {
		if _, done := r.told.Get(keyOf(owner, m)); !done {
			r.told.Add(keyOf(owner, m), true)
			r.outbox.Put(owner, m)
		}
	}
}

// unwritten notes that a template gave no text, once for each event.
func (r *Reconciler) unwritten(ctx context.Context, n *notify.Notifier, e *notify.Event, err error) {
	owner := client.ObjectKeyFromObject(n.Object)
	key := owner.String() + "/" + e.ID
	if _, done := r.told.Get(key); done {
		return
	}
	r.told.Add(key, true)
	logr.FromContextOrDiscard(ctx).V(1).Info("a message could not be written", "notifier", owner, "event", e.ID, "error", err.Error())
	r.changed(notify.Delivery{
		Owner: owner, State: v1alpha1.DeliveryFailed, At: r.Clock.Now(), Problem: err.Error(),
		Message: &notify.Message{Event: e, Channel: &notify.Channel{NotifierChannel: &v1alpha1.NotifierChannel{Name: n.Object.Spec.Channels[0].Name}}},
	})
}

// missed looks once for requests that ended while no process was there to see it.
type missed struct{ *Reconciler }

// NeedLeaderElection says that only one replica tells.
func (*missed) NeedLeaderElection() bool { return true }

// pageSize is how many requests are read at once.
const pageSize = 500

// Start implements manager.Runnable.
func (m *missed) Start(ctx context.Context) error {
	from, err := m.oldest(ctx)
	if err != nil || from.IsZero() {
		return err
	}
	options := &client.ListOptions{FieldSelector: fields.OneTermNotEqualSelector("status.outcome", ""), Limit: pageSize}
	for {
		list := &v1alpha1.ActionRequestList{}
		if err := m.Reader.List(ctx, list, options); err != nil {
			logr.FromContextOrDiscard(ctx).Error(err, "failed to look for requests that ended meanwhile; they are not told")
			return nil
		}
		for i := range list.Items {
			request := &list.Items[i]
			finished := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionFinished)
			if finished == nil || finished.LastTransitionTime.Time.Before(from) {
				continue
			}
			select {
			case m.missed <- event.GenericEvent{Object: request}:
			case <-ctx.Done():
				return nil
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return nil
		}
	}
}

// oldest is since when a Notifier has not told everything. Zero: there is no Notifier.
func (m *missed) oldest(ctx context.Context) (time.Time, error) {
	list := &v1alpha1.NotifierList{}
	if err := m.Client.List(ctx, list); err != nil {
		return time.Time{}, fmt.Errorf("failed to list Notifiers: %w", err)
	}
	var oldest time.Time
	for i := range list.Items {
		if at := since(&list.Items[i]); oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest, nil
}
