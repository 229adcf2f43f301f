package execution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	jsonpatch "github.com/evanphx/json-patch/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"

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

// version is one version of an object. None: there was no object.
type version struct {
	uid             types.UID
	resourceVersion string
}

func versionOf(object *unstructured.Unstructured) version {
	return version{object.GetUID(), object.GetResourceVersion()}
}

// lending are the versions that objects had when it was noted how writes to them are taken back.
type lending map[v1alpha1.ObjectReference]version

// noteUndo notes how every write of the step is taken back, before it is sent.
func (t *task) noteUndo(ctx context.Context) (Outcome, error) {
	versions := lending{}
	for i := range t.step.Writes {
		w := &t.step.Writes[i]
		seen, err := t.note(ctx, w)
		if apierrors.IsNotFound(err) {
			return t.failed(doing(w), err)
		}
		if err != nil {
			return t.failed("find out how to take back what it writes to "+describe(w.Object), err)
		}
		versions[w.Object] = seen
	}
	t.announces(basisUndo)
	t.noted.Add(t.announcement(), versions)
	return Outcome{Status: t.status, Intent: true}, nil
}

// note notes how one write is taken back from the object as it is now, and gives the version of that. What was noted before an earlier attempt
// holds as far as that attempt has written.
func (t *task) note(ctx context.Context, w *v1alpha1.RenderedWrite) (version, error) {
	live, err := t.get(ctx, w.Object)
	switch {
	case apierrors.IsNotFound(err) && w.Operation == v1alpha1.WriteApply:
		t.noteAs(&v1alpha1.Undo{Step: t.step.Name, Object: w.Object, FieldManager: w.FieldManager, Created: true})
		return version{}, nil
	case err != nil:
		return version{}, err
	case t.made(live, w):
		return versionOf(live), nil
	}
	return versionOf(live), t.noteChanges(ctx, live, w)
}

// noteChanges notes how a write to an object that is there is taken back.
func (t *task) noteChanges(ctx context.Context, live *unstructured.Unstructured, w *v1alpha1.RenderedWrite) error {
	if w.Object.Kind == "Secret" && w.Object.APIVersion == "v1" {
		return final("it exists already, and the values that a Secret had are not stored: create a Secret of its own")
	}
	fields, err := t.changes(ctx, live, w)
	if err != nil {
		return err
	}
	if before := t.undo(w); before != nil && before.UID == live.GetUID() && managed(live, w.FieldManager) {
		fields = undo.Overlay(before.Fields, fields)
	}
	if len(fields) > maxUndoFields {
		return final(fmt.Sprintf("it changes %d fields, and at most %d can be taken back", len(fields), maxUndoFields))
	}
	t.noteAs(&v1alpha1.Undo{Step: t.step.Name, Object: w.Object, FieldManager: w.FieldManager, UID: live.GetUID(), Fields: fields})
	return nil
}

// changes are the fields that a write changes, with all that the API server and webhooks add: a dry run tells.
func (t *task) changes(ctx context.Context, live *unstructured.Unstructured, w *v1alpha1.RenderedWrite) ([]v1alpha1.UndoField, error) {
	after, err := t.sendAs(ctx, w, metav1.DryRunAll)
	if err != nil {
		return nil, err
	}
	fields, err := undo.Fields(live.Object, after.Object)
	if err != nil {
		return nil, final(err.Error())
	}
	return fields, nil
}

// made tells whether this execution has created the object. Deleting it takes back everything that is written to it.
func (t *task) made(live *unstructured.Unstructured, w *v1alpha1.RenderedWrite) bool {
	if entry := t.undo(w); entry != nil && entry.Created && entry.UID == "" && managed(live, w.FieldManager) {
		entry.UID = live.GetUID() // the process ended before it could store this
	}
	return slices.ContainsFunc(t.record.Status.Undo, func(u v1alpha1.Undo) bool {
		return u.Created && u.Object == w.Object && u.UID == live.GetUID()
	})
}

// undo is how a write of this step is taken back, as far as it is known.
func (t *task) undo(w *v1alpha1.RenderedWrite) *v1alpha1.Undo {
	for i := range t.record.Status.Undo {
		if entry := &t.record.Status.Undo[i]; entry.Step == t.step.Name && entry.Object == w.Object {
			return entry
		}
	}
	return nil
}

func (t *task) noteAs(entry *v1alpha1.Undo) {
	if before := t.undo(&v1alpha1.RenderedWrite{Object: entry.Object}); before != nil {
		*before = *entry
		return
	}
	t.record.Status.Undo = append(t.record.Status.Undo, *entry)
}

// sender sends writes to the versions that were noted, and to no others. After a refusal it is noted again.
func (l lending) sender(t *task) func(context.Context, *v1alpha1.RenderedWrite) (*unstructured.Unstructured, error) {
	return func(ctx context.Context, w *v1alpha1.RenderedWrite) (*unstructured.Unstructured, error) {
		object, err := t.sendTo(ctx, w, l[w.Object])
		if err != nil {
			t.noted.Remove(t.announcement())
			return nil, err
		}
		l[w.Object] = versionOf(object)
		if entry := t.undo(w); entry != nil && entry.Created {
			entry.UID = object.GetUID()
		}
		return object, nil
	}
}

// sendTo sends a write to one version of an object, or creates it where there was none. A conflict says that it is another one meanwhile.
func (t *task) sendTo(ctx context.Context, w *v1alpha1.RenderedWrite, to version) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(w.Body.Raw, &object.Object); err != nil {
		return nil, final("what it writes cannot be read: " + err.Error())
	}
	if to.uid == "" {
		return t.createAs(ctx, w, object)
	}
	object.SetUID(to.uid) // without it, an apply creates an object that is gone
	object.SetResourceVersion(to.resourceVersion)
	raw, err := json.Marshal(object.Object)
	if err != nil {
		return nil, fmt.Errorf("failed to encode what is written: %w", err)
	}
	guarded := *w
	guarded.Body.Raw = raw
	object, err = t.send(ctx, &guarded)
	if apierrors.IsNotFound(err) {
		return nil, apierrors.NewConflict(schema.GroupResource{Resource: w.Object.Kind}, w.Object.Name, errors.New("it is gone meanwhile"))
	}
	return object, err
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
	propagation := metav1.DeletePropagationBackground
	if ownsOthers(ref) {
		propagation = metav1.DeletePropagationForeground
	}
	err = resource.Delete(ctx, ref.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &propagation})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// ownsOthers tells whether objects of a kind have others do their work: these must be gone before it is. What has an effect by itself, such as a
// RoleBinding, must not stay until the garbage collector has looked at it.
func ownsOthers(ref v1alpha1.ObjectReference) bool {
	switch schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).Group {
	case "":
		return ref.Kind == "ReplicationController"
	case "apps", "batch":
		return true
	}
	// Of somebody's own kinds nobody knows what they do: their controller may make again what is removed while they are still there.
	return false
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
		var kept []undo.Kept
		if kept, err = t.restoreOnce(ctx, entry, live); !apierrors.IsConflict(err) {
			for _, field := range kept {
				out.Kept = append(out.Kept, field.Text(describe(entry.Object)))
			}
			return err
		}
	}
	return err
}

func (t *task) restoreOnce(ctx context.Context, entry *v1alpha1.Undo, live *unstructured.Unstructured) (kept []undo.Kept, err error) {
	restored, err := undo.Restore(live.Object, entry.Fields, t.managers())
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

// managers are the field managers of what is taken back.
func (t *task) managers() []string {
	var all []string
	for i := range t.record.Status.Undo {
		all = append(all, t.record.Status.Undo[i].FieldManager)
	}
	return all
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
