package actionrequest

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// letGo removes our finalizer from a request that is over and is being deleted. It is a PUT, whose uid the API server compares when it removes what has no
// finalizer left. Of two patches at once it lets the later one remove whatever has that name by then, so somebody's new request.
func letGo(ctx context.Context, writer client.Client, reader client.Reader, key types.NamespacedName, uid types.UID) error {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		// All fields are sent back as they came, also those that an older version does not know.
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ActionRequest"))
		if err := reader.Get(ctx, key, live); err != nil {
			return err
		}
		outcome, _, _ := unstructured.NestedString(live.Object, "status", "outcome")
		if live.GetUID() != uid || outcome == "" || live.GetDeletionTimestamp() == nil || !controllerutil.RemoveFinalizer(live, v1alpha1.RequestFinalizer) {
			return nil
		}
		return writer.Update(ctx, live)
	})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("failed to remove the finalizer of request %s: %w", key, err)
	}
	return nil
}
