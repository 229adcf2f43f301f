// Package action tells in the status of an Action how to ask for it, whether approval is needed, and whether it can be
// requested and executed.
package action

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/conditions"
	"github.com/signoff-dev/signoff/internal/evidence"
)

// The rights of the controller.
// +kubebuilder:rbac:groups=signoff.dev,resources=actions,verbs=get;list;watch
// +kubebuilder:rbac:groups=signoff.dev,resources=calendars,verbs=get;list;watch
// +kubebuilder:rbac:groups=signoff.dev,resources=actions/status,verbs=update
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=selfsubjectaccessreviews;subjectaccessreviews,verbs=create

// Reconciler keeps the status of Actions.
type Reconciler struct {
	// Client reads from a cache, and writes.
	Client client.Client
	// Clock tells the time.
	Clock clock.PassiveClock
	// Operator is the ServiceAccount of the operator, for the command that grants it what it lacks.
	Operator types.NamespacedName
	// Admission is the ServiceAccount of the process that serves the webhooks, where it has one of its own.
	Admission types.NamespacedName
	// Kinds knows the kinds that the API server serves.
	Kinds meta.RESTMapper
	// Evidence verifies who has changed an Action, and Audit takes it. Nil: it is not written down.
	Evidence *evidence.Book
	Audit    audit.Taker
}

// SetupWithManager makes the manager run the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("action").
		// Who changed it last stands in an annotation.
		For(&v1alpha1.Action{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Watches(&v1alpha1.Calendar{}, handler.EnqueueRequestsFromMapFunc(r.beside), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
}

// Reconcile stores what there is to say about one Action.
func (r *Reconciler) Reconcile(ctx context.Context, key ctrl.Request) (ctrl.Result, error) {
	action := &v1alpha1.Action{}
	now := r.Clock.Now()
	var unwritten error
	result, err := conditions.Update(ctx, r.Client, key.NamespacedName, action, func() error {
		compiled, errs := catalog.CompileAction(action) //nolint:contextcheck // what is compiled is bounded by cost, so that no deadline is needed
		lacking, err := r.lacking(ctx, action, compiled)
		if err != nil {
			return err
		}
		edited, untold := r.tell(action)
		unwritten = untold
		action.Status = status(action, compiled, conditions.Compiled(action.Generation, errs, "can be requested"), r.grants(action, lacking), now)
		action.Status.Edited = edited
		r.withoutKinds(action, now)
		return r.withoutCalendars(ctx, action, compiled, now)
	})
	if err == nil && unwritten != nil {
		return ctrl.Result{}, unwritten
	}
	if err == nil && result.RequeueAfter == 0 {
		result.RequeueAfter = lookAgain(&action.Status, now)
	}
	return result, err
}

// lookAgain is how long an Action waits whose ServiceAccounts the operator may not use, or that names a kind that is not there: nobody tells
// us of a grant or a kind. The wait grows with the time for which the Action has not been ready. Zero: there is nothing to wait for.
func lookAgain(status *v1alpha1.ActionStatus, now time.Time) time.Duration {
	const shortest, longest = time.Second, time.Minute
	ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Reason != v1alpha1.ReasonCannotImpersonate && ready.Reason != v1alpha1.ReasonFactsUnavailable {
		return 0
	}
	return min(max(now.Sub(ready.LastTransitionTime.Time), shortest), longest)
}

// status is what there is to say about an Action. Grants, where there are any, say what the operator lacks for it.
func status(action *v1alpha1.Action, compiled *catalog.Action, ready metav1.Condition, grants string, now time.Time) v1alpha1.ActionStatus {
	status := v1alpha1.ActionStatus{ObservedGeneration: action.Generation}
	if compiled != nil {
		status.Inputs = inputNames(compiled.Inputs)
		status.Approval = approval(compiled.Rules, &compiled.Default)
		status.Example = example(compiled)
		if grants != "" {
			ready = conditions.NotReady(action.Generation, v1alpha1.ReasonCannotImpersonate, grants)
		}
	}
	status.Conditions = conditions.With(action.Status.Conditions, now, ready)
	return status
}
