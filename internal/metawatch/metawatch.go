// Package metawatch watches objects by their metadata only, and keeps nothing of them: for objects that are too many for a cache, or of which
// only some may be read.
package metawatch

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	toolscache "k8s.io/client-go/tools/cache"
)

// page is how many objects are read at a time.
const page = 500

// Run watches what a selector selects until the context ends. See is called with each object that is there at the start, after a broken watch,
// or that changed, and with nil where one went, or where there is none. Name is for logs.
func Run(ctx context.Context, name string, resource metadata.ResourceInterface, selector fields.Selector, see func(*metav1.PartialObjectMetadata)) {
	only := selector.String()
	store := &forgetful{see: see}
	source := pages{&toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
			return store.read(ctx, resource, only)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = only
			return resource.Watch(ctx, options)
		},
	}}
	reflector := toolscache.NewReflectorWithOptions(source, &metav1.PartialObjectMetadata{}, store, toolscache.ReflectorOptions{Name: name})
	reflector.RunWithContext(ctx)
}

// pages makes the reflector list, and not receive what is there by a watch: of that it would keep all until it has the last.
type pages struct{ *toolscache.ListWatch }

// IsWatchListSemanticsUnSupported is asked by the reflector.
func (pages) IsWatchListSemanticsUnSupported() bool { return true }

// forgetful is the store of the reflector: it passes on what comes and keeps nothing.
type forgetful struct {
	see func(*metav1.PartialObjectMetadata)
	// some says that there was something when all was read last.
	some bool
}

// read passes on all that is there, page by page, so that never more than one is in memory. What it gives has only the version of what was read.
func (f *forgetful) read(ctx context.Context, resource metadata.ResourceInterface, only string) (runtime.Object, error) {
	read := &metav1.PartialObjectMetadataList{}
	f.some = false
	for options := (metav1.ListOptions{FieldSelector: only, Limit: page}); ; options.Continue = read.Continue {
		list, err := resource.List(ctx, options)
		if err != nil {
			return nil, fmt.Errorf("failed to list: %w", err)
		}
		read.ListMeta = list.ListMeta
		for i := range list.Items {
			f.some = true
			f.see(&list.Items[i])
		}
		if list.Continue == "" {
			return read, nil
		}
	}
}

func (f *forgetful) pass(object any) error {
	meta, _ := object.(*metav1.PartialObjectMetadata)
	f.see(meta)
	return nil
}

// Add implements cache.ReflectorStore.
func (f *forgetful) Add(object any) error { return f.pass(object) }

// Update implements cache.ReflectorStore.
func (f *forgetful) Update(object any) error { return f.pass(object) }

// Delete implements cache.ReflectorStore.
func (f *forgetful) Delete(any) error { return f.pass(nil) }

// Replace implements cache.ReflectorStore. What there is has been passed on when it was read.
func (f *forgetful) Replace([]any, string) error {
	if !f.some {
		return f.pass(nil)
	}
	return nil
}

// Resync implements cache.ReflectorStore.
func (f *forgetful) Resync() error { return nil }
