package webhooks

import (
	"context"
	"fmt"
	"maps"

	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/digest"
	"github.com/signoff-dev/signoff/internal/evidence"
)

// actions notes on an Action who changes it, so that nobody approves what they changed themselves while it was asked for.
type actions struct{ *Deps }

// mutate keeps the annotation that says who has changed an Action, whatever a client makes of it, and adds the caller where they change it.
func (w *actions) mutate(ctx context.Context, req admission.Request, next, old *v1alpha1.Action) admission.Response {
	if req.SubResource != "" || req.Operation != admissionv1.Create && req.Operation != admissionv1.Update {
		return admission.Allowed("")
	}
	if req.Operation == admissionv1.Create {
		old = nil
	}
	if next.Name == "" {
		return invalid(&req, "", field.ErrorList{field.Required(field.NewPath("metadata", "name"), "requests and Roles name an Action, so it needs a name that people know")})
	}
	caller, refused := w.stamp(ctx, &req.UserInfo)
	if refused != nil {
		return *refused
	}
	edits, err := w.edits(&req, next, old, &caller)
	if err != nil {
		return unsealed(err)
	}
	if edits == next.Annotations[v1alpha1.AnnotationEdits] {
		return admission.Allowed("")
	}
	annotations := maps.Clone(next.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	delete(annotations, v1alpha1.AnnotationEdits)
	if edits != "" {
		annotations[v1alpha1.AnnotationEdits] = edits
	}
	return patched([]jsonpatch.Operation{jsonpatch.NewOperation("add", "/metadata/annotations", annotations)})
}

// edits gives the annotation as it must be. A dry run gives its result away, so nothing is sealed there.
func (w *actions) edits(req *admission.Request, next, old *v1alpha1.Action, caller *v1alpha1.Identity) (string, error) {
	before, was := "", ""
	if old != nil {
		before = old.Annotations[v1alpha1.AnnotationEdits]
		was, _ = digest.OfAction(old) // one that has no digest was changed by nobody knows whom
	}
	if isDryRun(req) || !w.edited(next, old, was) {
		return before, nil
	}
	is, err := digest.OfAction(next)
	if err != nil {
		return "", fmt.Errorf("failed to note who changes the Action: %w", err)
	}
	// The API server has not put it there yet, but will.
	named := next.DeepCopy()
	if named.Namespace = req.Namespace; old != nil {
		named.UID = old.UID
	}
	text, err := w.Evidence.SealEdit(named, old, was, evidence.Edit{
		Username: caller.Username, Person: caller.Person, At: evidence.Instant(w.Wall.Now()), Spec: is,
	})
	if err != nil {
		return "", fmt.Errorf("failed to seal who changes the Action: %w", err)
	}
	return text, nil
}

// edited tells whether a write changes what an Action says, or whom it is about. Whoever writes one of which nobody knows who changed it
// last vouches for it, and so is its editor.
func (w *actions) edited(next, old *v1alpha1.Action, was string) bool {
	if old == nil || !apiequality.Semantic.DeepEqual(selectable(next), selectable(old)) {
		return true
	}
	_, err := w.Evidence.Edits(old, was)
	return err != nil
}

// noted tells whether the final Action is what was noted, whatever other webhooks made of it.
func (w *governing) noted(req *admission.Request, next *v1alpha1.Action) *admission.Response {
	if isDryRun(req) {
		return nil
	}
	is, err := digest.OfAction(next)
	if err != nil {
		return ptr(forbidden("", err.Error()))
	}
	if _, err := w.Evidence.Edits(next, is); err != nil {
		return ptr(unsealed(err))
	}
	return nil
}
