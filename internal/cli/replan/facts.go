package replan

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

// facts reads facts as whoever looks, whatever ServiceAccount the Action names.
type facts struct{ world World }

var _ gate.Facts = facts{}

// Object reads an object.
func (f facts) Object(ctx context.Context, _, _ string, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	return f.world.Read(ctx, ref)
}

// List reads objects.
func (f facts) List(ctx context.Context, _, _ string, query gate.Query) (*unstructured.UnstructuredList, error) {
	return f.world.List(ctx, query)
}

// Namespace reads the metadata of a namespace.
func (f facts) Namespace(ctx context.Context, name string, _ types.NamespacedName) (map[string]any, error) {
	object, err := f.world.Read(ctx, v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: name})
	if err != nil {
		return nil, err
	}
	return gate.NamespaceMetadata(object), nil
}

// Watch watches nothing: it is looked at once.
func (f facts) Watch(string, string, gate.Query, types.NamespacedName) bool { return false }

var errNotAsked = errors.New("nobody is asked who could write it")

// MayWrite is not asked: no rule is judged.
func (f facts) MayWrite(context.Context, *v1alpha1.Identity, bool, ...gate.Query) (bool, error) {
	return false, errNotAsked
}
