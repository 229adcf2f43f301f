package execution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/kinds"
	"github.com/signoff-dev/signoff/internal/undo"
)

// What a temporary request writes is taken back later, also by another process that knows the Record only. So how each write is taken
// back is stored before it is sent.

const (
	// maxUndoFields is how many fields of one object the API stores.
	maxUndoFields = 512
	// maxUndoBytes is how large all may be that a Record holds of how its writes are taken back. It holds the writes, too, and etcd takes 1.5 MiB.
	maxUndoBytes = 512 << 10
)

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

// lent is an object to which something is written for a time.
type lent struct {
	// version is the one that it had when it was noted how the write is taken back.
	version

	// told are the fields that the write changes, as the dry run told.
	told []v1alpha1.UndoField
}

// lending are the objects to which a step writes.
type lending map[v1alpha1.ObjectReference]lent

// noteUndo notes how every write of the step is taken back, before it is sent.
func (t *task) noteUndo(ctx context.Context) (Outcome, error) {
	objects := lending{}
	for i := range t.step.Writes {
		w := &t.step.Writes[i]
		seen, err := t.note(ctx, w)
		if apierrors.IsNotFound(err) {
			return t.failed(doing(w), err)
		}
		if err != nil {
			return t.failed("find out how to take back what it writes to "+describe(w.Object), err)
		}
		objects[w.Object] = seen
	}
	t.announces(basisUndo)
	t.noted.Add(t.announcement(), objects)
	return Outcome{Status: t.status, Intent: true}, nil
}

// note notes how one write is taken back from the object as it is now, and gives the version of that. What was noted before an earlier attempt
// holds as far as that attempt has written.
func (t *task) note(ctx context.Context, w *v1alpha1.RenderedWrite) (lent, error) {
	live, err := t.get(ctx, w.Object)
	if why := otherThanPlanned(w, live, err); why != "" {
		return lent{}, final(why)
	}
	switch {
	case apierrors.IsNotFound(err) && w.Operation == v1alpha1.WriteApply:
		t.noteAs(&v1alpha1.Undo{Step: t.step.Name, Object: w.Object, FieldManager: w.FieldManager, Created: true})
		return lent{}, nil
	case err != nil:
		return lent{}, err
	case t.made(live, w):
		return lent{version: versionOf(live)}, nil
	}
	told, err := t.noteChanges(ctx, live, w)
	return lent{versionOf(live), told}, err
}

// noteChanges notes how a write to an object that is there is taken back, and gives what it changes.
func (t *task) noteChanges(ctx context.Context, live *unstructured.Unstructured, w *v1alpha1.RenderedWrite) ([]v1alpha1.UndoField, error) {
	if kinds.IsSecret(&w.Object) {
		return nil, final("it exists already, and the values that a Secret had are not stored: create a Secret of its own")
	}
	told, err := t.changes(ctx, live, w)
	if err != nil {
		return nil, err
	}
	fields := told
	switch before := t.undo(w); {
	case before == nil || before.UID != live.GetUID():
	case managed(live, w.FieldManager):
		// An earlier attempt has written, and the process may have ended before it could note what came of it.
		if err := undo.Found(before.Fields, live.Object, w.FieldManager); err != nil {
			return nil, final(err.Error())
		}
		fields = undo.Overlay(before.Fields, told)
	default:
		// One that only removes something leaves no trace: what is not there any more was there when it was noted, and comes back.
		fields = undo.Overlay(undo.Removed(before.Fields, live.Object), told)
	}
	entry := &v1alpha1.Undo{Step: t.step.Name, Object: w.Object, FieldManager: w.FieldManager, UID: live.GetUID(), Fields: fields}
	if err := t.tooMuch(entry); err != nil {
		return nil, err
	}
	t.noteAs(entry)
	return told, nil
}

// tooMuch says why what is to be noted has no room in the Record.
func (t *task) tooMuch(entry *v1alpha1.Undo) error {
	if len(entry.Fields) > maxUndoFields {
		return final(fmt.Sprintf("it changes %d fields, and at most %d can be taken back", len(entry.Fields), maxUndoFields))
	}
	others := slices.DeleteFunc(slices.Clone(t.record.Status.Undo), func(u v1alpha1.Undo) bool { return u.Step == entry.Step && u.Object == entry.Object })
	noted, err := json.Marshal(append(others, *entry))
	if err != nil {
		return fmt.Errorf("failed to encode how it is taken back: %w", err)
	}
	if len(noted) > maxUndoBytes {
		return final(fmt.Sprintf("what is there and what it becomes have %d bytes, with what the steps before it have changed, and at most %d can be kept to be taken back", len(noted), maxUndoBytes))
	}
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
		before := l[w.Object]
		object, err := t.sendTo(ctx, w, before.version)
		if err != nil {
			t.noted.Remove(t.announcement())
			return nil, err
		}
		l[w.Object] = lent{versionOf(object), before.told}
		return object, t.wrote(w, object, before.told)
	}
}

// wrote notes what came of a write. Where that is lost, what was noted before is taken back, and what the API server chose itself may be told as
// changed by somebody.
func (t *task) wrote(w *v1alpha1.RenderedWrite, object *unstructured.Unstructured, told []v1alpha1.UndoField) error {
	entry := t.undo(w)
	switch {
	case entry == nil:
	case entry.Created:
		entry.UID = object.GetUID()
	default:
		if err := undo.Wrote(entry.Fields, told, object.Object); err != nil {
			return final(err.Error())
		}
	}
	return nil
}

// sendTo sends a write to one version of an object, or creates it where there was none. A conflict says that it is another one meanwhile.
func (t *task) sendTo(ctx context.Context, w *v1alpha1.RenderedWrite, to version) (*unstructured.Unstructured, error) {
	object, err := decoded(w)
	if err != nil {
		return nil, err
	}
	if to.uid == "" {
		if isBare(object) {
			object.SetLabels(map[string]string{v1alpha1.LabelRequestUID: string(t.record.Spec.RequestRef.UID)})
		}
		return t.createAs(ctx, w, object)
	}
	guarded := *w
	guarded.UID = "" // the body has it
	if guarded.Body.Raw, err = encoded(object, to); err != nil {
		return nil, err
	}
	object, err = t.send(ctx, &guarded)
	if apierrors.IsNotFound(err) {
		return nil, apierrors.NewConflict(schema.GroupResource{Resource: w.Object.Kind}, w.Object.Name, errors.New("it is gone meanwhile"))
	}
	return object, err
}

// isBare tells an object that has nothing but a name. The API server notes nobody as having written it, so that it needs a label by which it is known who has.
func isBare(object *unstructured.Unstructured) bool {
	metadata, _ := object.Object["metadata"].(map[string]any)
	return !slices.ContainsFunc(slices.Collect(maps.Keys(object.Object)), func(key string) bool { return key != "apiVersion" && key != "kind" && key != "metadata" }) &&
		!slices.ContainsFunc(slices.Collect(maps.Keys(metadata)), func(key string) bool { return key != "name" && key != "namespace" })
}

// Reverted is how far taking back has come.
type Reverted struct {
	// Left says what is still there, and why. Empty: it is gone.
	Left []string
	// Transient is how many of these are left only because of an error that the next attempt may not meet.
	Transient int
	// Kept says what is not taken back, because it is no longer what was written.
	Kept []string
	// Waiting are the objects that are still being deleted, or may still be written.
	Waiting []v1alpha1.ObjectReference
}

// takenBack stands for the step where something is taken back. No step has that name.
const takenBack = "/revert"

// Revert takes back what the steps of a Record have written, the last write first. It goes on where something cannot be taken back, and can
// be called again until nothing is left. It never waits.
func (r *Runner) Revert(ctx context.Context, record *v1alpha1.Record) *Reverted {
	t := &task{Runner: r, record: record, now: r.clock.Now()}
	out := &Reverted{}
	doubt, until := t.mayLand()
	for i := len(record.Status.Undo) - 1; i >= 0; i-- {
		entry, left := &record.Status.Undo[i], len(out.Left)
		var err error
		if entry.Created {
			err = t.uncreate(ctx, entry, out)
		} else {
			err = t.restore(ctx, entry, out)
		}
		switch {
		case err == nil && entry.Step == doubt && len(out.Left) == left:
			out.Waiting = append(out.Waiting, entry.Object)
			out.Left = append(out.Left, fmt.Sprintf("%s may still be written until %s: sending it was interrupted", describe(entry.Object), moment(until)))
			out.Transient++
		case err != nil:
			// Each change of what is shown would bring the next attempt at once.
			why := t.unable(entry, err)
			out.Left = append(out.Left, t.steady(attempt{takenBack, int32(i)}, why, why)) //nolint:gosec // there are few writes
			if isTransient(err) {
				out.Transient++
			}
		}
	}
	return out
}

// landsWithin is after which time nothing that was sent takes effect any more, longer than any request to the API server lasts.
const landsWithin = 90 * time.Second

// mayLand is the step of which a write may take effect yet, and until when: nobody knows what became of sending it, and a process may be at it that does not know
// that another one has taken over. That its object is not there, or as it was, says nothing before. Empty: there is none.
func (t *task) mayLand() (step string, until time.Time) {
	revert := t.record.Status.Revert
	if revert == nil || !t.now.Before(revert.StartedAt.Add(landsWithin)) {
		return "", time.Time{}
	}
	all := slices.Concat(t.record.Spec.Steps, t.record.Spec.Finally)
	for _, status := range slices.Backward(t.record.Status.Steps) {
		if status.State != v1alpha1.StepStarted && status.State != v1alpha1.StepFailed {
			continue
		}
		i := slices.IndexFunc(all, func(step v1alpha1.RenderedStep) bool { return step.Name == status.Name })
		if i < 0 {
			continue
		}
		if step := t.newTask(t.record, &all[i], status); step.doubtful() && !step.doubt().answered {
			return status.Name, revert.StartedAt.Add(landsWithin)
		}
	}
	return "", time.Time{}
}

// unable says why something is left, and what a person can do.
func (t *task) unable(entry *v1alpha1.Undo, err error) string {
	if kinds.IsSecret(&entry.Object) {
		err = discreet(err)
	}
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
	live, ref, err := t.served(ctx, entry.Object)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	case entry.UID != "" && live.GetUID() != entry.UID, entry.UID == "" && !managed(live, entry.FieldManager):
		out.Kept = append(out.Kept, describe(ref)+" is another one now")
		return nil
	}
	if live.GetDeletionTimestamp() == nil {
		if err := t.erase(ctx, ref, live.GetUID()); err != nil {
			return err
		}
		if live, err = t.get(ctx, ref); apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	out.Waiting = append(out.Waiting, ref)
	out.Left = append(out.Left, describe(ref)+" is left: "+heldBy(live))
	return nil
}

// served reads an object that is to be taken back or deleted, in the version in which it was written, or in another one where that is not served any more. The
// reference says in which. Not found: it is gone, or its whole kind is.
func (t *task) served(ctx context.Context, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, v1alpha1.ObjectReference, error) {
	live, err := t.get(ctx, ref)
	if !unserved(err) {
		return live, ref, err
	}
	kind := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)
	version, failed := t.clients.served(ctx, kind.GroupKind())
	switch {
	case failed != nil:
		return nil, ref, failed
	case version == "":
		return nil, ref, apierrors.NewNotFound(schema.GroupResource{Group: kind.Group, Resource: kind.Kind}, ref.Name)
	case version == ref.APIVersion:
		return nil, ref, fmt.Errorf("it is not known yet how %s is served: %w", ref.Kind, errors.New(err.Error())) // it is not gone
	}
	ref.APIVersion = version
	live, err = t.get(ctx, ref)
	return live, ref, err
}

// unserved tells whether an answer is about the kind rather than the object: it is not served in this version. A process that knew it before asks for
// it, and is told that there is no such path.
func unserved(err error) bool {
	status, ok := statusOf(err)
	return meta.IsNoMatchError(err) || ok && apierrors.IsNotFound(err) && status.Details != nil &&
		slices.ContainsFunc(status.Details.Causes, func(c metav1.StatusCause) bool { return c.Type == metav1.CauseTypeUnexpectedServerResponse })
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
		live, ref, failed := t.served(ctx, entry.Object)
		switch {
		case apierrors.IsNotFound(failed):
			out.Kept = append(out.Kept, describe(ref)+" is gone")
			return nil
		case failed != nil:
			return failed
		case live.GetUID() != entry.UID:
			out.Kept = append(out.Kept, describe(ref)+" is another one now")
			return nil
		}
		var restored *undo.Restored
		if restored, err = t.restoreOnce(ctx, entry, ref, live); err == nil {
			out.add(ref, restored)
		}
		if !apierrors.IsConflict(err) {
			return err
		}
	}
	return err
}

// add tells what of an object is not restored.
func (r *Reverted) add(ref v1alpha1.ObjectReference, restored *undo.Restored) {
	for _, field := range restored.Kept {
		r.Kept = append(r.Kept, field.Text(describe(ref)))
	}
	for _, field := range restored.Left {
		r.Left = append(r.Left, oneLine(fmt.Sprintf("%s is left: what was lent is still in %s, and somebody has changed that since. Take it out by hand", describe(ref), field.Path)))
	}
}

// restoreOnce restores one version of an object. Once nothing of it is left, the field manager of the write goes, too.
func (t *task) restoreOnce(ctx context.Context, entry *v1alpha1.Undo, ref v1alpha1.ObjectReference, live *unstructured.Unstructured) (*undo.Restored, error) {
	restored, err := undo.Restore(live.Object, entry.Fields, t.managers())
	if err != nil {
		return nil, err
	}
	resource, err := t.resource(ref)
	if err != nil {
		return nil, err
	}
	if restored.Changed {
		patch, err := mergePatch(live, restored.Object)
		if err != nil {
			return nil, err
		}
		if live, err = resource.Patch(ctx, ref.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: entry.FieldManager}); err != nil {
			return nil, err
		}
	}
	if len(restored.Left) > 0 {
		return restored, nil
	}
	return restored, disown(ctx, resource, live, entry.FieldManager)
}

// disown removes a field manager from an object, so that nobody who applies it later has a conflict with a request that is over. It changes nothing
// else: where that is refused, nothing that was lent is left.
func disown(ctx context.Context, resource dynamic.ResourceInterface, live *unstructured.Unstructured, manager string) error {
	all := live.GetManagedFields()
	rest := slices.DeleteFunc(slices.Clone(all), func(e metav1.ManagedFieldsEntry) bool { return e.Manager == manager })
	if len(rest) == len(all) || len(rest) == 0 {
		// The API server takes an object without any entry for one that was never written, and gives all of it to nobody's name.
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": live.GetResourceVersion(), "managedFields": rest}})
	if err != nil {
		return fmt.Errorf("failed to encode who has written it: %w", err)
	}
	_, err = resource.Patch(ctx, live.GetName(), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager})
	if apierrors.IsConflict(err) || err != nil && isTransient(err) {
		return err
	}
	return nil
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
