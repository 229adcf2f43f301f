package steps

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/template"
)

// patchWriter sends a strategic merge patch or a JSON merge patch.
type patchWriter struct {
	operation v1alpha1.WriteOperation
	target    *reference
	body      *body
	// metadata is what the patch says about labels; nil where it says nothing about metadata.
	metadata *template.Object
	// directives are the $patch directives that the author wrote.
	directives []string
	field      string
}

func (b *builder) patch(s *v1alpha1.PatchStep, path *field.Path) writer {
	target := b.target(s.Target, "patch", path.Child("target"))
	set := map[string]bool{"strategic": s.Strategic != nil, "merge": s.Merge != nil, "json": s.JSON != nil}
	if !b.exactlyOne(path, set, "strategic, merge, json") {
		return nil
	}
	switch {
	case s.JSON != nil:
		return b.jsonPatch(s.JSON, target, path.Child("json"))
	case s.Merge != nil:
		out := &patchWriter{operation: v1alpha1.WriteMergePatch, target: target, field: "patch.merge"}
		out.body = b.patchBody(s.Merge, target, path.Child("merge"))
		out.metadata = b.metadata(out.body.source, path.Child("merge"))
		b.warnLists(out.body.source, target, path.Child("merge"))
		return out
	default:
		out := &patchWriter{operation: v1alpha1.WriteStrategicPatch, target: target, field: "patch.strategic"}
		b.strategicTarget(target, path.Child("strategic"))
		out.body = b.patchBody(s.Strategic, target, path.Child("strategic"))
		out.metadata = b.metadata(out.body.source, path.Child("strategic"))
		out.directives = directives(out.body.source)
		return out
	}
}

// target is the target of a step, or else that of the Action.
func (b *builder) target(ref *v1alpha1.ObjectReference, step string, at *field.Path) *reference {
	if ref == nil {
		if b.actionTarget == nil {
			b.refuse(field.Required(at, "neither the "+step+" nor the Action names an object: set it here, or spec.target"))
			return nil
		}
		inherited := &builder{templates: b.templates}
		out := inherited.reference(b.actionTarget, at)
		if len(inherited.errs) > 0 {
			b.refuse(field.Required(at, "the target of the Action cannot be used: see spec.target"))
			return nil
		}
		b.kind(out.apiVersion, out.kind, at)
		return out
	}
	b.kind(ref.APIVersion, ref.Kind, at)
	return b.reference(ref, at)
}

// strategicTarget refuses kinds for which the API server knows no strategic merge patch.
func (b *builder) strategicTarget(target *reference, path *field.Path) {
	if target == nil {
		return
	}
	if group := kindOf(target.apiVersion, target.kind).Group; !isBuiltIn(group) {
		b.refuse(field.Invalid(path, target.apiVersion+" "+target.kind, "a strategic merge patch works for the kinds of Kubernetes itself only: use apply, which merges lists as well, or patch.json"))
	}
}

func (b *builder) patchBody(raw *runtime.RawExtension, target *reference, path *field.Path) *body {
	object, ok := b.decode(raw, path)
	if !ok {
		return &body{}
	}
	if len(object) == 0 {
		b.refuse(field.Required(path, "the patch is empty: write what is to change. "+droppedNull))
	}
	if value, set := object["metadata"]; set {
		metadata, ok := value.(map[string]any)
		if !ok {
			b.refuse(field.Invalid(path.Child("metadata"), value, "must be an object; only what is inside may be a template"))
		}
		b.serverFields(metadata, path.Child("metadata"))
	}
	if target != nil {
		b.noStatus(object, kindOf(target.apiVersion, target.kind).Group, path.Child("status"))
	}
	for _, at := range empties(object, nil) {
		b.warn(path, "%s is empty, which changes nothing. %s", at, droppedNull)
	}
	out := b.body(object, path)
	b.notLate(out, path, identity...)
	return out
}

// droppedNull says why a patch that was to remove a field can hold nothing: kubectl takes null for its own, and nobody can see afterwards that it was there.
const droppedNull = "kubectl apply drops null: to remove a field use patch.json remove, or kubectl apply --server-side"

// empties gives the paths of the objects that hold nothing, sorted. In lists they mean something, such as emptyDir.
func empties(value map[string]any, at []string) []string {
	var out []string
	for key, child := range value {
		object, ok := child.(map[string]any)
		switch {
		case ok && len(object) == 0:
			out = append(out, strings.Join(extend(at, key), "."))
		case ok:
			out = append(out, empties(object, extend(at, key))...)
		}
	}
	slices.Sort(out)
	return out
}

// warnLists says where a merge patch replaces a list as a whole, which is seldom meant.
func (b *builder) warnLists(source map[string]any, target *reference, path *field.Path) {
	instead := "apply merges them"
	if target != nil && isBuiltIn(kindOf(target.apiVersion, target.kind).Group) {
		instead = "patch.strategic and apply merge them"
	}
	for _, at := range lists(source, nil) {
		b.warn(path, "replaces the whole list %s, with everything in it that is not written here; %s", at, instead)
	}
}

// lists gives the paths of the outermost lists, sorted.
func lists(value any, at []string) []string {
	switch v := value.(type) {
	case []any:
		return []string{strings.Join(at, ".")}
	case map[string]any:
		var out []string
		for key, child := range v {
			out = append(out, lists(child, extend(at, key))...)
		}
		slices.Sort(out)
		return out
	}
	return nil
}

func (w *patchWriter) uses(variable string) bool {
	return w.target.uses(variable) || w.body.uses(variable)
}

func (w *patchWriter) render(ctx context.Context, r rendering) ([]v1alpha1.RenderedWrite, error) {
	ref, err := renderTarget(ctx, r, "patch", w.target)
	if err != nil {
		return nil, err
	}
	object, late, err := w.body.render(ctx, r.Input)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.field, err)
	}
	if w.operation == v1alpha1.WriteStrategicPatch {
		if err := w.checkDirectives(object); err != nil {
			return nil, err
		}
	}
	raw, err := encode(object)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.field, err)
	}
	return []v1alpha1.RenderedWrite{{Operation: w.operation, Object: ref, Body: raw, FieldManager: r.fieldManager(), Late: late}}, nil
}

// renderTarget names the object of a step of a kind, such as patch.
func renderTarget(ctx context.Context, r rendering, step string, target *reference) (v1alpha1.ObjectReference, error) {
	ref, err := target.render(ctx, r.Input)
	if err != nil {
		return ref, fmt.Errorf("%s.target.%w", step, err)
	}
	if err := checkOwn(ref); err != nil {
		return ref, fmt.Errorf("%s.target: %w", step, err)
	}
	return ref, nil
}

// checkDirectives refuses directives, such as $patch, that a template smuggled in: they turn a merge into a replacement.
func (w *patchWriter) checkDirectives(object map[string]any) error {
	for _, at := range directives(object) {
		if !slices.Contains(w.directives, at) {
			return fmt.Errorf("%s: %s: a directive of a patch must be literal; a template may not give a key that begins with \"$\"", w.field, cut(at))
		}
	}
	return nil
}

// directives gives the paths of all keys that a strategic merge patch reads as instructions, sorted.
func directives(value any) []string {
	var out []string
	keys(value, nil, func(at []string) {
		if strings.HasPrefix(at[len(at)-1], "$") {
			out = append(out, pointer(at))
		}
	})
	slices.Sort(out)
	return out
}
