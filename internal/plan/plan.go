// Package plan describes, for the people who must agree, what the rendered steps of a request will change.
//
// It compares what will be written with the objects as they now are, by the merge rules of the API server. It is for reading:
// the digest covers what is sent, not what is shown.
package plan

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// The operations, as people read them.
const (
	operationApply = "apply"
	operationPatch = "patch"
	operationRun   = "run"
)

// Describe says, one entry per write, what the steps will change. Live gives an object as it now is, or false if there is none.
// Where a step writes what an earlier one has written, it is compared with what that will have made.
func Describe(steps []v1alpha1.RenderedStep, live func(v1alpha1.ObjectReference) (*unstructured.Unstructured, bool)) []v1alpha1.PlannedChange {
	d := &describer{live: live, written: map[v1alpha1.ObjectReference]map[string]any{}}
	var changes []v1alpha1.PlannedChange
	for _, step := range steps {
		for i := range step.Writes {
			change := d.describe(&step.Writes[i])
			change.Step = step.Name
			changes = append(changes, change)
		}
	}
	return changes
}

type describer struct {
	live func(v1alpha1.ObjectReference) (*unstructured.Unstructured, bool)
	// written are the objects as earlier writes will have made them.
	written map[v1alpha1.ObjectReference]map[string]any
}

func (d *describer) describe(w *v1alpha1.RenderedWrite) v1alpha1.PlannedChange {
	out := v1alpha1.PlannedChange{Operation: operationPatch, Object: nameOf(w.Object)}
	switch w.Operation {
	case v1alpha1.WriteApply:
		out.Operation = operationApply
	case v1alpha1.WriteCreateJob:
		out.Operation = operationRun
	default:
	}
	var body any
	if err := utiljson.Unmarshal(w.Body.Raw, &body); err != nil {
		out.Fields = []string{cutText("cannot be shown: " + err.Error())}
		return out
	}
	out.Fields = d.fields(w, body)
	return out
}

func (d *describer) fields(w *v1alpha1.RenderedWrite, body any) []string {
	before, exists := d.before(w.Object)
	diff := &differ{secret: isSecret(w.Object)}
	switch {
	case w.Operation == v1alpha1.WriteCreateJob:
		object, _ := body.(map[string]any)
		return runFields(object, diff)
	case !exists && w.Operation == v1alpha1.WriteApply:
		object, _ := body.(map[string]any)
		d.written[w.Object] = object
		diff.compare(nil, map[string]any{}, withoutIdentity(object))
		return diff.lines.fields("creates it")
	case !exists:
		return []string{"does not exist now: the step fails unless something else creates it first"}
	case w.Operation == v1alpha1.WriteJSONPatch:
		list, _ := body.([]any)
		after := diff.operations(before, list)
		d.written[w.Object] = after
		return diff.lines.fields()
	}
	object, _ := body.(map[string]any)
	after, err := result(w, before, object)
	if err != nil {
		return []string{cutText("cannot be shown: " + err.Error())}
	}
	d.written[w.Object] = after
	diff.compare(nil, before, after)
	return diff.lines.fields()
}

// before is the object as it will be found.
func (d *describer) before(ref v1alpha1.ObjectReference) (map[string]any, bool) {
	if object, ok := d.written[ref]; ok {
		return object, true
	}
	object, ok := d.live(ref)
	if !ok || object == nil {
		return nil, false
	}
	return object.Object, true
}

// nameOf writes a reference as people do.
func nameOf(ref v1alpha1.ObjectReference) string {
	if ref.Namespace == "" {
		return fmt.Sprintf("%s %s", ref.Kind, ref.Name)
	}
	return fmt.Sprintf("%s %s/%s", ref.Kind, ref.Namespace, ref.Name)
}

func isSecret(ref v1alpha1.ObjectReference) bool {
	return ref.APIVersion == "v1" && ref.Kind == "Secret"
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
