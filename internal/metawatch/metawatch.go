// Package metawatch watches objects by their metadata only, and keeps nothing of them: for objects that are too many for a cache, or of which
// only some may be read.
package metawatch

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	toolscache "k8s.io/client-go/tools/cache"
)

// Run watches what a selector selects until the context ends. See is called with each object that is there at the start, after a broken watch,
// or that changed, and with nil where one went, or where there is none. Name is for logs.
func Run(ctx context.Context, name string, resource metadata.ResourceInterface, selector fields.Selector, see func(*metav1.PartialObjectMetadata)) {
	only := selector.String()
	source := &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = only
			return resource.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = only
			return resource.Watch(ctx, options)
		},
	}
	reflector := toolscache.NewReflectorWithOptions(source, &metav1.PartialObjectMetadata{}, forgetful(see), toolscache.ReflectorOptions{Name: name})
	reflector.RunWithContext(ctx)
}

// forgetful is the store of the reflector: it passes on what comes and keeps nothing.
type forgetful func(*metav1.PartialObjectMetadata)

func (f forgetful) see(object any) error {
	meta, _ := object.(*metav1.PartialObjectMetadata)
	f(meta)
	return nil
}

// Add implements cache.ReflectorStore.
func (f forgetful) Add(object any) error { return f.see(object) }

// Update implements cache.ReflectorStore.
func (f forgetful) Update(object any) error { return f.see(object) }

// Delete implements cache.ReflectorStore.
func (f forgetful) Delete(any) error { return f.see(nil) }

// Replace implements cache.ReflectorStore. It gets all that there is after a start or a broken watch.
func (f forgetful) Replace(objects []any, _ string) error {
	if len(objects) == 0 {
		return f.see(nil)
	}
	for _, object := range objects {
		_ = f.see(object)
	}
	return nil
}

// Resync implements cache.ReflectorStore.
func (f forgetful) Resync() error { return nil }
