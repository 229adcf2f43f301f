package conditions

import (
	"context"
	"fmt"
	"strings"
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
	if err := c.Get(ctx, key, object); apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	} else if err != nil {
		return failed("read", c, object, key, err)
	}
	before := object.DeepCopyObject()
	if err := examine(); err != nil {
		return failed("examine", c, object, key, err)
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
		return failed("store the status of", c, object, key, err)
	}
	return reconcile.Result{}, nil
}

func failed(what string, c client.Client, object client.Object, key types.NamespacedName, err error) (reconcile.Result, error) {
	kind := fmt.Sprintf("%T", object)
	if gvk, unknown := c.GroupVersionKindFor(object); unknown == nil {
		kind = gvk.Kind
	}
	return reconcile.Result{}, fmt.Errorf("failed to %s %s %s: %w", what, kind, strings.TrimPrefix(key.String(), "/"), err)
}
