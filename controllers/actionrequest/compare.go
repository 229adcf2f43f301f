package actionrequest

import (
	"context"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/plan"
)

// arrow stands between the old value and the new one.
const arrow = " → "

// comparison compares what will be written with what is there. Objects are read as the executing ServiceAccount, so old values
// are shown only where the requester may read the object as well.
type comparison struct {
	*scope
	ctx context.Context //nolint:containedctx // it lives as long as one call of compare
	// hidden are objects that the requester may not read, unread those that the ServiceAccount may not.
	hidden, unread map[string]bool
	err            error
}

// compare describes what the steps will do. An error means that it cannot be told at the moment.
func (s *scope) compare(ctx context.Context, rendered []v1alpha1.RenderedStep) ([]v1alpha1.PlannedChange, error) {
	c := &comparison{scope: s, ctx: ctx, hidden: map[string]bool{}, unread: map[string]bool{}}
	changes := plan.Describe(rendered, c.live)
	if c.err != nil {
		return nil, c.err
	}
	for i := range changes {
		switch name := changes[i].Object; {
		case c.unread[name]:
			changes[i].Fields = append([]string{"cannot be compared: the ServiceAccount may not read it"}, changes[i].Fields[min(1, len(changes[i].Fields)):]...)
		case c.hidden[name]:
			changes[i].Fields = withoutOld(changes[i].Fields)
		}
	}
	return boundedPlan(changes), nil
}

// live reads one object. Only NotFound means that it is not there.
func (c *comparison) live(ref v1alpha1.ObjectReference) (*unstructured.Unstructured, bool) {
	object, err := c.read(c.ctx, ref)
	switch {
	case apierrors.IsNotFound(err):
		return nil, false
	case apierrors.IsForbidden(err):
		c.unread[gate.Name(&ref)] = true
		return nil, false
	case err != nil:
		c.err = fmt.Errorf("failed to read %s: %w", gate.Name(&ref), err)
		return nil, false
	}
	may, err := c.requesterMayRead(object, ref)
	if err != nil {
		c.err = err
		return nil, false
	}
	c.hidden[gate.Name(&ref)] = !may
	return object, true
}

// requesterMayRead asks the API server whether the requester may get an object.
func (c *comparison) requesterMayRead(object *unstructured.Unstructured, ref v1alpha1.ObjectReference) (bool, error) {
	resource, err := c.Clients.ResourceOf(&ref)
	if err != nil {
		return false, fmt.Errorf("failed to find the resource of %s: %w", gate.Name(&ref), err)
	}
	return c.Rights.MayGet(c.ctx, c.request.Spec.Requester, resource, object.GetNamespace(), object.GetName())
}

// withoutOld hides old values. What stands before the last arrow may be one.
func withoutOld(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		path, _, _ := strings.Cut(line, ": ")
		at := strings.LastIndex(line, arrow)
		out[i] = line
		if at >= 0 {
			out[i] = path + ": (hidden)" + line[at:]
		}
	}
	return out
}

// Rights asks what people may read.
type Rights interface {
	// MayGet tells whether somebody may get an object.
	MayGet(ctx context.Context, who *v1alpha1.Identity, resource schema.GroupResource, namespace, name string) (bool, error)
}

// reviewOf is the question whether somebody may get an object.
func reviewOf(who *v1alpha1.Identity, resource schema.GroupResource, namespace, name string) *authorizationv1.SubjectAccessReview {
	extra := make(map[string]authorizationv1.ExtraValue, len(who.Extra))
	for key, values := range who.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	return &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: who.Username, UID: who.UID, Groups: who.Groups, Extra: extra,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "get", Group: resource.Group, Resource: resource.Resource, Namespace: namespace, Name: name,
		},
	}}
}
