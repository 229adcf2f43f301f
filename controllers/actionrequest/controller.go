// Package actionrequest takes a request from pending to approved to executed. One reconciler owns the whole life of a
// request, its Approvals included, so that only one place decides what happens next.
package actionrequest

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/egress"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/execution"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/metrics"
	"github.com/signoff-dev/signoff/internal/tracing"
)

// The rights of the controller. Steps and facts use the ServiceAccounts of Actions instead, see docs/design.
// +kubebuilder:rbac:groups=signoff.dev,resources=actionrequests,verbs=get;list;watch;update;delete
// +kubebuilder:rbac:groups=signoff.dev,resources=actionrequests/status,verbs=update
// +kubebuilder:rbac:groups=signoff.dev,resources=approvals,verbs=get;list;watch;create
// +kubebuilder:rbac:groups=signoff.dev,resources=approvals/status,verbs=update
// +kubebuilder:rbac:groups=signoff.dev,namespace=signoff-system,resources=records,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups=signoff.dev,namespace=signoff-system,resources=records/status,verbs=update
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// Rules read namespaces, and the uid of the cluster is that of one.
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// The key of the controllers, and the public keys. They are created by applying them, which RBAC can limit to names.
// +kubebuilder:rbac:groups="",namespace=signoff-system,resources=secrets,resourceNames=signoff-controller-key,verbs=get;watch;create;patch;update
// +kubebuilder:rbac:groups="",namespace=signoff-system,resources=configmaps,resourceNames=signoff-keys,verbs=get;watch;create;patch;update
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=signoff-system,resources=leases,verbs=get;list;create;update;delete

// remembered bounds how many recent writes the reconciler remembers.
const remembered = 8192

// Reconciler takes requests through their life.
type Reconciler struct {
	// Client reads open requests and Approvals from a cache, and writes.
	Client client.Client
	// Reader reads the API server directly, by name only.
	Reader client.Reader
	// Gate judges.
	Gate *gate.Gate
	// Clients act as the ServiceAccounts of Actions.
	Clients *execution.Clients
	// Runner runs steps.
	Runner *execution.Runner
	// Watcher wakes requests that wait for objects.
	Watcher *execution.Watcher
	// Egress says which hosts steps may call.
	Egress *egress.Policy
	// Guard says whether anything may be started.
	Guard Guard
	// Rights asks what a requester may read.
	Rights Rights
	// Events tells what happened.
	Events events.EventRecorder
	// Evidence seals what the operator does, and verifies what people did.
	Evidence *evidence.Book
	// Audit takes what happened. Nil: nothing is written. AuditInputs says that the values of inputs are, too.
	Audit       Audit
	AuditInputs bool
	// Keys says that the keys have not been read yet.
	Keys func() error
	// Clock tells the time.
	Clock clock.WithTicker
	// Wall tells the time by which the API server dates objects. It is Clock, but for tests that let that run faster.
	Wall clock.PassiveClock
	// OperatorNamespace is where Records live.
	OperatorNamespace string
	// Changed says that governing objects changed, so that every open request must be judged again.
	Changed <-chan event.GenericEvent
	// Wake names requests whose objects changed.
	Wake <-chan event.GenericEvent
	// Recount is called when a review has become overdue or was done, which is counted at once.
	Recount func()
	// Workers is how many requests are reconciled at once.
	Workers int
	// Traces traces what is done for a request. Nil: nothing is traced.
	Traces *tracing.Tracer

	written *lru.Cache
	// tried holds the uids of the requests whose execution this process has tried to begin.
	tried *lru.Cache
	turns *turns
	hands hands
	// objects are those on which requests execute.
	objects *workplaces
	// revisions are those of Records that this process has seen.
	revisions revisions
	// left are those of which something could not be taken back.
	left left
	// forged holds the uids of what was found to be written by somebody else, so that each is counted once.
	forged *lru.Cache
	// told holds the uids of closed Approvals of which everything is in the audit log.
	told *lru.Cache
	// adopted holds by nonce what this process knows of the requests that it took up, and since is when it began to.
	adopted *lru.Cache
	since   time.Time
	begun   sync.Once
}

// SetupWithManager makes the manager run the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.written, r.adopted, r.told, r.tried = lru.New(remembered), lru.New(remembered), lru.New(remembered), lru.New(remembered)
	r.revisions.known, r.forged = lru.New(remembered), lru.New(remembered)
	metrics.RevertsFailing(0)
	var queue workqueue.TypedRateLimitingInterface[reconcile.Request]
	wake := func(request types.NamespacedName) { queue.Add(reconcile.Request{NamespacedName: request}) }
	r.turns, r.objects = newTurns(r.Clock, wake), newWorkplaces(wake)
	return ctrl.NewControllerManagedBy(mgr).
		Named("actionrequest").
		For(&v1alpha1.ActionRequest{}).
		Owns(&v1alpha1.Approval{}).
		WatchesRawSource(source.Channel(r.Changed, handler.EnqueueRequestsFromMapFunc(r.allOpen))).
		WatchesRawSource(source.Channel(r.Wake, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: max(r.Workers, 1),
			RateLimiter:             tries(),
			NewQueue: func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
				queue = workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{Name: name, Clock: r.Clock})
				return queue
			},
		}).
		Complete(r)
}

// tries makes what cannot be done be tried again at least once a minute: also the end of a step's time, and that a review is overdue, must be seen.
func tries() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](5*time.Millisecond, time.Minute)
}

// allOpen names every request that is not over. The cache holds no others.
func (r *Reconciler) allOpen(ctx context.Context, _ client.Object) []reconcile.Request {
	list := &v1alpha1.ActionRequestList{}
	if err := r.Client.List(ctx, list); err != nil {
		logr.FromContextOrDiscard(ctx).Error(err, "failed to list open requests; they are judged at their next event")
		return nil
	}
	requests := make([]reconcile.Request, len(list.Items))
	for i := range list.Items {
		requests[i].NamespacedName = client.ObjectKeyFromObject(&list.Items[i])
	}
	return requests
}

// Reconcile does the next thing for one request.
func (r *Reconciler) Reconcile(ctx context.Context, key ctrl.Request) (ctrl.Result, error) {
	if !r.hands.take(key.NamespacedName) {
		return ctrl.Result{RequeueAfter: busyPause}, nil
	}
	defer r.hands.leave(key.NamespacedName)
	defer r.turns.leave(key.NamespacedName)
	// A replica leads from its first reconciliation on.
	r.begun.Do(func() { r.since = r.Wall.Now() })
	request := &v1alpha1.ActionRequest{}
	if err := r.Client.Get(ctx, key.NamespacedName, request); err != nil {
		if apierrors.IsNotFound(err) {
			r.objects.leave(key.NamespacedName)
			r.objects.forget(key.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if r.stale(request) {
		// The cache has not seen the last write yet. Its event comes.
		return ctrl.Result{}, nil
	}
	if r.Keys() != nil {
		// They will be in a moment, and nothing can be told before.
		return ctrl.Result{RequeueAfter: keysDelay}, nil
	}
	wait, err := r.pass(ctx, key.NamespacedName, request)
	if apierrors.IsConflict(err) {
		// Somebody was faster. What they wrote comes as an event; look again in case it came already.
		return ctrl.Result{RequeueAfter: conflictDelay}, nil
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("failed to reconcile request %s: %w", key, err)
	}
	return ctrl.Result{RequeueAfter: wait}, nil
}

// pass does the next thing for a request, and frees the objects that it needs no more.
func (r *Reconciler) pass(ctx context.Context, key types.NamespacedName, request *v1alpha1.ActionRequest) (wait time.Duration, err error) {
	r.objects.come(key)
	defer func() { r.objects.gone(key, err) }()
	s := r.newScope(request)
	wait, err = s.traced(ctx)
	if !s.executing() {
		r.objects.leave(key)
		r.objects.giveBack(request.UID)
	}
	if s.request.Status.Outcome != "" {
		r.objects.forget(key)
	}
	return wait, err
}

// traced does the next thing in a span of its own.
func (s *scope) traced(ctx context.Context) (time.Duration, error) {
	ctx, end := s.Traces.Request(ctx, "reconcile ActionRequest", client.ObjectKeyFromObject(s.request))
	wait, err := s.run(ctx)
	end(err)
	return wait, err
}

// keysDelay is how long a request waits for the keys of a process that has just started.
const keysDelay = 200 * time.Millisecond

// conflictDelay is how long a lost race waits for the winner's event.
const conflictDelay = 50 * time.Millisecond

// stale tells whether the cache holds an older version than this process wrote last. Resource versions of one kind of object
// are numbers that grow, see KEP-5504.
func (r *Reconciler) stale(request *v1alpha1.ActionRequest) bool {
	last, ok := r.written.Get(request.UID)
	if !ok {
		return false
	}
	have, err := strconv.ParseUint(request.ResourceVersion, 10, 64)
	return err == nil && have < last.(uint64) //nolint:forcetypeassert // only remember writes to this cache
}

// Wrote tells whether this process wrote the version of a request that somebody has seen.
func (r *Reconciler) Wrote(request *v1alpha1.ActionRequest) bool {
	last, ok := r.written.Get(request.UID)
	return ok && strconv.FormatUint(last.(uint64), 10) == request.ResourceVersion //nolint:forcetypeassert // only remember writes to this cache
}

func (r *Reconciler) remember(uid types.UID, resourceVersion string) {
	if version, err := strconv.ParseUint(resourceVersion, 10, 64); err == nil {
		r.written.Add(uid, version)
	}
}
