package steps

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/kinds"
)

// deleteWriter deletes the object that was there when the plan was made.
type deleteWriter struct {
	target      *reference
	propagation v1alpha1.Propagation
}

var propagations = []v1alpha1.Propagation{v1alpha1.PropagationBackground, v1alpha1.PropagationForeground, v1alpha1.PropagationOrphan}

func (b *builder) deleteStep(s *v1alpha1.DeleteStep, wait *v1alpha1.WaitFor, path *field.Path) writer {
	if wait != nil {
		b.refuse(field.Forbidden(path.Child("waitFor"), "a delete waits until the object is gone: leave it out"))
	}
	at := path.Child("delete")
	out := &deleteWriter{target: b.target(s.Target, "delete", at.Child("target")), propagation: s.Propagation}
	if out.propagation == "" {
		out.propagation = v1alpha1.PropagationBackground
	}
	if !slices.Contains(propagations, out.propagation) {
		b.refuse(field.NotSupported(at.Child("propagation"), s.Propagation, propagations))
	}
	return out
}

func (w *deleteWriter) uses(variable string) bool { return w.target.uses(variable) }

func (w *deleteWriter) kinds() []schema.GroupKind {
	return []schema.GroupKind{kindOf(w.target.apiVersion, w.target.kind)}
}

// object says which object is deleted, and refuses those without which the request itself could not go on.
func (w *deleteWriter) object(ctx context.Context, r rendering) (v1alpha1.ObjectReference, error) {
	ref, err := renderTarget(ctx, r, "delete", w.target)
	if err != nil {
		return ref, err
	}
	if kindOf(ref.APIVersion, ref.Kind) == namespaceKind && r.needs(ref.Name) {
		return ref, fmt.Errorf("delete.target.name: %q: a request may not delete a namespace that it needs itself (its own, that of its Action, that of Signoff): make the request in another namespace", ref.Name)
	}
	return ref, nil
}

var namespaceKind = schema.GroupKind{Kind: "Namespace"}

// render writes options for the deletion with the uid of the object, so that another object of the same name is never deleted. Without a uid
// there was nothing to delete.
func (w *deleteWriter) render(ctx context.Context, r rendering) ([]v1alpha1.RenderedWrite, error) {
	ref, err := w.object(ctx, r)
	if err != nil {
		return nil, err
	}
	propagation := metav1.DeletionPropagation(w.propagation)
	options := metav1.DeleteOptions{PropagationPolicy: &propagation}
	options.APIVersion, options.Kind = "v1", "DeleteOptions"
	if found := r.Objects[ref]; found != nil {
		uid := found.GetUID()
		options.Preconditions = &metav1.Preconditions{UID: &uid}
	}
	raw, err := encode(options)
	if err != nil {
		return nil, fmt.Errorf("delete: %w", err)
	}
	return []v1alpha1.RenderedWrite{{Operation: v1alpha1.WriteDelete, Object: ref, Body: raw, FieldManager: r.fieldManager()}}, nil
}

func (w *deleteWriter) touched(ctx context.Context, r rendering) ([]Touched, error) {
	ref, err := w.object(ctx, r)
	if err != nil {
		return nil, err
	}
	return []Touched{{Object: ref, Operation: OperationDelete}}, nil
}

// Deleted names the objects that are deleted, each once. Render needs those that exist in Input.Objects.
func (s *Steps) Deleted(ctx context.Context, in Input) ([]v1alpha1.ObjectReference, error) {
	var refs []v1alpha1.ObjectReference
	for _, step := range s.steps {
		w, ok := step.writer.(*deleteWriter)
		if !ok {
			continue
		}
		ref, err := w.object(ctx, s.rendering(in, step.name))
		if err != nil {
			return nil, fmt.Errorf("failed to render step %q: %w", step.name, err)
		}
		if !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

// DeletesNamespaces tells whether a step deletes a Namespace.
func (s *Steps) DeletesNamespaces() bool {
	return slices.ContainsFunc(s.steps, func(step step) bool {
		w, ok := step.writer.(*deleteWriter)
		return ok && kindOf(w.target.apiVersion, w.target.kind) == namespaceKind
	})
}

// orphaned refuses a step that deletes what an earlier step makes: nobody could agree to an object that has no uid yet, and it would stay. An object
// that was there before is deleted by the uid that it has all along.
func orphaned(rendered []v1alpha1.RenderedStep) error {
	applied, gone := map[kinds.Place]string{}, map[kinds.Place]bool{}
	for _, step := range rendered {
		for i := range step.Writes {
			w := &step.Writes[i]
			key := kinds.PlaceOf(&w.Object)
			switch w.Operation {
			case v1alpha1.WriteApply:
				applied[key] = step.Name
			case v1alpha1.WriteDelete:
				if earlier, ok := applied[key]; ok && (gone[key] || !hasUID(w)) {
					return fmt.Errorf("failed to render step %q: it deletes %s %s, which step %q makes: an object is deleted only by the uid that it has when people agree. Leave one of the steps out", step.Name, w.Object.Kind, w.Object.Name, earlier)
				}
				delete(applied, key)
				gone[key] = true
			default:
			}
		}
	}
	return nil
}

// hasUID tells whether a deletion is one of an object that was there when it was planned.
func hasUID(w *v1alpha1.RenderedWrite) bool {
	var options metav1.DeleteOptions
	return json.Unmarshal(w.Body.Raw, &options) == nil && options.Preconditions != nil && options.Preconditions.UID != nil
}

// deletesApplied warns of a step that deletes what an earlier one applies: where that is not there yet when somebody asks, their request is
// never executed.
func (b *builder) deletesApplied(s *step, path *field.Path) {
	if len(b.errs) > 0 {
		return // targets can be missing, and nobody is warned
	}
	switch w := s.writer.(type) {
	case *applyWriter:
		for _, m := range w.manifests {
			b.applied[m.written] = s.name
		}
	case *deleteWriter:
		if earlier, ok := b.applied[w.target.written()]; ok {
			b.warn(path.Child("delete"), "step %q applies the same object: where that does not exist yet when somebody asks, nobody can agree to its deletion, and nothing is executed", earlier)
		}
	}
}
