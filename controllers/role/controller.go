// Package role tells in the status of a Role whom it gives what, and whether it is in force.
package role

import (
	"context"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/conditions"
)

// The rights of the controller.
// +kubebuilder:rbac:groups=signoff.dev,resources=roles,verbs=get;list;watch
// +kubebuilder:rbac:groups=signoff.dev,resources=roles/status,verbs=update;patch

// Reconciler keeps the status of Roles.
type Reconciler struct {
	// Client reads from a cache, and writes.
	Client client.Client
	// Clock tells the time.
	Clock clock.PassiveClock
}

// SetupWithManager makes the manager run the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("role").
		For(&v1alpha1.Role{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
}

// Reconcile stores what there is to say about one Role.
func (r *Reconciler) Reconcile(ctx context.Context, key ctrl.Request) (ctrl.Result, error) {
	role := &v1alpha1.Role{}
	return conditions.Update(ctx, r.Client, key.NamespacedName, role, func() error {
		role.Status = Status(role, r.Clock.Now())
		return nil
	})
}

// Status is what there is to say about a Role.
func Status(role *v1alpha1.Role, now time.Time) v1alpha1.RoleStatus {
	_, errs := catalog.CompileRole(role)
	ready := conditions.Compiled(role.Generation, errs, "in force")
	if len(errs) > 0 {
		ready.Message = "This Role gives nobody anything: " + ready.Message
	}
	return v1alpha1.RoleStatus{
		ObservedGeneration: role.Generation,
		Members:            members(&role.Spec.Members),
		Permissions:        permissions(role.Spec.Permissions),
		Conditions:         conditions.With(role.Status.Conditions, now, ready),
	}
}
