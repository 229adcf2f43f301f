// Package facts reads what rules are judged on: objects as the ServiceAccount that an Action names, never with the operator's
// own rights, and the metadata of namespaces, which the operator may read itself.
package facts

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/execution"
)

// Reader reads facts.
type Reader struct {
	clients    *execution.Clients
	namespaces client.Reader
}

// New makes a reader. Namespaces come from a cache.
func New(clients *execution.Clients, namespaces client.Reader) *Reader {
	return &Reader{clients: clients, namespaces: namespaces}
}

// Object reads an object as a ServiceAccount. A Secret is never a fact: its content would end up in verdicts and plans.
func (r *Reader) Object(ctx context.Context, namespace, serviceAccount string, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	if ref.Kind == "Secret" && ref.APIVersion == "v1" {
		return nil, fmt.Errorf("a Secret is never read as a fact")
	}
	return r.clients.Get(ctx, namespace, serviceAccount, ref)
}

// Namespace reads the name, the labels and the annotations of a namespace.
func (r *Reader) Namespace(ctx context.Context, name string) (map[string]any, error) {
	namespace := &corev1.Namespace{}
	if err := r.namespaces.Get(ctx, types.NamespacedName{Name: name}, namespace); err != nil {
		return nil, err
	}
	return map[string]any{
		"name": namespace.Name, "labels": toMap(namespace.Labels), "annotations": toMap(namespace.Annotations),
	}, nil
}

func toMap(values map[string]string) map[string]any {
	out := make(map[string]any, len(values))
	for k, v := range values {
		out[k] = v
	}
	return out
}
