package cli

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli/replan"
	"github.com/signoff-dev/signoff/internal/execution"
	"github.com/signoff-dev/signoff/internal/gate"
)

// sight reads whatever an Action names, with the rights of whoever looks, and each object once.
type sight struct {
	*session
	mapper meta.RESTMapper
	read   map[v1alpha1.ObjectReference]seen
}

// seen is what came of reading an object.
type seen struct {
	object *unstructured.Unstructured
	err    error
}

var _ replan.World = (*sight)(nil)

func (s *session) sight() (*sight, error) {
	mapper, err := s.connection.flags.ToRESTMapper()
	if err != nil {
		return nil, fmt.Errorf("failed to find out which kinds there are: %w", err)
	}
	return &sight{session: s, mapper: mapper, read: map[v1alpha1.ObjectReference]seen{}}, nil
}

// Action reads an Action.
func (s *sight) Action(ctx context.Context, ref v1alpha1.ActionReference) (*v1alpha1.Action, error) {
	object, err := s.get(ctx, actions, ref.Namespace, ref.Name)
	if err != nil {
		return nil, err
	}
	return typedAs[v1alpha1.Action](object)
}

// Read reads an object.
func (s *sight) Read(ctx context.Context, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	known, ok := s.read[ref]
	if !ok {
		var resource dynamic.ResourceInterface
		if resource, known.err = execution.Resource(s.objects, s.mapper, &ref); known.err == nil {
			known.object, known.err = resource.Get(ctx, ref.Name, metav1.GetOptions{})
		}
		s.read[ref] = known
	}
	return known.object, known.err
}

// List reads objects, and one more than there may be, to see whether there are too many.
func (s *sight) List(ctx context.Context, query gate.Query) (*unstructured.UnstructuredList, error) {
	resource, err := execution.Resource(s.objects, s.mapper, &query.ObjectReference)
	if err != nil {
		return nil, err
	}
	list, err := resource.List(ctx, metav1.ListOptions{LabelSelector: query.Selector, Limit: int64(query.Limit) + 1})
	if err == nil && list.GetContinue() != "" {
		err = gate.TooMany(query)
	}
	return list, err
}
