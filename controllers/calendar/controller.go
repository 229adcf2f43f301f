// Package calendar tells in the status of a Calendar whether it can be used.
package calendar

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/calendar"
	"github.com/signoff-dev/signoff/internal/conditions"
)

// The rights of the controller.
// +kubebuilder:rbac:groups=signoff.dev,resources=calendars,verbs=get;list;watch
// +kubebuilder:rbac:groups=signoff.dev,resources=calendars/status,verbs=update

// Reconciler keeps the status of Calendars.
type Reconciler struct {
	// Client reads from a cache, and writes.
	Client client.Client
	// Clock tells the time.
	Clock clock.PassiveClock
}

// SetupWithManager makes the manager run the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("calendar").
		For(&v1alpha1.Calendar{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
}

// Reconcile stores what there is to say about one Calendar.
func (r *Reconciler) Reconcile(ctx context.Context, key ctrl.Request) (ctrl.Result, error) {
	object := &v1alpha1.Calendar{}
	return conditions.Update(ctx, r.Client, key.NamespacedName, object, func() error {
		object.Status = Status(object, r.Clock.Now())
		return nil
	})
}

// Status is what there is to say about a Calendar. Whether it is open is not: that would have to be written again and again.
func Status(object *v1alpha1.Calendar, now time.Time) v1alpha1.CalendarStatus {
	_, errs := calendar.Compile(&object.Spec, field.NewPath("spec"))
	ready := conditions.Compiled(object.Generation, errs, "in force")
	return v1alpha1.CalendarStatus{
		ObservedGeneration: object.Generation,
		Conditions:         conditions.With(object.Status.Conditions, now, ready),
	}
}
