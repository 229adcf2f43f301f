package conditions

import (
	"context"
	"fmt"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// conflictDelay is how long a lost race waits for the winner's event.
const conflictDelay = 50 * time.Millisecond

// Update reads an object into the given one, lets examine set its status, and stores the status once, only if it changed. The
// version that was read is the lock: who wrote meanwhile is never overwritten. An object that is gone is no error.
func Update(ctx context.Context, c client.Client, key types.NamespacedName, object client.Object, examine func() error) (reconcile.Result, error) {
	if err := c.Get(ctx, key, object); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	before := object.DeepCopyObject()
	if err := examine(); err != nil {
		return reconcile.Result{}, fmt.Errorf("failed to examine %s %s: %w", kind(c, object), key, err)
	}
	if apiequality.Semantic.DeepEqual(before, runtime.Object(object)) {
		return reconcile.Result{}, nil
	}
	err := c.Status().Update(ctx, object)
	if apierrors.IsConflict(err) {
		// The event of the other write may be none that wakes us.
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	}
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("failed to store the status of %s %s: %w", kind(c, object), key, err)
	}
	return reconcile.Result{}, nil
}

func kind(c client.Client, object client.Object) string {
	gvk, err := c.GroupVersionKindFor(object)
	if err != nil {
		return fmt.Sprintf("%T", object)
	}
	return gvk.Kind
}
