// Package namedcreate creates objects with a right to create that is limited to their names. RBAC knows no name where an object is posted,
// because a name may be generated; where one is applied, it does.
package namedcreate

import (
	"context"
	"crypto/rand"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Create creates an object that is not there. The fields are owned by nobody else before or after, so that where somebody else has created the
// object meanwhile, the API server refuses every field that would be replaced, as a conflict. It adds what is not there: an object
// of which nothing may be added to must have a field that no two calls give the same value.
func Create(ctx context.Context, c client.Writer, object runtime.ApplyConfiguration) error {
	return c.Apply(ctx, object, client.FieldOwner("signoff-"+rand.Text())) //nolint:wrapcheck // the caller says what it wanted
}
