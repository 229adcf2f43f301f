// Package delegation tells in the status of a Delegation whether it counts, and writes into the audit log that it was made.
package delegation

import (
	"context"
	"fmt"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/conditions"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/seal"
)

// The rights of the controller.
// +kubebuilder:rbac:groups=signoff.dev,resources=delegations,verbs=get;list;watch
// +kubebuilder:rbac:groups=signoff.dev,resources=delegations/status,verbs=update

// unverified is how long a Delegation waits whose seal nobody can verify yet.
const unverified = 10 * time.Second

// Reconciler keeps the status of Delegations.
type Reconciler struct {
	// Client reads from a cache, and writes.
	Client client.Client
	// Clock tells the time.
	Clock clock.PassiveClock
	// Evidence verifies seals.
	Evidence *evidence.Book
	// Audit takes what happened. Nil: nothing is written down.
	Audit audit.Taker
}

// SetupWithManager makes the manager run the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("delegation").
		For(&v1alpha1.Delegation{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
}

// Reconcile stores what there is to say about one Delegation, once, and when time changes it.
func (r *Reconciler) Reconcile(ctx context.Context, key ctrl.Request) (ctrl.Result, error) {
	object := &v1alpha1.Delegation{}
	now := r.Clock.Now()
	var wait time.Duration
	var unwritten error
	result, err := conditions.Update(ctx, r.Client, key.NamespacedName, object, func() error {
		envelope, invalid := r.Evidence.Delegation(object)
		seen := object.Status.ObservedGeneration
		object.Status, wait = Status(object, invalid, now)
		unwritten = r.tell(object, envelope, seen)
		if unwritten != nil || object.Status.State == v1alpha1.DelegationInvalid && evidence.Of(invalid).Wait {
			// Until the audit log has it, it is not done; whoever looks sees how it stands all the same.
			object.Status.ObservedGeneration = seen
		}
		return nil
	})
	if err == nil && unwritten != nil {
		return ctrl.Result{}, unwritten
	}
	if err == nil && result.RequeueAfter == 0 {
		result.RequeueAfter = wait
	}
	return result, err
}

// tell writes that a Delegation was made, where that was not done yet.
func (r *Reconciler) tell(object *v1alpha1.Delegation, envelope *seal.Envelope, seen int64) error {
	if r.Audit == nil || envelope == nil || seen == object.Generation {
		return nil
	}
	if err := r.Audit.Write(audit.Delegated(object, envelope)); err != nil {
		return fmt.Errorf("failed to write into the audit log that Delegation %s/%s was made: %w", object.Namespace, object.Name, err)
	}
	return nil
}

// Status is what there is to say about a Delegation, and after how long that changes. Zero: never. Invalid says why it is not genuine.
func Status(object *v1alpha1.Delegation, invalid error, now time.Time) (v1alpha1.DelegationStatus, time.Duration) {
	spec := &object.Spec
	status := v1alpha1.DelegationStatus{ObservedGeneration: object.Generation}
	var wait time.Duration
	ready := conditions.Compiled(object.Generation, nil, "")
	switch {
	case object.DeletionTimestamp != nil:
		status.State, ready = v1alpha1.DelegationExpired, conditions.NotReady(object.Generation, v1alpha1.ReasonExpired, "was taken back")
	case !now.Before(spec.Until.Time):
		status.State, ready = v1alpha1.DelegationExpired, conditions.NotReady(object.Generation, v1alpha1.ReasonExpired, "ended "+gate.Time(spec.Until.Time, now))
	case invalid != nil:
		said := evidence.Of(invalid)
		status.State, ready = v1alpha1.DelegationInvalid, conditions.NotReady(object.Generation, said.Reason, said.Message+". No vote by it counts.")
		if said.Wait {
			wait = unverified
		}
	case spec.From != nil && now.Before(spec.From.Time):
		status.State, ready = v1alpha1.DelegationPending, conditions.NotReady(object.Generation, v1alpha1.ReasonPending, "begins "+gate.Time(spec.From.Time, now))
		wait = spec.From.Sub(now)
	default:
		status.State, wait = v1alpha1.DelegationActive, spec.Until.Sub(now)
		ready.Message = fmt.Sprintf("%s may be voted for until %s", spec.Principal.Username, gate.Time(spec.Until.Time, now))
	}
	status.Conditions = conditions.With(object.Status.Conditions, now, ready)
	return status, wait
}
