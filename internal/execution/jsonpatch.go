package execution

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/steps"
)

// A JSON patch may have another result each time it is sent, so it is sent to one version of the object only: first that version is
// stored, then the patch is sent with a test for it. Whatever happens in between, it is never applied twice. Where it cannot be told
// afterwards whether it was applied, the step fails and says so.

func (t *task) jsonPatch(ctx context.Context) (Outcome, error) {
	if len(t.step.Writes) != 1 {
		return t.fail("a step with a JSON patch can write one object only"), nil
	}
	if _, written := t.basis(basisWritten); written {
		return t.await(ctx)
	}
	if intent, intended := t.basis(basisIntent); intended {
		version, _, _ := strings.Cut(intent, "/")
		return t.sendOnce(ctx, version)
	}
	return t.announce(ctx)
}

// announce notes the version of the object to which the patch will be sent.
func (t *task) announce(ctx context.Context) (Outcome, error) {
	w := &t.step.Writes[0]
	t.repeat = true // nothing has been sent
	if t.expired() {
		return t.fail("nothing was written: %s was over before the patch could be sent", t.limit.name), nil
	}
	live, err := t.get(ctx, w.Object)
	if err != nil {
		return t.failed("read "+describe(w.Object), err)
	}
	return t.intend(live), nil
}

// intend announces that the patch is sent to this version of the object, if it is the one with which it was compared.
func (t *task) intend(live *unstructured.Unstructured) Outcome {
	if why := otherThanPlanned(&t.step.Writes[0], live, nil); why != "" {
		return t.fail("%s", why)
	}
	t.announces(basisIntent + live.GetResourceVersion())
	t.unsent.Add(t.announcement(), true)
	return Outcome{Status: t.status, Intent: true}
}

// sendOnce sends the patch to that version of the object.
func (t *task) sendOnce(ctx context.Context, version string) (Outcome, error) {
	w, key := &t.step.Writes[0], t.announcement()
	_, unsent := t.unsent.Get(key)
	if !unsent {
		// It may have been sent already, by this process or one before it.
		if out, over, err := t.resume(ctx, version); over {
			return out, err
		}
	}
	if t.expired() {
		return t.fail("nothing was written: %s was over before the patch could be sent", t.limit.name), nil
	}
	guarded, err := guard(w, version)
	if err != nil {
		return t.fail("%s", explain(doing(w), err)), nil
	}
	t.unsent.Remove(key)
	object, err := t.send(ctx, guarded)
	if err == nil {
		return t.written(ctx, object)
	}
	if !isRejection(err) {
		return t.failed(doing(w), err)
	}
	if unsent {
		t.unsent.Add(key, true)
	}
	t.repeat = true // it was refused, and not applied before
	return t.rejected(ctx, version, unsent, err)
}

// guard puts a test of the version in front of the patch.
func guard(w *v1alpha1.RenderedWrite, version string) (*v1alpha1.RenderedWrite, error) {
	var operations []json.RawMessage
	if err := json.Unmarshal(w.Body.Raw, &operations); err != nil {
		return nil, fmt.Errorf("failed to read the patch: %w", err)
	}
	test, err := json.Marshal(map[string]string{"op": "test", "path": "/metadata/resourceVersion", "value": version})
	if err != nil {
		return nil, fmt.Errorf("failed to guard the patch: %w", err)
	}
	out := w.DeepCopy()
	out.Body.Raw, err = json.Marshal(slices.Insert(operations, 0, json.RawMessage(test)))
	return out, err
}

// resume finds out whether a patch that may have been sent was applied. Over says that nothing must be sent.
func (t *task) resume(ctx context.Context, version string) (Outcome, bool, error) {
	w := &t.step.Writes[0]
	live, err := t.get(ctx, w.Object)
	switch {
	case apierrors.IsNotFound(err):
		return t.unknown("is gone"), true, nil
	case err != nil:
		out, err := t.failed("read "+describe(w.Object), err)
		return out, true, err
	case wrote(live, w.FieldManager):
		out, err := t.written(ctx, live)
		return out, true, err
	case live.GetResourceVersion() != version:
		return t.unknown("has changed since"), true, nil
	}
	return Outcome{}, false, nil
}

// rejected is about a patch that the API server refused. Unsent says that it was certainly the first time that it was sent.
func (t *task) rejected(ctx context.Context, version string, unsent bool, refusal error) (Outcome, error) {
	w := &t.step.Writes[0]
	if !apierrors.IsInvalid(refusal) && !apierrors.IsConflict(refusal) {
		return t.failed(doing(w), refusal)
	}
	// Either the object has changed, or the patch itself does not fit.
	live, err := t.get(ctx, w.Object)
	switch {
	case err != nil:
		return t.failed("read "+describe(w.Object), err)
	case wrote(live, w.FieldManager):
		return t.written(ctx, live)
	case live.GetResourceVersion() == version && steps.OnSecret(t.step):
		return t.giveUp("%s", explain(doing(w), discreet(refusal))), nil
	case live.GetResourceVersion() == version:
		return t.giveUp("%s%s", explain(doing(w), refusal), misfit(w, live)), nil
	case unsent:
		return t.intend(live), nil
	}
	return t.unknown("has changed since"), nil
}

// mostCopied is how many bytes the copies of a patch may make, as in the API server: copies of copies would fill the memory.
const mostCopied = 3 << 20

// misfit says which operation does not fit, which the API server does not.
func misfit(w *v1alpha1.RenderedWrite, live *unstructured.Unstructured) string {
	patch, err := jsonpatch.DecodePatch(w.Body.Raw)
	if err != nil {
		return ": " + err.Error()
	}
	object, err := live.MarshalJSON()
	if err != nil {
		return ""
	}
	options := jsonpatch.NewApplyOptions()
	options.AccumulatedCopySizeLimit = mostCopied
	if _, err := patch.ApplyWithOptions(object, options); err != nil {
		return ": " + err.Error()
	}
	return ""
}

// wrote reports whether the manager, which nobody but this step of this request is, has written the object.
func wrote(object *unstructured.Unstructured, manager string) bool {
	return slices.ContainsFunc(object.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == manager && e.Operation == metav1.ManagedFieldsOperationUpdate
	})
}

func (t *task) unknown(what string) Outcome {
	object := describe(t.step.Writes[0].Object)
	return t.fail("it cannot be told whether the JSON patch of %s was applied: sending it was interrupted, and the object %s. It is not sent again. Look at the object, and make a new request if the change is missing", object, what)
}

// written notes that the patch was applied.
func (t *task) written(ctx context.Context, object *unstructured.Unstructured) (Outcome, error) {
	t.status.Basis = basisWritten + object.GetResourceVersion()
	t.repeat = false // a second time it could have another result
	out, err := t.await(ctx)
	out.Intent = out.Status.State == v1alpha1.StepStarted
	return out, err
}
