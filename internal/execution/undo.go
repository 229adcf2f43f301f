package execution

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	jsonpatch "github.com/evanphx/json-patch/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/undo"
)

// What a temporary request writes is taken back later, also by another process that knows the Record only. So how each write is taken
// back is stored before it is sent.

// maxUndoFields is how many fields of one object the API stores.
const maxUndoFields = 512

func (t *task) temporary() bool { return t.record.Spec.Duration != "" }

// undoable tells whether what a step does can be taken back.
func undoable(step *v1alpha1.RenderedStep) bool {
	return step.HTTP == nil && !slices.ContainsFunc(step.Writes, func(w v1alpha1.RenderedWrite) bool {
		return w.Operation != v1alpha1.WriteApply && w.Operation != v1alpha1.WriteStrategicPatch && w.Operation != v1alpha1.WriteMergePatch
	})
}

// undoNoted tells whether it is stored how the writes of the step are taken back. A further attempt must not take what the first one wrote for
// what was there.
func (t *task) undoNoted() bool {
	_, noted := t.basis(basisUndo)
	return noted || slices.ContainsFunc(t.record.Status.Undo, func(u v1alpha1.Undo) bool { return u.Step == t.step.Name })
}

// noteUndo notes how every write of the step is taken back.
func (t *task) noteUndo(ctx context.Context) (Outcome, error) {
	if t.expired() {
		return t.fail("nothing was written: %s was over before the step could begin", t.limit.name), nil
	}
	var noted []v1alpha1.Undo
	for i := range t.step.Writes {
		w := &t.step.Writes[i]
		if t.creates(noted, w.Object) {
			continue // deleting it takes back everything that is written to it
		}
		entry, err := t.undoOf(ctx, w)
		if err != nil {
			return t.failed("find out how to take back what it writes to "+describe(w.Object), err)
		}
		noted = append(noted, *entry)
	}
	t.record.Status.Undo = append(t.record.Status.Undo, noted...)
	t.status.Basis = basisUndo
	return Outcome{Status: t.status, Intent: true}, nil
}

// creates tells whether this execution creates the object.
func (t *task) creates(noted []v1alpha1.Undo, object v1alpha1.ObjectReference) bool {
	is := func(u v1alpha1.Undo) bool { return u.Created && u.Object == object }
	return slices.ContainsFunc(t.record.Status.Undo, is) || slices.ContainsFunc(noted, is)
}

// undoOf finds out how one write is taken back. What it changes, with all that the API server and webhooks add, tells a dry run.
func (t *task) undoOf(ctx context.Context, w *v1alpha1.RenderedWrite) (*v1alpha1.Undo, error) {
	entry := &v1alpha1.Undo{Step: t.step.Name, Object: w.Object, FieldManager: w.FieldManager}
	live, err := t.get(ctx, w.Object)
	if apierrors.IsNotFound(err) {
		entry.Created = true
		return entry, nil
	}
	if err != nil {
		return nil, err
	}
	if w.Object.Kind == "Secret" && w.Object.APIVersion == "v1" {
		return nil, final("it exists already, and the values that a Secret had are not stored: create a Secret of its own")
	}
	after, err := t.sendAs(ctx, w, metav1.DryRunAll)
	if err != nil {
		return nil, err
	}
	entry.UID = live.GetUID()
	if entry.Fields, err = undo.Fields(live.Object, after.Object); err != nil {
		return nil, final(err.Error())
	}
	if len(entry.Fields) > maxUndoFields {
		return nil, final(fmt.Sprintf("it changes %d fields, and at most %d can be taken back", len(entry.Fields), maxUndoFields))
	}
	return entry, nil
}

// wroteUndo notes the uid of an object that the step has created.
func (t *task) wroteUndo(object *unstructured.Unstructured, ref v1alpha1.ObjectReference) {
	for i := range t.record.Status.Undo {
		if entry := &t.record.Status.Undo[i]; entry.Created && entry.UID == "" && entry.Object == ref {
			entry.UID = object.GetUID()
		}
	}
}

// Reverted is how far taking back has come.
type Reverted struct {
	// Left says what is still there, and why. Empty: it is gone.
	Left []string
	// Kept says what is not taken back, because it is no longer what was written.
	Kept []string
	// Waiting are the objects that are still being deleted.
	Waiting []v1alpha1.ObjectReference
}

// Revert takes back what the steps of a Record have written, the last write first. It goes on where something cannot be taken back, and can
// be called again until nothing is left. It never waits.
func (r *Runner) Revert(ctx context.Context, record *v1alpha1.Record) *Reverted {
	t := &task{Runner: r, record: record, now: r.clock.Now()}
	out := &Reverted{}
	for i := len(record.Status.Undo) - 1; i >= 0; i-- {
		entry := &record.Status.Undo[i]
		var err error
		if entry.Created {
			err = t.uncreate(ctx, entry, out)
		} else {
			err = t.restore(ctx, entry, out)
		}
		if err != nil {
			out.Left = append(out.Left, t.unable(entry, err))
		}
	}
	return out
}

// unable says why something is left, and what a person can do.
func (t *task) unable(entry *v1alpha1.Undo, err error) string {
	said := err.Error()
	if status, ok := statusOf(err); ok && status.Message != "" {
		said = status.Message
	}
	if apierrors.IsForbidden(err) {
		said += fmt.Sprintf(". Grant it to ServiceAccount %s/%s", t.record.Spec.ActionRef.Namespace, t.record.Spec.ServiceAccountName)
	}
	return oneLine(fmt.Sprintf("%s is left: %s", describe(entry.Object), said))
}

// uncreate deletes an object that a step has created, and nothing else that has its name.
func (t *task) uncreate(ctx context.Context, entry *v1alpha1.Undo, out *Reverted) error {
	live, err := t.get(ctx, entry.Object)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	case entry.UID != "" && live.GetUID() != entry.UID, entry.UID == "" && !managed(live, entry.FieldManager):
		out.Kept = append(out.Kept, describe(entry.Object)+" is another one now")
		return nil
	}
	if live.GetDeletionTimestamp() == nil {
		if err := t.erase(ctx, entry.Object, live.GetUID()); err != nil {
			return err
		}
		if live, err = t.get(ctx, entry.Object); apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	out.Waiting = append(out.Waiting, entry.Object)
	out.Left = append(out.Left, describe(entry.Object)+" is left: "+heldBy(live))
	return nil
}

func (t *task) erase(ctx context.Context, ref v1alpha1.ObjectReference, uid types.UID) error {
	resource, err := t.resource(ref)
	if err != nil {
		return err
	}
	background := metav1.DeletePropagationBackground
	err = resource.Delete(ctx, ref.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &background})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// restoreTries is how often an object is read again that somebody writes at the same moment.
const restoreTries = 3

// restore gives the fields of an object that are still ours what they had.
func (t *task) restore(ctx context.Context, entry *v1alpha1.Undo, out *Reverted) error {
	var err error
	for range restoreTries {
		var live *unstructured.Unstructured
		live, err = t.get(ctx, entry.Object)
		if apierrors.IsNotFound(err) || err == nil && live.GetUID() != entry.UID {
			out.Kept = append(out.Kept, describe(entry.Object)+" is gone")
			return nil
		}
		if err != nil {
			return err
		}
		var kept []string
		if kept, err = t.restoreOnce(ctx, entry, live); !apierrors.IsConflict(err) {
			for _, path := range kept {
				out.Kept = append(out.Kept, fmt.Sprintf("%s of %s was changed since by somebody else", path, describe(entry.Object)))
			}
			return err
		}
	}
	return err
}

func (t *task) restoreOnce(ctx context.Context, entry *v1alpha1.Undo, live *unstructured.Unstructured) (kept []string, err error) {
	restored, err := undo.Restore(live.Object, entry.Fields)
	if err != nil || !restored.Changed {
		if err == nil {
			kept = restored.Kept
		}
		return kept, err
	}
	patch, err := mergePatch(live, restored.Object)
	if err != nil {
		return nil, err
	}
	resource, err := t.resource(entry.Object)
	if err != nil {
		return nil, err
	}
	_, err = resource.Patch(ctx, entry.Object.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: entry.FieldManager})
	return restored.Kept, err
}

// mergePatch makes one version of an object another one, and fails where it is a third one meanwhile.
func mergePatch(live *unstructured.Unstructured, wanted map[string]any) ([]byte, error) {
	before, err := json.Marshal(live.Object)
	if err != nil {
		return nil, fmt.Errorf("failed to read the object: %w", err)
	}
	after, err := json.Marshal(wanted)
	if err != nil {
		return nil, fmt.Errorf("failed to read the object: %w", err)
	}
	raw, err := jsonpatch.CreateMergePatch(before, after)
	if err != nil {
		return nil, fmt.Errorf("failed to compare: %w", err)
	}
	patch := map[string]any{}
	if err := json.Unmarshal(raw, &patch); err != nil {
		return nil, fmt.Errorf("failed to compare: %w", err)
	}
	metadata, _ := patch["metadata"].(map[string]any)
	if metadata == nil {
		metadata = map[string]any{}
		patch["metadata"] = metadata
	}
	metadata["resourceVersion"] = live.GetResourceVersion()
	return json.Marshal(patch)
}

// managed tells whether a field manager has written the object.
func managed(object *unstructured.Unstructured, manager string) bool {
	return slices.ContainsFunc(object.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool { return e.Manager == manager })
}
