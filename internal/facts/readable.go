package facts

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

var _ gate.Rights = (*Reader)(nil)

// MayRead tells whether somebody may read what a query gives, so that a verdict shows nobody what they could not see.
func (r *Reader) MayRead(ctx context.Context, who *v1alpha1.Identity, query gate.Query) (bool, error) {
	resource, err := r.resourceOf(&query.ObjectReference)
	if err != nil {
		return false, err
	}
	on := authorizationv1.ResourceAttributes{Group: resource.Group, Resource: resource.Resource, Namespace: query.Namespace, Name: query.Name}
	if resource == (schema.GroupResource{Resource: "namespaces"}) {
		on.Namespace = query.Name
	}
	verb := "get"
	if query.IsList() {
		verb = "list"
	}
	return r.Reviews.mayAny(ctx, who, on, []right{{verb: verb}})
}
