package steps

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/template"
)

// Touched is an object that a request would write.
type Touched struct {
	// Object is which one.
	Object v1alpha1.ObjectReference
	// Operation is apply, patch, delete or job.
	Operation string
	// Labels are the labels that are written: text, or nil where one is removed.
	Labels map[string]any
	// Unclear says why nobody can tell which labels are written. Nil: Labels are all of them.
	Unclear error
}

// The operations of Touched.
const (
	OperationApply  = "apply"
	OperationPatch  = "patch"
	OperationDelete = "delete"
	OperationJob    = "job"
)

// Kinds gives the kinds of objects that the steps write, each once. No template can change them.
func (s *Steps) Kinds() []schema.GroupKind {
	if s == nil {
		return nil
	}
	return s.kinds
}

// Touched names the objects that the steps would write, each write once. It renders no more than it needs for that.
func (s *Steps) Touched(ctx context.Context, in Input) ([]Touched, error) {
	var all []Touched
	for _, step := range s.steps {
		touched, err := step.writer.touched(ctx, s.rendering(in, step.name))
		if err != nil {
			return nil, fmt.Errorf("failed to render step %q: %w", step.name, err)
		}
		all = append(all, touched...)
	}
	return all, nil
}

func (w *applyWriter) kinds() []schema.GroupKind {
	kinds := make([]schema.GroupKind, len(w.manifests))
	for i, m := range w.manifests {
		kinds[i] = kindOf(m.apiVersion, m.kind)
	}
	return kinds
}

func (w *applyWriter) touched(ctx context.Context, r rendering) ([]Touched, error) {
	all := make([]Touched, len(w.manifests))
	for i, m := range w.manifests {
		metadata, err := renderMetadata(ctx, r.Input, m.metadata)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.path, err)
		}
		ref, err := m.identity(metadata)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.path, err)
		}
		all[i] = Touched{Object: ref, Operation: OperationApply}
		all[i].Labels, all[i].Unclear = writtenLabels(metadata)
	}
	return all, nil
}

// identifying are the fields of metadata by which policies select objects.
var identifying = []string{"name", "namespace", "labels"}

// metadata compiles what an object that is written says about its name and labels; nil where it says nothing about metadata. What is
// wrong with it was found when the whole object was compiled.
func (b *builder) metadata(object map[string]any, path *field.Path) *template.Object {
	source, ok := object["metadata"].(map[string]any)
	if !ok {
		return nil
	}
	part := keep(source, identifying)
	for key, value := range source {
		if strings.HasPrefix(key, "$") {
			part[key] = value
		}
	}
	out, _ := template.ParseObject(part, b.templates, path.Child("metadata"))
	return out
}

func renderMetadata(ctx context.Context, in Input, metadata *template.Object) (map[string]any, error) {
	value, err := metadata.Render(ctx, in.Vars, in.Budget)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("metadata must be an object")
	}
	return object, nil
}

// writtenLabels reads labels out of metadata that is written.
func writtenLabels(metadata map[string]any) (map[string]any, error) {
	value, set := metadata["labels"]
	if !set {
		return nil, nil //nolint:nilnil // no labels are written, and that is clear
	}
	labels, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("the labels that are written are not an object")
	}
	for key, value := range labels {
		if _, text := value.(string); value != nil && !text || strings.HasPrefix(key, "$") {
			return nil, fmt.Errorf("the label %q that is written is no text", cut(key))
		}
	}
	return labels, nil
}

func (w *patchWriter) kinds() []schema.GroupKind {
	return []schema.GroupKind{kindOf(w.target.apiVersion, w.target.kind)}
}

func (w *patchWriter) touched(ctx context.Context, r rendering) ([]Touched, error) {
	ref, err := renderTarget(ctx, r, "patch", w.target)
	if err != nil {
		return nil, err
	}
	out := Touched{Object: ref, Operation: OperationPatch}
	if w.metadata != nil {
		metadata, err := renderMetadata(ctx, r.Input, w.metadata)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.field, err)
		}
		out.Labels, out.Unclear = writtenLabels(metadata)
		for key := range metadata {
			if strings.HasPrefix(key, "$") {
				out.Unclear = fmt.Errorf("%s: the directive %s replaces metadata", w.field, cut(key))
			}
		}
	}
	return []Touched{out}, nil
}

func (w *jsonWriter) kinds() []schema.GroupKind {
	return []schema.GroupKind{kindOf(w.target.apiVersion, w.target.kind)}
}

func (w *jsonWriter) touched(ctx context.Context, r rendering) ([]Touched, error) {
	ref, err := renderTarget(ctx, r, "patch", w.target)
	if err != nil {
		return nil, err
	}
	out := Touched{Object: ref, Operation: OperationPatch}
	for i, o := range w.operations {
		operation, late, err := o.render(ctx, r.Input)
		if err != nil {
			return nil, fmt.Errorf("patch.json[%d].%w", i, err)
		}
		out.note(operation)
		if path, _ := operation["path"].(string); len(late) > 0 && overLabels(path) {
			out.Unclear = fmt.Errorf("what is written to %s is known only once earlier steps have run", cut(path))
		}
	}
	return []Touched{out}, nil
}

const labelsPointer = "/metadata/labels"

// overLabels tells whether a place is labels, one of them, or something that they are in.
func overLabels(path string) bool {
	return strings.HasPrefix(path, labelsPointer+"/") || strings.HasPrefix(labelsPointer, path)
}

// movesLabels tells an operation that takes labels away to another place.
func movesLabels(operation map[string]any) bool {
	from, _ := operation["from"].(string)
	return operation["op"] == "move" && (strings.HasPrefix(from, labelsPointer) || strings.HasPrefix(labelsPointer, from))
}

// note takes note of what an operation of a JSON patch does to labels.
func (t *Touched) note(operation map[string]any) {
	path, _ := operation["path"].(string)
	op, _ := operation["op"].(string)
	within := strings.HasPrefix(path, labelsPointer+"/")
	if movesLabels(operation) {
		t.Unclear = errors.New("labels are moved away")
		return
	}
	if op == "test" || !overLabels(path) {
		return
	}
	key := strings.NewReplacer("~1", "/", "~0", "~").Replace(strings.TrimPrefix(path, labelsPointer+"/"))
	value, text := operation["value"].(string)
	switch {
	case within && (op == "add" || op == "replace") && text:
		t.label(key, value)
	case within && op == "remove":
		t.label(key, nil)
	default:
		t.Unclear = fmt.Errorf("the operation %s of %s changes labels in a way that cannot be followed", op, cut(path))
	}
}

func (t *Touched) label(key string, value any) {
	if t.Labels == nil {
		t.Labels = map[string]any{}
	}
	t.Labels[key] = value
}

func (w *jobWriter) kinds() []schema.GroupKind {
	return []schema.GroupKind{{Group: "batch", Kind: "Job"}}
}

func (w *jobWriter) touched(ctx context.Context, r rendering) ([]Touched, error) {
	var namespace string
	if w.podFrom != nil {
		ref, err := w.podFrom.render(ctx, r.Input)
		if err != nil {
			return nil, fmt.Errorf("job.podFrom.%w", err)
		}
		namespace = ref.Namespace
	} else {
		var err error
		if namespace, err = renderNamespace(ctx, r.Input, w.namespace); err != nil {
			return nil, fmt.Errorf("job.%w", err)
		}
	}
	return []Touched{{
		Object:    v1alpha1.ObjectReference{APIVersion: "batch/v1", Kind: "Job", Namespace: namespace, Name: r.jobName()},
		Operation: OperationJob, Labels: r.jobLabels(),
	}}, nil
}
