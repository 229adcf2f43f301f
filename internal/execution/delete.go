package execution

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// remove deletes the object that was planned, by its uid, and waits until it is gone. A deletion can be sent as often as one likes: another
// object of that name has another uid, and is never deleted.
func (t *task) remove(ctx context.Context) (Outcome, error) {
	if len(t.step.Writes) != 1 {
		return t.fail("a step that deletes can delete one object only"), nil
	}
	t.repeat = true
	w := &t.step.Writes[0]
	options, err := deletion(w)
	if err != nil {
		return t.fail("%s", explain(doing(w), err)), nil
	}
	if options == nil {
		return t.unplanned(ctx, w)
	}
	if _, sent := t.basis(basisWritten); sent {
		return t.gone(ctx, w, *options.Preconditions.UID)
	}
	if t.expired() {
		return t.tooLate("deleted"), nil
	}
	return t.sendDelete(ctx, w, *options)
}

// unplanned ends a step whose object did not exist when it was planned. Nobody agreed to delete what was made since, and that it stays must not
// look as if it was gone. What somebody else deletes is waited for.
func (t *task) unplanned(ctx context.Context, w *v1alpha1.RenderedWrite) (Outcome, error) {
	live, _, err := t.served(ctx, w.Object)
	switch {
	case apierrors.IsNotFound(err):
		return t.doneAs("%s did not exist when it was planned, and does not now: nothing was deleted", describe(w.Object)), nil
	case err != nil:
		return t.failed("read "+describe(w.Object), err)
	case live.GetDeletionTimestamp() != nil:
		return t.leaving(w, live), nil
	}
	return t.fail("%s stays: it did not exist when it was planned, and nobody agreed to delete what was made since. Delete it by hand, or make another request, which deletes what is there now", describe(w.Object)), nil
}

// deletion is what a write sends to delete its object, by a uid. Nil: there was none when it was planned.
func deletion(w *v1alpha1.RenderedWrite) (*metav1.DeleteOptions, error) {
	options := &metav1.DeleteOptions{}
	if err := json.Unmarshal(w.Body.Raw, options); err != nil {
		return nil, err
	}
	if options.Preconditions == nil || options.Preconditions.UID == nil || *options.Preconditions.UID == "" {
		return nil, nil //nolint:nilnil // that there is nothing to delete is an answer, not an error
	}
	return options, nil
}

func (t *task) sendDelete(ctx context.Context, w *v1alpha1.RenderedWrite, options metav1.DeleteOptions) (Outcome, error) {
	uid := *options.Preconditions.UID
	err := t.deletes(ctx, w.Object, options)
	if unserved(err) {
		var ref v1alpha1.ObjectReference
		if _, ref, err = t.served(ctx, w.Object); err == nil {
			err = t.deletes(ctx, ref, options)
		}
	}
	switch {
	case apierrors.IsNotFound(err):
		return t.doneAs("%s was gone already", describe(w.Object)), nil
	case apierrors.IsConflict(err):
		// The uid is another one, or somebody wrote at the same moment.
		live, _, readErr := t.served(ctx, w.Object)
		if apierrors.IsNotFound(readErr) || readErr == nil && live.GetUID() != uid {
			return t.replaced(w), nil
		}
		return t.failed(doing(w), err)
	case err != nil:
		return t.failed(doing(w), err)
	}
	t.status.Basis = basisWritten + string(uid)
	return t.gone(ctx, w, uid)
}

// deletes sends the deletion, in a version of the kind.
func (t *task) deletes(ctx context.Context, ref v1alpha1.ObjectReference, options metav1.DeleteOptions) error {
	resource, err := t.resource(ref)
	if err != nil {
		return err
	}
	_, err = t.sending(func() (*unstructured.Unstructured, error) { return nil, resource.Delete(ctx, ref.Name, options) })
	return err
}

func (t *task) replaced(w *v1alpha1.RenderedWrite) Outcome {
	return t.doneAs("the %s that was to be deleted is gone; what has its name now is another one, and stays", describe(w.Object))
}

// gone ends the step once the object is no longer there. One that is only not served any more in the version in which it was planned still is.
func (t *task) gone(ctx context.Context, w *v1alpha1.RenderedWrite, uid types.UID) (Outcome, error) {
	live, _, err := t.served(ctx, w.Object)
	switch {
	case apierrors.IsNotFound(err):
		return t.done(), nil
	case err != nil:
		return t.failed("read "+describe(w.Object), err)
	case live.GetUID() != uid:
		return t.replaced(w), nil
	}
	if _, err := t.failing(ctx, live); err != nil {
		return t.giveUp("%s: %v", describe(w.Object), err), nil
	}
	return t.leaving(w, live), nil
}

// leaving waits, as long as the step has time, for an object that is being deleted.
func (t *task) leaving(w *v1alpha1.RenderedWrite, live *unstructured.Unstructured) Outcome {
	state := heldBy(live)
	if t.expired() {
		return t.fail("%s is over, and %s is still there: %s", t.limit.name, describe(w.Object), state)
	}
	return t.waiting("waiting until " + describe(w.Object) + " is gone: " + state)
}

// heldBy says why an object that is being deleted is still there.
func heldBy(live *unstructured.Unstructured) string {
	finalizers := slices.Sorted(slices.Values(live.GetFinalizers()))
	spec, _, _ := unstructured.NestedStringSlice(live.Object, "spec", "finalizers")
	if all := slices.Concat(finalizers, spec); len(all) > 0 {
		return "it is held by " + strings.Join(all, ", ")
	}
	return "it is being deleted"
}
