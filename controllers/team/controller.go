// Package team tells in the status of a Team whether it is in force, whether the Team above it exists, and whether it is above itself.
package team

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
// +kubebuilder:rbac:groups=signoff.dev,resources=teams/status,verbs=update

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
	// That a Team comes or goes matters to those below; a move also to those above, which may now be in a circle, or no longer.
	moves := predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool { return moved(e.ObjectOld, e.ObjectNew) }}
	return ctrl.NewControllerManagedBy(mgr).
		Named("team").
		For(&v1alpha1.Team{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Team{}, handler.EnqueueRequestsFromMapFunc(r.around), builder.WithPredicates(moves)).
		Complete(r)
}

func moved(before, after client.Object) bool {
	old, wasTeam := before.(*v1alpha1.Team)
	team, isTeam := after.(*v1alpha1.Team)
	return wasTeam && isTeam && old.Spec.Parent != team.Spec.Parent
}

// around names the Teams directly below a Team, and those above it.
func (r *Reconciler) around(ctx context.Context, object client.Object) []reconcile.Request {
	requests := r.below(ctx, object)
	team, ok := object.(*v1alpha1.Team)
	if !ok {
		return requests
	}
	above, _, err := r.above(ctx, team)
	if err != nil {
		logr.FromContextOrDiscard(ctx).Error(err, "failed to read the Teams above a Team; their status is judged at their next event")
	}
	for _, name := range above {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKey{Name: name}})
	}
	return requests
}

// above names the Teams above a Team, from its parent on, each once, and the first one above it that does not exist.
func (r *Reconciler) above(ctx context.Context, team *v1alpha1.Team) (names []string, missing string, err error) {
	for name := team.Spec.Parent; name != "" && !slices.Contains(names, name); {
		parent := &v1alpha1.Team{}
		switch err := r.Client.Get(ctx, client.ObjectKey{Name: name}, parent); {
		case apierrors.IsNotFound(err):
			return names, name, nil
		case err != nil:
			return names, "", fmt.Errorf("failed to read the Team above, %s: %w", name, err)
		}
		names = append(names, name)
		name = parent.Spec.Parent
	}
	return names, "", nil
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
		above, missing, err := r.above(ctx, team)
		if err != nil {
			return err
		}
		team.Status = Status(team, above, missing, r.Clock.Now())
		return nil
	})
}

// Status is what there is to say about a Team, with the Teams above it, and the first of these that does not exist. Without its parent it is
// in force all the same: its members are its members. So is one in a circle, because somebody who may do so put each Team below the other.
func Status(team *v1alpha1.Team, above []string, missing string, now time.Time) v1alpha1.TeamStatus {
	spec := field.NewPath("spec")
	errs := catalog.CheckSubjects(team.Spec.Members, spec.Child("members"))
	errs = append(errs, catalog.CheckSubjects(team.Spec.Leads, spec.Child("leads"))...)
	if at := slices.Index(above, team.Name); at >= 0 {
		way := slices.Concat([]string{team.Name}, above[:at+1])
		errs = append(errs, field.Invalid(spec.Child("parent"), team.Spec.Parent, "the Teams are above each other in a circle: "+catalog.Way(way)))
	}
	ready := conditions.Compiled(team.Generation, errs, "in force")
	if len(errs) == 0 && missing != "" && missing == team.Spec.Parent {
		ready.Reason = v1alpha1.ReasonParentMissing
		ready.Message = fmt.Sprintf("in force, but there is no Team %q above it: create it, or correct spec.parent", team.Spec.Parent)
	}
	return v1alpha1.TeamStatus{
		ObservedGeneration: team.Generation,
		Conditions:         conditions.With(team.Status.Conditions, now, ready),
	}
}
