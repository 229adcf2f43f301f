// Package actionpolicy tells in the status of an ActionPolicy what it does, whether it is in force, and how many requests it holds.
package actionpolicy

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/calendar"
	"github.com/signoff-dev/signoff/internal/conditions"
)

// The rights of the controller.
// +kubebuilder:rbac:groups=signoff.dev,resources=actionpolicies;actionrequests;calendars,verbs=get;list;watch
// +kubebuilder:rbac:groups=signoff.dev,resources=actionpolicies/status,verbs=update

// Reconciler keeps the status of ActionPolicies.
type Reconciler struct {
	// Client reads from a cache, and writes.
	Client client.Client
	// Clock tells the time.
	Clock clock.WithTicker
	// OperatorNamespace is where the Calendars of policies are.
	OperatorNamespace string
}

// SetupWithManager makes the manager run the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.ActionRequest{}, heldBy, holderNames); err != nil {
		return fmt.Errorf("failed to index requests by the policies that hold them: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("actionpolicy").
		For(&v1alpha1.ActionPolicy{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Calendar{}, handler.EnqueueRequestsFromMapFunc(r.named), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.ActionRequest{}, requestHandler()).
		WithOptions(controller.Options{
			NewQueue: func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
				return workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{Name: name, Clock: r.Clock})
			},
		}).
		Complete(r)
}

// named finds the policies that name a Calendar.
func (r *Reconciler) named(ctx context.Context, object client.Object) []reconcile.Request {
	list := &v1alpha1.ActionPolicyList{}
	if object.GetNamespace() != r.OperatorNamespace || r.Client.List(ctx, list) != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		// Which of them name the Calendar in an expression only compiling would tell, and there are few Calendars.
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: list.Items[i].Name}})
	}
	return requests
}

// Reconcile stores what there is to say about one ActionPolicy, and comes back when time changes it.
func (r *Reconciler) Reconcile(ctx context.Context, key ctrl.Request) (ctrl.Result, error) {
	policy, now := &v1alpha1.ActionPolicy{}, r.Clock.Now()
	var next time.Time
	result, err := conditions.Update(ctx, r.Client, key.NamespacedName, policy, func() error {
		s := situation{now: now, calendar: func(name string) (*calendar.Calendar, error) {
			return conditions.Calendar(ctx, r.Client, r.OperatorNamespace, name)
		}}
		var err error
		if s.holding, err = r.holding(ctx, policy.Name); err != nil {
			return err
		}
		policy.Status, next, err = status(policy, &s)
		return err
	})
	if err == nil && result.RequeueAfter == 0 && !next.IsZero() {
		result.RequeueAfter = next.Sub(now)
	}
	return result, err
}
