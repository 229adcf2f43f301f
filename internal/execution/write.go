package execution

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// A step that must not be repeated, or that has something to wait for, remembers in basis how far it is.
const (
	// basisWritten says that everything is written, with the resourceVersion that came of it, or that the Job is complete, with its uid.
	basisWritten = "written:"
	// basisIntent says that a JSON patch is about to be sent, to the object at this resourceVersion, and by whom.
	basisIntent = "intent:"
	// basisUndo says that it is stored how the writes are taken back, and by whom.
	basisUndo = "undo:"
	// basisReached says that the step is to run, and has done nothing yet.
	basisReached = "reached:"
	// basisJob says that the Job exists, with its uid.
	basisJob = "job:"
)

// OnlyWaits tells whether a step has written everything that it writes and only waits, or waits for its next attempt, so that nothing is
// cut in two where it ends here. It does not speak of Jobs that run, which act for as long as they do.
func OnlyWaits(status *v1alpha1.StepStatus) bool {
	return status.State == v1alpha1.StepStarted && (Written(status) || status.RetryAt != nil)
}

// Written tells whether a step has written everything that it writes.
func Written(status *v1alpha1.StepStatus) bool { return strings.HasPrefix(status.Basis, basisWritten) }

// OnlyAnnounced tells whether a step has said that it is about to call a host, and is not known to have done it.
func OnlyAnnounced(status *v1alpha1.StepStatus) bool {
	return status.State == v1alpha1.StepStarted && status.RetryAt == nil && strings.HasPrefix(status.Basis, basisCall)
}

// Begun tells whether a step has sent everything that it sends, so that it starts nothing more: it only waits, or its Job exists.
func Begun(status *v1alpha1.StepStatus) bool {
	return status.State == v1alpha1.StepStarted && (OnlyWaits(status) || strings.HasPrefix(status.Basis, basisJob))
}

// basis gives what is remembered under the prefix.
func (t *task) basis(prefix string) (string, bool) { return strings.CutPrefix(t.status.Basis, prefix) }

var verbs = map[v1alpha1.WriteOperation]string{
	v1alpha1.WriteApply: "apply", v1alpha1.WriteStrategicPatch: "patch", v1alpha1.WriteMergePatch: "patch",
	v1alpha1.WriteJSONPatch: "patch", v1alpha1.WriteCreateJob: "create", v1alpha1.WriteDelete: "delete",
}

// doing says what a write does, for errors.
func doing(w *v1alpha1.RenderedWrite) string { return verbs[w.Operation] + " " + describe(w.Object) }

// repeatable does writes that have the same result however often they are sent. After a crash all of them are simply sent again.
func (t *task) repeatable(ctx context.Context) (Outcome, error) {
	t.repeat = true
	if _, written := t.basis(basisWritten); written {
		return t.await(ctx)
	}
	if t.expired() {
		return t.tooLate("written"), nil
	}
	send := t.send
	if t.temporary() {
		versions, noted := t.noted.Get(t.announcement())
		if !noted {
			return t.noteUndo(ctx)
		}
		send = versions.(lending).sender(t) //nolint:forcetypeassert // nothing else is stored
	}
	var object *unstructured.Unstructured
	for i := range t.step.Writes {
		w := &t.step.Writes[i]
		var err error
		if object, err = t.sending(func() (*unstructured.Unstructured, error) { return send(ctx, w) }); err != nil {
			out, err := t.refused(ctx, w, err)
			out.Status.Message = t.withWritten(out.Status.Message, i)
			return out, err
		}
	}
	t.status.Basis = basisWritten + object.GetResourceVersion()
	return t.await(ctx)
}

// withWritten adds to what a step says about one of its writes that those before it were done.
func (t *task) withWritten(message string, count int) string {
	if count == 0 {
		return message
	}
	names := make([]string, count)
	for i := range names {
		names[i] = describe(t.step.Writes[i].Object)
	}
	left := "left as it is"
	if t.temporary() {
		left = "taken back at the end"
	}
	return oneLine(message + ". Written before that, and " + left + ": " + strings.Join(names, ", "))
}

// refused judges an error of a write. Where what is there is not what the write was compared with, that is why, and trying again mends nothing.
func (t *task) refused(ctx context.Context, w *v1alpha1.RenderedWrite, err error) (Outcome, error) {
	if w.UID != "" && (apierrors.IsConflict(err) || apierrors.IsInvalid(err) || apierrors.IsNotFound(err)) {
		live, readErr := t.get(ctx, w.Object)
		if why := otherThanPlanned(w, live, readErr); why != "" {
			return t.fail("%s", why), nil
		}
	}
	return t.failed(doing(w), err)
}

// otherThanPlanned says why an object, as it was read, is not the one with which a write was compared. Empty: it is, or any will do, or nobody can tell.
func otherThanPlanned(w *v1alpha1.RenderedWrite, live *unstructured.Unstructured, err error) string {
	switch {
	case w.UID == "":
	case apierrors.IsNotFound(err) && !unserved(err):
		return fmt.Sprintf("%s was there when it was planned and is gone, and is not made anew. Make a new request", describe(w.Object))
	case err == nil && live.GetUID() != w.UID:
		return fmt.Sprintf("%s is another one than was planned, and nothing is written to it. Make a new request", describe(w.Object))
	}
	return ""
}

// bound is what a write sends: with the uid of the object with which it was compared, so that the API server refuses it where there is another one, or none.
func bound(w *v1alpha1.RenderedWrite) ([]byte, error) {
	if w.UID == "" || w.Operation == v1alpha1.WriteJSONPatch { // which is sent to one version of the object
		return w.Body.Raw, nil
	}
	object, err := decoded(w)
	if err != nil || object.GetUID() != "" {
		return w.Body.Raw, err
	}
	return encoded(object, version{uid: w.UID})
}

// decoded is what a write sends.
func decoded(w *v1alpha1.RenderedWrite) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(w.Body.Raw, &object.Object); err != nil {
		return nil, final("what it writes cannot be read: " + err.Error())
	}
	return object, nil
}

// encoded is what is sent to one object, or to one version of it: without the uid, an apply creates an object that is gone.
func encoded(object *unstructured.Unstructured, to version) ([]byte, error) {
	object.SetUID(to.uid)
	object.SetResourceVersion(to.resourceVersion)
	raw, err := json.Marshal(object.Object)
	if err != nil {
		return nil, fmt.Errorf("failed to encode what is written: %w", err)
	}
	return raw, nil
}

// send sends one write. Unknown and duplicate fields are refused rather than dropped: what was agreed to is what is stored.
func (t *task) send(ctx context.Context, w *v1alpha1.RenderedWrite) (*unstructured.Unstructured, error) {
	return t.sendAs(ctx, w)
}

// createAs creates an object, for a dry run or not.
func (t *task) createAs(ctx context.Context, w *v1alpha1.RenderedWrite, object *unstructured.Unstructured, dryRun ...string) (*unstructured.Unstructured, error) {
	resource, err := t.resource(w.Object)
	if err != nil {
		return nil, err
	}
	return resource.Create(ctx, object, metav1.CreateOptions{FieldManager: w.FieldManager, FieldValidation: metav1.FieldValidationStrict, DryRun: dryRun})
}

// sendAs sends one write, for a dry run or not.
func (t *task) sendAs(ctx context.Context, w *v1alpha1.RenderedWrite, dryRun ...string) (*unstructured.Unstructured, error) {
	resource, err := t.resource(w.Object)
	if err != nil {
		return nil, err
	}
	options := metav1.PatchOptions{FieldManager: w.FieldManager, FieldValidation: metav1.FieldValidationStrict, DryRun: dryRun}
	kind := types.ApplyPatchType
	switch w.Operation {
	case v1alpha1.WriteApply:
		force := w.Conflicts == v1alpha1.ConflictsTake
		options.Force = &force
	case v1alpha1.WriteStrategicPatch:
		kind = types.StrategicMergePatchType
	case v1alpha1.WriteMergePatch:
		kind = types.MergePatchType
	case v1alpha1.WriteJSONPatch:
		kind = types.JSONPatchType
	default:
		return nil, fmt.Errorf("operation %q is no patch", w.Operation)
	}
	body, err := bound(w)
	if err != nil {
		return nil, err
	}
	return resource.Patch(ctx, w.Object.Name, kind, body, options)
}
