// Package plan describes, for the people who must agree, what the rendered steps of a request will change.
//
// It compares what will be written with the objects as they now are, by the merge rules of the API server. It is for reading:
// the digest covers what is sent, not what is shown.
package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/kinds"
)

// The operations, as people read them.
const (
	operationApply  = "apply"
	operationPatch  = "patch"
	operationDelete = "delete"
	operationRun    = "run"
	operationCall   = "call"
)

// Found is an object as it now is, and who may know.
type Found struct {
	// Object is nil where there is none.
	Object *unstructured.Unstructured
	// Hidden says that its values are not for everybody who reads the plan: only what will be written is shown.
	Hidden bool
	// Unread says that nobody could look: it may exist or not.
	Unread bool
}

// View is how the world is seen.
type View struct {
	// Live gives an object as it now is.
	Live func(v1alpha1.ObjectReference) Found
	// Copied tells about a step that copies a pod whether what it copies is not for everybody who reads the plan, and which fields
	// of the container the step sets itself. Nil: everything may be shown.
	Copied func(step string) (hidden bool, own []string)
	// Keyed hashes what a write finds, so that nobody who reads the plan can guess it. It gives nothing where it cannot. Nil: the version of the
	// object stands for it.
	Keyed func(what []byte) string
	// Reader is as whom objects are read. Empty: the ServiceAccount.
	Reader string
	// Whole shows everything, however much it is, and texts of several lines line by line. Otherwise it is as much as the API stores.
	Whole bool
	// Finally are those of the steps that run once the others have ended.
	Finally []v1alpha1.RenderedStep
}

func (v *View) reader() string { return cmp.Or(v.Reader, "the ServiceAccount") }

// Describe says, one entry per write, what the steps will change. Where a step writes what an earlier one has written, it is
// compared with what that will have made.
func Describe(steps []v1alpha1.RenderedStep, view View) []v1alpha1.PlannedChange {
	d := &describer{view: view, most: stored, written: map[v1alpha1.ObjectReference]map[string]any{}, spread: map[v1alpha1.ObjectReference]bool{}, perhaps: map[v1alpha1.ObjectReference][]string{}}
	if d.most.lines = linesFor(steps); view.Whole {
		d.most = whole
	}
	var changes []v1alpha1.PlannedChange
	for _, step := range steps {
		d.step = step.Name
		if step.HTTP != nil {
			changes = append(changes, d.call(&step))
		}
		for i := range step.Writes {
			w := &step.Writes[i]
			d.entry = len(changes)
			head := slices.Concat(d.conditions(&step, w.Late), d.supposes(&step, w.Object))
			d.most.lines -= len(head) // so that there is room for both
			change := d.describe(w)
			d.most.lines += len(head)
			change.Step, change.Fields = step.Name, slices.Concat(head, change.Fields, d.sent(w))
			changes = append(changes, change)
		}
	}
	return changes
}

type describer struct {
	view View
	// most is how much is shown.
	most bounds
	step string
	// written are the objects as earlier writes will have made them, and gone those that they will have deleted. What is gone may be written again.
	written map[v1alpha1.ObjectReference]map[string]any
	gone    []v1alpha1.ObjectReference
	// spread are the objects in which an earlier write has taken something hidden to another place.
	spread map[v1alpha1.ObjectReference]bool
	// perhaps are the steps that write an object only where a condition holds then.
	perhaps map[v1alpha1.ObjectReference][]string
	// basis stands for what the write that is described finds. Empty: nothing that could change.
	basis string
	// entry is the place of that write in the plan.
	entry int
	// seen is how much has been compared.
	seen int
}

func (d *describer) describe(w *v1alpha1.RenderedWrite) v1alpha1.PlannedChange {
	out := v1alpha1.PlannedChange{Operation: operationPatch, Object: d.most.name(w.Object)}
	switch w.Operation {
	case v1alpha1.WriteApply:
		out.Operation = operationApply
	case v1alpha1.WriteCreateJob:
		out.Operation = operationRun
	case v1alpha1.WriteDelete:
		out.Operation = operationDelete
	default:
	}
	var body any
	if err := utiljson.Unmarshal(w.Body.Raw, &body); err != nil {
		out.Fields = []string{d.most.cutText("cannot be shown: " + err.Error())}
		return out
	}
	out.Fields = d.fields(w, body)
	out.Basis = d.basis
	return out
}

func (d *describer) fields(w *v1alpha1.RenderedWrite, body any) []string {
	d.basis = ""
	if w.Operation == v1alpha1.WriteCreateJob {
		// It has a name of its own, so nothing is there to compare it with.
		object, _ := body.(map[string]any)
		return d.runFields(object, &differ{most: d.most})
	}
	found := d.before(w.Object)
	diff := &differ{most: d.most, secret: kinds.IsSecret(&w.Object), oldHidden: found.Hidden}
	switch {
	case w.Operation == v1alpha1.WriteDelete:
		options, _ := body.(map[string]any)
		d.drops(w.Object)
		return d.most.deleteFields(w.Object, options, found)
	case found.Unread:
		return d.blind(w, body, diff, "which "+d.view.reader()+" may not read")
	case found.Object == nil:
		return d.blind(w, body, diff, "")
	case !d.affords(found.Object, body):
		d.basis = versionOf(found.Object)
		return d.blind(w, body, diff, "which is too large together with what else is written")
	case w.Operation == v1alpha1.WriteJSONPatch:
		list, _ := body.([]any)
		after := diff.operations(found.Object.Object, list)
		d.written[w.Object], d.basis = after, d.basisOf(found, after)
		d.spread[w.Object] = diff.oldHidden
		return d.most.fields(diff.lines)
	}
	object, _ := body.(map[string]any)
	after, err := result(w, found.Object.Object, object)
	if err != nil {
		d.basis = d.wholeBasisOf(found.Object) // else nobody would be asked again, whatever becomes of it
		return []string{d.misfit(w.Object, found, err)}
	}
	d.written[w.Object], d.basis = after, d.basisOf(found, after)
	diff.compare(nil, found.Object.Object, after, withoutIdentity(object))
	return d.most.fields(diff.lines.byRank())
}

// misfit says why nobody can tell what a write makes of an object. The reason may repeat what is there.
func (d *describer) misfit(ref v1alpha1.ObjectReference, found Found, err error) string {
	if found.Hidden || kinds.IsSecret(&ref) {
		return "cannot be shown: it cannot be merged with what is there"
	}
	return d.most.cutText("cannot be shown: " + err.Error())
}

// mostCompared bounds how much is compared for one plan, in about the bytes of JSON: large objects, and many operations on each, would take
// minutes.
const mostCompared = 8 << 20

// affords tells whether there is room to compare what is written with an object. A JSON patch is followed operation by operation.
func (d *describer) affords(object *unstructured.Unstructured, body any) bool {
	rounds := 1
	if list, ok := body.([]any); ok {
		rounds = len(list)
	}
	d.seen += weight(object.Object) * rounds
	return d.seen <= mostCompared
}

// weight is about how many bytes of JSON a value takes.
func weight(value any) int {
	const some = 8
	total := some
	switch v := value.(type) {
	case string:
		total += len(v)
	case []any:
		for i := range v {
			total += weight(v[i])
		}
	case map[string]any:
		for key, child := range v {
			total += len(key) + weight(child)
		}
	}
	return total
}

// blind shows what is sent to an object that is not there, or that nobody could compare, and why: it may be there when it is sent. An empty
// reason: it is not there.
func (d *describer) blind(w *v1alpha1.RenderedWrite, body any, diff *differ, why string) []string {
	unread := why != ""
	diff.oldHidden = false // nothing is there, or nothing known
	if !unread {
		d.basis = absent
	}
	head, then := "does not exist now: the step fails unless something else creates it first", "; then it gets:"
	switch {
	case unread:
		head, then = "cannot be compared with what is there, "+why, "; this is sent:"
	case w.Operation == v1alpha1.WriteApply:
		head, then = "creates it", ""
	}
	if list, ok := body.([]any); ok {
		diff.noted(list)
		return d.most.fields(diff.lines, head+then)
	}
	object, _ := body.(map[string]any)
	if w.Operation == v1alpha1.WriteApply {
		d.written[w.Object] = object
	}
	diff.compare(nil, map[string]any{}, withoutIdentity(object), missing{})
	if len(diff.lines) == 0 {
		return d.most.fields(diff.lines, head)
	}
	return d.most.fields(diff.lines.byRank(), head+then)
}

// before is the object as it will be found.
func (d *describer) before(ref v1alpha1.ObjectReference) Found {
	var found Found
	if !slices.ContainsFunc(d.gone, func(gone v1alpha1.ObjectReference) bool { return holds(gone, ref) }) {
		found = d.view.Live(ref) // what is there now goes
	}
	found.Hidden = found.Hidden || d.spread[ref]
	if object, ok := d.written[ref]; ok {
		return Found{Object: &unstructured.Unstructured{Object: object}, Hidden: found.Hidden}
	}
	return found
}

// drops notes that an object will be deleted, with all that goes with it.
func (d *describer) drops(ref v1alpha1.ObjectReference) {
	d.gone = append(d.gone, ref)
	maps.DeleteFunc(d.written, func(written v1alpha1.ObjectReference, _ map[string]any) bool { return holds(ref, written) })
}

// holds tells whether an object goes where another one is deleted.
func holds(deleted, ref v1alpha1.ObjectReference) bool {
	return kinds.PlaceOf(&deleted).Holds(kinds.PlaceOf(&ref))
}

// Name writes a reference as people do.
func Name(ref v1alpha1.ObjectReference) string { return stored.name(ref) }

func (b bounds) name(ref v1alpha1.ObjectReference) string {
	if ref.Namespace == "" {
		return b.cutText(fmt.Sprintf("%s %s", ref.Kind, ref.Name))
	}
	return b.cutText(fmt.Sprintf("%s %s/%s", ref.Kind, ref.Namespace, ref.Name))
}

// withoutIdentity leaves out what the name of the object says already.
func withoutIdentity(object map[string]any) map[string]any {
	out := runtime.DeepCopyJSON(object)
	delete(out, "apiVersion")
	delete(out, "kind")
	if metadata, ok := out["metadata"].(map[string]any); ok {
		delete(metadata, "name")
		delete(metadata, "namespace")
		if len(metadata) == 0 {
			delete(out, "metadata")
		}
	}
	return out
}
