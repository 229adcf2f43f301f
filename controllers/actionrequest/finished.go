package actionrequest

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Finished lets finished requests go when they are deleted. They are not in the cache, because there may be very many, so
// they are watched by their metadata only and nothing of them is kept.
type Finished struct {
	// Metadata watches.
	Metadata metadata.Interface
	// Client removes finalizers, and Reader reads the API server directly.
	Client client.Client
	Reader client.Reader
}

// Start watches until the context ends.
func (f *Finished) Start(ctx context.Context) error {
	resource := f.Metadata.Resource(v1alpha1.GroupVersion.WithResource("actionrequests"))
	selector := fields.OneTermNotEqualSelector("status.outcome", "").String()
	source := &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = selector
			return resource.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = selector
			return resource.Watch(ctx, options)
		},
	}
	reflector := toolscache.NewReflectorWithOptions(source, &metav1.PartialObjectMetadata{}, &forgetful{ctx: ctx, finished: f},
		toolscache.ReflectorOptions{Name: "finished-requests"})
	reflector.RunWithContext(ctx)
	return nil
}

// release removes our finalizer from a finished request that is being deleted.
func (f *Finished) release(ctx context.Context, meta *metav1.PartialObjectMetadata) error {
	if meta.DeletionTimestamp == nil || !controllerutil.ContainsFinalizer(meta, v1alpha1.RequestFinalizer) {
		return nil
	}
	request := &v1alpha1.ActionRequest{}
	key := types.NamespacedName{Namespace: meta.Namespace, Name: meta.Name}
	if err := f.Reader.Get(ctx, key, request); err != nil {
		return client.IgnoreNotFound(err)
	}
	if request.UID != meta.UID || request.Status.Outcome == "" {
		return nil
	}
	base := request.DeepCopy()
	controllerutil.RemoveFinalizer(request, v1alpha1.RequestFinalizer)
	patch := client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})
	if err := f.Client.Patch(ctx, request, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("failed to remove the finalizer of finished request %s: %w", key, err)
	}
	return nil
}

// forgetful is the store of the reflector: it acts on what comes and keeps nothing.
type forgetful struct {
	ctx      context.Context //nolint:containedctx // the reflector's store has no context of its own
	finished *Finished
}

func (s *forgetful) see(object any) error {
	meta, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return nil
	}
	if err := s.finished.release(s.ctx, meta); err != nil {
		logr.FromContextOrDiscard(s.ctx).Error(err, "a finished request is kept from being deleted; the next event tries again")
	}
	return nil
}

// Add implements cache.ReflectorStore.
func (s *forgetful) Add(object any) error { return s.see(object) }

// Update implements cache.ReflectorStore.
func (s *forgetful) Update(object any) error { return s.see(object) }

// Delete implements cache.ReflectorStore.
func (s *forgetful) Delete(any) error { return nil }

// Replace implements cache.ReflectorStore. It gets all finished requests after a start or a broken watch.
func (s *forgetful) Replace(objects []any, _ string) error {
	for _, object := range objects {
		if err := s.see(object); err != nil {
			return err
		}
	}
	return nil
}

// Resync implements cache.ReflectorStore.
func (s *forgetful) Resync() error { return nil }
