// Package team tells in the status of a Team whether it is in force, and whether the Team above it exists.
package team

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/conditions"
)

// The rights of the controller.
// +kubebuilder:rbac:groups=signoff.dev,resources=teams,verbs=get;list;watch
// +kubebuilder:rbac:groups=signoff.dev,resources=teams/status,verbs=update;patch

// byParent is the index that finds the Teams below a Team.
const byParent = "spec.parent"

// Reconciler keeps the status of Teams.
type Reconciler struct {
	// Client reads from a cache, and writes.
	Client client.Client
	// Clock tells the time.
	Clock clock.PassiveClock
}

// SetupWithManager makes the manager run the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	parent := func(o client.Object) []string {
		if team, ok := o.(*v1alpha1.Team); ok && team.Spec.Parent != "" {
			return []string{team.Spec.Parent}
		}
		return nil
	}
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.Team{}, byParent, parent); err != nil {
		return fmt.Errorf("failed to index Teams by parent: %w", err)
	}
	// A change of the Team above changes nothing here; only that it comes or goes does.
	comesOrGoes := predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}
	return ctrl.NewControllerManagedBy(mgr).
		Named("team").
		For(&v1alpha1.Team{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Team{}, handler.EnqueueRequestsFromMapFunc(r.below), builder.WithPredicates(comesOrGoes)).
		Complete(r)
}

// below names the Teams directly below a Team.
func (r *Reconciler) below(ctx context.Context, parent client.Object) []reconcile.Request {
	list := &v1alpha1.TeamList{}
	if err := r.Client.List(ctx, list, client.MatchingFields{byParent: parent.GetName()}); err != nil {
		logr.FromContextOrDiscard(ctx).Error(err, "failed to list the Teams below a Team; their status is judged at their next event")
		return nil
	}
	requests := make([]reconcile.Request, len(list.Items))
	for i := range list.Items {
		requests[i].NamespacedName = client.ObjectKeyFromObject(&list.Items[i])
	}
	return requests
}

// Reconcile stores what there is to say about one Team.
func (r *Reconciler) Reconcile(ctx context.Context, key ctrl.Request) (ctrl.Result, error) {
	team := &v1alpha1.Team{}
	return conditions.Update(ctx, r.Client, key.NamespacedName, team, func() error {
		exists, err := r.parentExists(ctx, team)
		if err != nil {
			return err
		}
		team.Status = Status(team, exists, r.Clock.Now())
		return nil
	})
}

// parentExists tells whether the Team above exists. A Team without parent lacks nothing.
func (r *Reconciler) parentExists(ctx context.Context, team *v1alpha1.Team) (bool, error) {
	if team.Spec.Parent == "" {
		return true, nil
	}
	err := r.Client.Get(ctx, client.ObjectKey{Name: team.Spec.Parent}, &v1alpha1.Team{})
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("failed to read the parent %s: %w", team.Spec.Parent, err)
	}
	return err == nil, nil
}

// Status is what there is to say about a Team. Without the Team above it is in force all the same: its members are its members.
func Status(team *v1alpha1.Team, parentExists bool, now time.Time) v1alpha1.TeamStatus {
	spec := field.NewPath("spec")
	errs := catalog.CheckSubjects(team.Spec.Members, spec.Child("members"))
	errs = append(errs, catalog.CheckSubjects(team.Spec.Leads, spec.Child("leads"))...)
	ready := conditions.Compiled(team.Generation, errs, "in force")
	if len(errs) == 0 && !parentExists {
		ready.Reason = v1alpha1.ReasonParentMissing
		ready.Message = fmt.Sprintf("in force, but there is no Team %q above it: create it, or correct spec.parent", team.Spec.Parent)
	}
	return v1alpha1.TeamStatus{
		ObservedGeneration: team.Generation,
		Conditions:         conditions.With(team.Status.Conditions, now, ready),
	}
}
