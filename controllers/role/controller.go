// Package role tells in the status of a Role whom it gives what, and whether it is in force.
package role

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/conditions"
)

// The rights of the controller.
// +kubebuilder:rbac:groups=signoff.dev,resources=roles,verbs=get;list;watch
// +kubebuilder:rbac:groups=signoff.dev,resources=roles/status,verbs=update

// Reconciler keeps the status of Roles.
type Reconciler struct {
	// Client reads from a cache, and writes.
	Client client.Client
	// Clock tells the time.
	Clock clock.PassiveClock
}

// byInherited is the index that finds the Roles that inherit a Role.
const byInherited = "spec.inherits"

// SetupWithManager makes the manager run the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	inherits := func(o client.Object) []string {
		if role, ok := o.(*v1alpha1.Role); ok {
			return role.Spec.Inherits
		}
		return nil
	}
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.Role{}, byInherited, inherits); err != nil {
		return fmt.Errorf("failed to index Roles by what they inherit: %w", err)
	}
	changed := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).
		Named("role").
		For(&v1alpha1.Role{}, changed).
		Watches(&v1alpha1.Role{}, handler.EnqueueRequestsFromMapFunc(r.heirs), changed).
		Complete(r)
}

// heirs names the Roles that inherit a Role, over others too: what there is to say about them may be different now.
func (r *Reconciler) heirs(ctx context.Context, role client.Object) []reconcile.Request {
	var requests []reconcile.Request
	seen := map[string]bool{}
	for queue := []string{role.GetName()}; len(queue) > 0; queue = queue[1:] {
		list := &v1alpha1.RoleList{}
		if err := r.Client.List(ctx, list, client.InNamespace(role.GetNamespace()), client.MatchingFields{byInherited: queue[0]}); err != nil {
			logr.FromContextOrDiscard(ctx).Error(err, "failed to list the Roles that inherit a Role; their status is judged at their next event")
			return requests
		}
		for i := range list.Items {
			if name := list.Items[i].Name; !seen[name] {
				seen[name] = true
				queue = append(queue, name)
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
			}
		}
	}
	return requests
}

// Reconcile stores what there is to say about one Role.
func (r *Reconciler) Reconcile(ctx context.Context, key ctrl.Request) (ctrl.Result, error) {
	role := &v1alpha1.Role{}
	return conditions.Update(ctx, r.Client, key.NamespacedName, role, func() error {
		var failed error
		family := catalog.NewFamily(func(name string) *catalog.Role {
			other, err := r.find(ctx, client.ObjectKey{Namespace: role.Namespace, Name: name})
			failed = errors.Join(failed, err)
			return other
		})
		status := Status(role, family, r.Clock.Now())
		if failed != nil {
			return failed
		}
		role.Status = status
		return nil
	})
}

// find gives a Role that compiles; nil where there is none.
func (r *Reconciler) find(ctx context.Context, key client.ObjectKey) (*catalog.Role, error) {
	role := &v1alpha1.Role{}
	if err := r.Client.Get(ctx, key, role); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil //nolint:nilnil // no Role and no error is an answer
		}
		return nil, fmt.Errorf("failed to read the inherited Role %s: %w", key.Name, err)
	}
	compiled, _ := catalog.CompileRole(role)
	return compiled, nil
}

// Status is what there is to say about a Role in its family. A Role that inherits nothing, because it cannot, has its own permissions; so
// has one that inherits a Role that is missing.
func Status(role *v1alpha1.Role, family *catalog.Family, now time.Time) v1alpha1.RoleStatus {
	return v1alpha1.RoleStatus{
		ObservedGeneration: role.Generation,
		Members:            members(&role.Spec.Members),
		Permissions:        permissions(&role.Spec),
		Conditions:         conditions.With(role.Status.Conditions, now, ready(role, family)),
	}
}

func ready(role *v1alpha1.Role, family *catalog.Family) metav1.Condition {
	compiled, errs := catalog.CompileRole(role)
	if len(errs) > 0 {
		condition := conditions.Compiled(role.Generation, errs, "")
		condition.Message = "This Role gives nobody anything: " + condition.Message
		return condition
	}
	lineage := family.Of(compiled)
	condition := conditions.Compiled(role.Generation, lineage.Errs, inForce(lineage))
	if len(lineage.Errs) > 0 {
		condition.Message = "This Role inherits nothing: " + condition.Message
		return condition
	}
	if len(lineage.Missing) > 0 {
		condition.Reason = v1alpha1.ReasonInheritedMissing
		condition.Message += fmt.Sprintf("; of spec.inherits, there is no valid Role %s, which gives nothing until there is", strings.Join(lineage.Missing, ", "))
	}
	return condition
}

// inForce says what a Role inherits, over others too.
func inForce(lineage *catalog.Lineage) string {
	if len(lineage.Inherited) == 0 {
		return "in force"
	}
	names := make([]string, len(lineage.Inherited))
	for i, role := range lineage.Inherited {
		names[i] = role.Object.Name
	}
	return "in force, with the permissions of " + strings.Join(names, ", ")
}
