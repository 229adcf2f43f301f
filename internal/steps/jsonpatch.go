package steps

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/template"
)

// jsonWriter sends a JSON patch, at most once.
type jsonWriter struct {
	target     *reference
	operations []*operation
}

// operation is one operation of a JSON patch.
type operation struct {
	op string
	// path and from are JSON pointers. From is nil for most operations.
	path, from *template.Text
	// value holds the value under the key "value"; nil for operations without one.
	value *body
}

// shape says which members an operation of a JSON patch has beside op and path.
type shape struct{ value, from bool }

var shapes = map[string]shape{
	"add": {value: true}, "replace": {value: true}, "test": {value: true}, "remove": {},
	"move": {from: true}, "copy": {from: true},
}

func (b *builder) jsonPatch(list []v1alpha1.Manifest, target *reference, path *field.Path) writer {
	out := &jsonWriter{target: target}
	if len(list) == 0 {
		b.refuse(field.Required(path, "the patch is empty: write at least one operation"))
	}
	for i := range list {
		at := path.Index(i)
		if object, ok := b.decode(&list[i].RawExtension, at); ok {
			out.operations = append(out.operations, b.operation(object, at))
			b.noStatusPointer(object, target, at)
		}
	}
	return out
}

// noStatusPointer refuses an operation that changes a status, which the API server would drop.
func (b *builder) noStatusPointer(object map[string]any, target *reference, path *field.Path) {
	to, _ := object["path"].(string)
	if object["op"] == "test" || target == nil || to != "/status" && !strings.HasPrefix(to, "/status/") {
		return
	}
	b.writesStatus(kindOf(target.apiVersion, target.kind).Group, path.Child("path"))
}

func (b *builder) operation(object map[string]any, path *field.Path) *operation {
	out := &operation{}
	out.op, _ = object["op"].(string)
	shape, known := shapes[out.op]
	if !known {
		b.refuse(field.NotSupported(path.Child("op"), fmt.Sprint(object["op"]), []string{"add", "copy", "move", "remove", "replace", "test"}))
		return out
	}
	out.path = b.pointer(object, "path", path)
	if shape.from {
		out.from = b.pointer(object, "from", path)
	}
	if shape.value {
		if value, set := object["value"]; set {
			out.value = b.body(map[string]any{"value": value}, path)
			out.value.skip = 1
		} else {
			b.refuse(field.Required(path.Child("value"), fmt.Sprintf("op %q needs a value", out.op)))
		}
	}
	b.members(object, out.op, shape, path)
	return out
}

// members refuses members that the operation does not have: they would be ignored.
func (b *builder) members(object map[string]any, op string, has shape, path *field.Path) {
	for _, name := range sortedKeys(object) {
		known := name == "op" || name == "path" || (name == "value" && has.value) || (name == "from" && has.from)
		if !known {
			b.refuse(field.Forbidden(path.Child(name), fmt.Sprintf("op %q does not have it", op)))
		}
	}
}

// pointer reads a JSON pointer. Where it is literal it can be judged at once.
func (b *builder) pointer(object map[string]any, name string, path *field.Path) *template.Text {
	source, _ := object[name].(string)
	if !strings.HasPrefix(source, "/") {
		b.refuse(field.Invalid(path.Child(name), object[name], `must be a JSON pointer, such as "/spec/replicas"; "/" in a key is written "~1"`))
		return nil
	}
	text := b.text(source, path.Child(name))
	if text != nil && text.IsLiteral() && isServerField(source) {
		b.refuse(field.Invalid(path.Child(name), source, "belongs to the API server, which says by it whether the patch was applied: patch a field below it"))
	}
	return text
}

func sortedKeys(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for key := range m {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

func (w *jsonWriter) uses(variable string) bool {
	return w.target.uses(variable) || slices.ContainsFunc(w.operations, func(o *operation) bool { return o.uses(variable) })
}

func (o *operation) uses(variable string) bool {
	return o.path.Uses(variable) || (o.from != nil && o.from.Uses(variable)) || (o.value != nil && o.value.uses(variable))
}

func (o *operation) fixed() bool {
	return o.path.IsLiteral() && (o.from == nil || o.from.IsLiteral()) && (o.value == nil || o.value.fixed())
}

func (w *jsonWriter) render(ctx context.Context, r rendering) ([]v1alpha1.RenderedWrite, error) {
	ref, err := renderTarget(ctx, r, "patch", w.target)
	if err != nil {
		return nil, err
	}
	list := make([]any, 0, len(w.operations))
	var late []v1alpha1.LateValue
	for i, o := range w.operations {
		rendered, later, err := o.render(ctx, r.Input)
		if err != nil {
			return nil, fmt.Errorf("patch.json[%d].%w", i, err)
		}
		list = append(list, rendered)
		for _, l := range later {
			l.Path = pointer([]string{strconv.Itoa(i), "value"}) + l.Path
			late = append(late, l)
		}
	}
	raw, err := encode(list)
	if err != nil {
		return nil, fmt.Errorf("patch.json: %w", err)
	}
	return []v1alpha1.RenderedWrite{{Operation: v1alpha1.WriteJSONPatch, Object: ref, Body: raw, FieldManager: r.onceManager(), Late: late}}, nil
}

// render fills in an operation. The paths of late values are within its value.
func (o *operation) render(ctx context.Context, in Input) (map[string]any, []v1alpha1.LateValue, error) {
	path, err := renderPointer(ctx, in, o.path)
	if err != nil {
		return nil, nil, fmt.Errorf("path: %w", err)
	}
	out := map[string]any{"op": o.op, "path": path}
	if o.from != nil {
		if out["from"], err = renderPointer(ctx, in, o.from); err != nil {
			return nil, nil, fmt.Errorf("from: %w", err)
		}
	}
	if o.value == nil {
		return out, nil, nil
	}
	// The value stands under the key "value", so that it can be of any type.
	wrapped, late, err := o.value.render(ctx, in, segments(path)...)
	if err != nil {
		return nil, nil, fmt.Errorf("value: %w", err)
	}
	for i := range late {
		late[i].Path = strings.TrimPrefix(late[i].Path, path)
	}
	out["value"] = wrapped["value"]
	return out, late, nil
}

// renderPointer fills in a JSON pointer. What is substituted stays within one segment, so that an input cannot reach a
// sibling field.
func renderPointer(ctx context.Context, in Input, text *template.Text) (string, error) {
	at, err := text.RenderString(ctx, in.Vars, in.Budget, template.WithEscape(escapePointer.Replace))
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(at, "/") || isServerField(at) {
		return "", fmt.Errorf("%q: the patch may not change what belongs to the API server", cut(at))
	}
	return at, nil
}
