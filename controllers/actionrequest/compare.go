package actionrequest

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/kinds"
	"github.com/signoff-dev/signoff/internal/plan"
)

// comparison compares what will be written with what is there. Objects are read as the executing ServiceAccount, so what was there
// before, and what is copied, is shown only where the requester may read the object as well.
type comparison struct {
	*scope
	ctx context.Context //nolint:containedctx // it lives as long as one call of compare
	err error
	// unread are the objects that the ServiceAccount may not read.
	unread []string
	// coming are the objects of kinds that an earlier step defines, with that step.
	coming map[v1alpha1.ObjectReference]string
	// uids are those of the objects that are there.
	uids map[v1alpha1.ObjectReference]types.UID
}

// compare describes what the steps will do, and names the objects that nobody could look at. It notes in the steps to which objects they write. An error means that it cannot be told at the moment.
func (s *scope) compare(ctx context.Context, rendered []v1alpha1.RenderedStep, sources []v1alpha1.ObjectReference) (changes []v1alpha1.PlannedChange, unread []string, err error) {
	c := &comparison{scope: s, ctx: ctx, coming: kinds.Coming(rendered), uids: map[v1alpha1.ObjectReference]types.UID{}}
	s.plan.absent, s.plan.copiesHidden = map[v1alpha1.ObjectReference]bool{}, false
	for i := range sources {
		may, err := c.requesterMayRead(&sources[i])
		if err != nil {
			return nil, nil, err
		}
		s.plan.copiesHidden = s.plan.copiesHidden || !may
	}
	_, finally := s.judgement.Action.Steps.Split(rendered)
	changes = plan.Describe(rendered, plan.View{Live: c.live, Keyed: c.keyed, Finally: finally, Copied: func(step string) (bool, []string) {
		return s.plan.copiesHidden, plan.OwnFields(&s.judgement.Action.Object.Spec.Execution, step)
	}})
	if c.err != nil {
		return nil, nil, c.err
	}
	if s.judgement.Action.Object.Spec.Execution.OnDrift != v1alpha1.DriftProceed {
		bind(rendered, c.uids)
	}
	return plan.Stored(changes, c.unread), c.unread, nil
}

// bind notes of each write the uid of the object with which it was compared. What an earlier step deletes is another one by then, or none, and a deletion
// names its object itself.
func bind(rendered []v1alpha1.RenderedStep, uids map[v1alpha1.ObjectReference]types.UID) {
	var deleted []kinds.Place
	for i := range rendered {
		for j := range rendered[i].Writes {
			w := &rendered[i].Writes[j]
			at := kinds.PlaceOf(&w.Object)
			switch w.Operation {
			case v1alpha1.WriteDelete:
				deleted = append(deleted, at)
			case v1alpha1.WriteApply, v1alpha1.WriteStrategicPatch, v1alpha1.WriteMergePatch, v1alpha1.WriteJSONPatch:
				if !slices.ContainsFunc(deleted, func(gone kinds.Place) bool { return gone.Holds(at) }) {
					w.UID = uids[w.Object]
				}
			case v1alpha1.WriteCreateJob: // it is always a new one
			}
		}
	}
}

// live reads one object. It is not there only where the API server serves the kind and says so.
func (c *comparison) live(ref v1alpha1.ObjectReference) plan.Found {
	object, err := c.read(c.ctx, ref)
	_, comes := c.coming[ref]
	switch {
	case comes && (meta.IsNoMatchError(err) || apierrors.IsNotFound(err)), gate.Missing(err):
		// Where the kind comes with an earlier step, none of its objects can be there.
		c.plan.absent[ref] = true
		return plan.Found{}
	case apierrors.IsForbidden(err):
		c.unread = append(c.unread, plan.Name(ref))
		return plan.Found{Unread: true}
	case err != nil:
		c.err = err
		return plan.Found{}
	}
	c.uids[ref] = object.GetUID()
	may, err := c.requesterMayRead(&ref)
	if err != nil {
		c.err = err
	}
	return plan.Found{Object: object, Hidden: !may}
}

// keyed stands for what not everybody may know who reads the plan.
func (c *comparison) keyed(what []byte) string {
	text, err := c.Evidence.Hidden(c.request.UID, what)
	if err != nil {
		c.err = err
	}
	return text
}

// requesterMayRead asks the API server whether the requester may get an object.
func (c *comparison) requesterMayRead(ref *v1alpha1.ObjectReference) (bool, error) {
	resource, _, err := c.Clients.ResourceOf(ref)
	if err != nil {
		return false, fmt.Errorf("failed to find the resource of %s: %w", gate.Name(ref), err)
	}
	return c.Rights.MayGet(c.ctx, c.request.Spec.Requester, resource, ref.Namespace, ref.Name)
}

// Rights asks what people may read.
type Rights interface {
	// MayGet tells whether somebody may get an object.
	MayGet(ctx context.Context, who *v1alpha1.Identity, resource schema.GroupResource, namespace, name string) (bool, error)
}
