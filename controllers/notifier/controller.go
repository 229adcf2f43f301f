// Package notifier tells what happens to requests, as Notifiers say, and keeps their status. Requests do not wait for it: it looks at what their
// status says, after it was stored.
package notifier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/conditions"
	"github.com/signoff-dev/signoff/internal/execution"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/notify"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// The rights of the controller. Secrets are read as the ServiceAccounts that Notifiers name.
// +kubebuilder:rbac:groups=signoff.dev,resources=notifiers;actionrequests;approvals,verbs=get;list;watch
// +kubebuilder:rbac:groups=signoff.dev,resources=notifiers/status,verbs=update
// +kubebuilder:rbac:groups=signoff.dev,namespace=signoff-system,resources=records,verbs=get

const (
	// remembered is how many messages are known to have been told.
	remembered = 16384
	// tellers is how many requests are looked at at once.
	tellers = 2
	// statusDelay gathers what is delivered into one write.
	statusDelay = time.Second
	// grace is how long after something happened it may be found out.
	grace = time.Minute
	// retryDelay is after which time it is looked again for what was missed.
	retryDelay = 10 * time.Second
	// settleDelay is after which time of quiet a status says that all is delivered.
	settleDelay = grace + 30*time.Second
)

// Reconciler tells what happens to requests, and keeps the status of Notifiers.
type Reconciler struct {
	// Client reads from a cache, and writes.
	Client client.Client
	// Reader reads the API server directly.
	Reader client.Reader
	// Clients act as ServiceAccounts.
	Clients *execution.Clients
	// Store has Teams, Roles and Actions.
	Store *snapshot.Store
	// Gate knows which logins are one person.
	Gate *gate.Gate
	// Sender sends messages.
	Sender *notify.Sender
	// Clock tells the time.
	Clock clock.WithTicker
	// OperatorNamespace is where Notifiers see all requests.
	OperatorNamespace string

	outbox *notify.Outbox
	books  books
	// compiled holds Notifiers by uid and generation, and told what was handed over to be sent.
	compiled, told *lru.Cache
	telling        sync.Mutex
	queue          workqueue.TypedRateLimitingInterface[reconcile.Request]
	// caughtUp says that what happened while no process was there is handed over. Until then nothing is known to be delivered.
	caughtUp atomic.Bool
}

// SetupWithManager makes the manager run everything.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.compiled, r.told = lru.New(remembered), lru.New(remembered)
	r.outbox = notify.NewOutbox(r.Clock)
	r.outbox.Send, r.outbox.Changed = r.send, r.changed
	if err := mgr.Add(r.outbox); err != nil {
		return fmt.Errorf("failed to add what sends: %w", err)
	}
	if err := mgr.Add(&missed{r}); err != nil {
		return fmt.Errorf("failed to add what looks for what nobody saw: %w", err)
	}
	newQueue := func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
		r.queue = workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{Name: name, Clock: r.Clock})
		return r.queue
	}
	if err := ctrl.NewControllerManagedBy(mgr).Named("notifier").
		For(&v1alpha1.Notifier{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{NewQueue: newQueue}).Complete(r); err != nil {
		return fmt.Errorf("failed to set up the status of Notifiers: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).Named("notifications").
		For(&v1alpha1.ActionRequest{}).Owns(&v1alpha1.Approval{}).
		Watches(&v1alpha1.Approval{}, handler.EnqueueRequestsFromMapFunc(r.besideRecord)).
		WithOptions(controller.Options{MaxConcurrentReconciles: tellers}).
		Complete(reconcile.Func(func(ctx context.Context, key ctrl.Request) (ctrl.Result, error) {
			return ctrl.Result{}, r.tell(ctx, key.NamespacedName)
		}))
}

// Reconcile stores what there is to say about one Notifier.
func (r *Reconciler) Reconcile(ctx context.Context, key ctrl.Request) (ctrl.Result, error) {
	object := &v1alpha1.Notifier{}
	news := r.books.take(key.NamespacedName)
	result, err := conditions.Update(ctx, r.Client, key.NamespacedName, object, func() error {
		object.Status = r.status(object, news)
		return nil
	})
	switch {
	case object.UID == "" && err == nil:
		r.outbox.Forget(key.NamespacedName)
		r.books.drop(key.NamespacedName)
	case err != nil || result.RequeueAfter > 0:
		r.books.giveBack(key.NamespacedName, news)
	case news.any() && (!news.settled || !r.caughtUp.Load()):
		r.books.settle(key.NamespacedName)
		r.queue.AddAfter(key, settleDelay)
	}
	return result, err
}

// status is what there is to say about a Notifier: whether it compiles, and what was delivered.
func (r *Reconciler) status(object *v1alpha1.Notifier, news *news) v1alpha1.NotifierStatus {
	now := r.Clock.Now()
	compiled, errs := notify.Compile(object)
	out := *object.Status.DeepCopy()
	out.ObservedGeneration = object.Generation
	out.Conditions = conditions.With(out.Conditions, now, r.ready(object.Generation, compiled, errs))
	waiting, oldest := r.outbox.Waiting(client.ObjectKeyFromObject(object))
	out.Pending = int32(min(waiting, 1<<30)) //nolint:gosec // it is bounded
	if news.any() {
		news.into(&out)
		if r.caughtUp.Load() {
			out.DeliveredThrough = through(out.DeliveredThrough, now, oldest)
		}
	}
	return out
}

// ready says whether a Notifier is in force, and whether what it calls is allowed. The configuration is read at the start, when each Notifier is
// looked at.
func (r *Reconciler) ready(generation int64, compiled *notify.Notifier, errs field.ErrorList) metav1.Condition {
	if len(errs) == 0 {
		if refused := compiled.NotAllowed(r.Sender.Egress); len(refused) > 0 {
			return conditions.NotReady(generation, v1alpha1.ReasonHostNotAllowed, "in force, but "+strings.Join(refused, "; "))
		}
	}
	return conditions.Compiled(generation, errs, "in force")
}

// through is until when all is delivered: not until now, since what has just happened may not have been found out yet.
func through(known *metav1Time, now, oldest time.Time) *metav1Time {
	at := now.Add(-grace)
	if !oldest.IsZero() && oldest.Before(at) {
		at = oldest
	}
	at = at.Truncate(time.Second)
	if known != nil && !at.After(known.Time) {
		return known
	}
	return &metav1Time{Time: at}
}

// changed notes what became of a message, and has it stored soon.
func (r *Reconciler) changed(d notify.Delivery) {
	r.books.note(&d)
	r.queue.AddAfter(reconcile.Request{NamespacedName: d.Owner}, statusDelay)
}

// send sends a message with the Secrets of its Notifier, if that is still the one for which it was written.
func (r *Reconciler) send(ctx context.Context, d *notify.Delivery) error {
	object := &v1alpha1.Notifier{}
	if err := r.Client.Get(ctx, d.Owner, object); apierrors.IsNotFound(err) {
		return notify.Final(errors.New("the Notifier is gone"))
	} else if err != nil {
		return fmt.Errorf("failed to read the Notifier: %w", err)
	}
	if !isCurrent(object, d) {
		return notify.Final(errors.New("the Notifier, this channel or the ServiceAccount was changed meanwhile, so it was not sent"))
	}
	secrets := &secrets{clients: r.Clients, namespace: d.Owner.Namespace, account: d.Account}
	return r.Sender.Send(ctx, d.Message, secrets.read, r.Clock.Now())
}

// isCurrent tells whether a message would be written in the same way now: who took a channel away does not want it to be used.
func isCurrent(object *v1alpha1.Notifier, d *notify.Delivery) bool {
	return object.UID == d.UID && object.Spec.ServiceAccountName == d.Account && slices.ContainsFunc(object.Spec.Channels, func(c v1alpha1.NotifierChannel) bool {
		return apiequality.Semantic.DeepEqual(&c, d.Message.Channel.NotifierChannel)
	})
}
