// Package actionpolicy tells in the status of an ActionPolicy what it does and whether it is in force.
package actionpolicy

import (
	"context"
	"slices"
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
// +kubebuilder:rbac:groups=signoff.dev,resources=actionpolicies,verbs=get;list;watch
// +kubebuilder:rbac:groups=signoff.dev,resources=actionpolicies/status,verbs=update;patch

// Reconciler keeps the status of ActionPolicies.
type Reconciler struct {
	// Client reads from a cache, and writes.
	Client client.Client
	// Clock tells the time.
	Clock clock.PassiveClock
}

// SetupWithManager makes the manager run the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("actionpolicy").
		For(&v1alpha1.ActionPolicy{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
}

// Reconcile stores what there is to say about one ActionPolicy.
func (r *Reconciler) Reconcile(ctx context.Context, key ctrl.Request) (ctrl.Result, error) {
	policy := &v1alpha1.ActionPolicy{}
	return conditions.Update(ctx, r.Client, key.NamespacedName, policy, func() error {
		policy.Status = Status(policy, r.Clock.Now())
		return nil
	})
}

// Status is what there is to say about an ActionPolicy. The effect is shown for an invalid one too, because it is not without
// effect: what it is about cannot be decided.
func Status(policy *v1alpha1.ActionPolicy, now time.Time) v1alpha1.ActionPolicyStatus {
	_, errs := catalog.CompilePolicy(policy)
	ready := conditions.Compiled(policy.Generation, errs, "in force")
	if len(errs) > 0 {
		ready.Message = "Requests that this policy is about are refused or wait, because nobody can tell what it demands: " + ready.Message
	}
	return v1alpha1.ActionPolicyStatus{
		ObservedGeneration: policy.Generation,
		Effect:             string(strongest(policy.Spec.Rules)),
		Conditions:         conditions.With(policy.Status.Conditions, now, ready),
	}
}

// byStrength are the effects, the weakest first.
var byStrength = []v1alpha1.PolicyEffect{v1alpha1.PolicyRequireApproval, v1alpha1.PolicyHold, v1alpha1.PolicyDeny}

func strongest(rules []v1alpha1.PolicyRule) v1alpha1.PolicyEffect {
	strength := -1
	for i := range rules {
		strength = max(strength, slices.Index(byStrength, rules[i].Effect))
	}
	if strength < 0 {
		return ""
	}
	return byStrength[strength]
}
