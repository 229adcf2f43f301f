package steps

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/template"
)

// body is a JSON object with templates in its strings.
type body struct {
	object *template.Object
	// texts are the strings that hold a template, and late those whose template reads outputs of earlier steps.
	texts, late []leaf
	// source is the object as written.
	source map[string]any
	// skip is how many segments at the head of a path belong to a wrapper, not to the object that is written.
	skip int
}

// leaf is a string with templates, and where it stands.
type leaf struct {
	path []string
	text *template.Text
}

// decode reads a JSON object as it was written.
func (b *builder) decode(raw *runtime.RawExtension, path *field.Path) (map[string]any, bool) {
	if raw == nil || len(raw.Raw) == 0 {
		b.refuse(field.Required(path, "an object is needed"))
		return nil, false
	}
	var value any
	if err := utiljson.Unmarshal(raw.Raw, &value); err != nil {
		b.refuse(field.Invalid(path, "", fmt.Sprintf("must be JSON: %v", err)))
		return nil, false
	}
	object, ok := value.(map[string]any)
	if !ok {
		b.refuse(field.Invalid(path, "", "must be an object"))
	}
	return object, ok
}

// body compiles the templates of an object. In its place in object, a template that is filled in later stands as it is written.
func (b *builder) body(source map[string]any, path *field.Path) *body {
	out := &body{source: source}
	walk(source, nil, func(at []string, value any) {
		s, ok := value.(string)
		if !ok {
			return
		}
		text, err := template.Parse(s, b.values)
		if err != nil || text.IsLiteral() {
			return
		}
		if !text.UsesAny(lateVariables...) {
			out.texts = append(out.texts, leaf{path: at, text: text})
			return
		}
		b.late(text, path.Child(strings.Join(at, ".")))
		out.late = append(out.late, leaf{path: at, text: text})
	})
	slices.SortFunc(out.late, func(a, b leaf) int { return slices.Compare(a.path, b.path) })
	object, errs := template.ParseObject(b.known(source), b.values, path)
	b.refuse(errs...)
	if len(errs) > 0 {
		return &body{source: source}
	}
	out.object = object
	return out
}

// known is a tree in which templates that are filled in later are plain text.
func (b *builder) known(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, child := range v {
			out[key] = b.known(child)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, child := range v {
			out[i] = b.known(child)
		}
		return out
	case string:
		if text, err := template.Parse(v, b.values); err == nil && text.UsesAny(lateVariables...) {
			return strings.ReplaceAll(v, "${", "$${")
		}
	}
	return value
}

// notLate refuses what is filled in later where it would decide which object is written, or which policies are about it.
func (b *builder) notLate(body *body, path *field.Path, places ...string) {
	for _, l := range body.late {
		at := strings.Join(l.path, ".")
		if slices.ContainsFunc(places, func(place string) bool { return at == place || strings.HasPrefix(at, place+".") }) {
			b.refuse(field.Invalid(path.Child(at), l.text.Source(), "outputs of steps are known only once people have agreed, and this says which object is written or which policies are about it: use inputs"))
		}
	}
}

// identity are the places that say which object is written, and which policies are about it.
var identity = []string{"metadata.name", "metadata.namespace", "metadata.labels"}

// late refuses a template that is filled in later where one expression is known neither now nor later, or where no Record can hold it.
func (b *builder) late(text *template.Text, path *field.Path) {
	if mixed := text.Mixed(lateVariables...); mixed != "" {
		b.refuse(field.Invalid(path, text.Source(), fmt.Sprintf("${%s} reads outputs of steps together with what is known before: write it as two, such as ${inputs.a}${steps.b.outputs.c}", mixed)))
	}
	if !text.UsesAny(lateVariables...) {
		return
	}
	if err := recordable(text.Around(lateVariables...)); err != nil {
		b.refuse(field.Invalid(path, cut(text.Source()), err.Error()))
	}
	if b.lates++; b.lates == maxLate+1 {
		b.refuse(field.Invalid(path, cut(text.Source()), tooManyLate))
	}
}

func (b *body) uses(variable string) bool { return b.object.Uses(variable) }

// fixed tells whether every request writes the same, though perhaps to another object. That it writes its uid too, nobody can choose.
func (b *body) fixed() bool {
	return len(b.late) == 0 && !slices.ContainsFunc(b.texts, func(l leaf) bool {
		at := strings.Join(l.path, ".")
		return at != "metadata.name" && at != "metadata.namespace" && l.text.Source() != "${request.uid}"
	})
}

// render fills in the templates, and names the places that are filled in later. Prefix is where in its object the body will stand.
func (b *body) render(ctx context.Context, in Input, prefix ...string) (map[string]any, []v1alpha1.LateValue, error) {
	value, err := b.object.Render(ctx, in.Vars, in.Budget)
	if err != nil {
		return nil, nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, nil, fmt.Errorf("the result is not an object")
	}
	for _, l := range b.texts {
		if err := l.protect(ctx, in, object, slices.Concat(prefix, l.path[b.skip:])); err != nil {
			return nil, nil, err
		}
	}
	var late []v1alpha1.LateValue
	for _, l := range b.late {
		value, err := l.later(ctx, in, slices.Concat(prefix, l.path[b.skip:]))
		if err != nil {
			return nil, nil, err
		}
		if err := replaceAt(object, l.path, func(any) (any, error) { return shown(value.Parts), nil }); err != nil {
			return nil, nil, err
		}
		late = append(late, value)
	}
	return object, late, nil
}

// later fills in what is known of a template, and keeps the rest for when its step is reached.
func (l leaf) later(ctx context.Context, in Input, full []string) (v1alpha1.LateValue, error) {
	out := v1alpha1.LateValue{Path: pointer(full), Expands: expanded(full)}
	var options []template.Option
	if out.Expands {
		options = append(options, template.WithEscape(double))
	}
	parts, err := l.text.RenderAround(ctx, lateVariables, in.Vars, in.Budget, options...)
	if err != nil {
		return out, err
	}
	for _, p := range parts {
		out.Parts = append(out.Parts, v1alpha1.LatePart{Text: p.Text, Expression: p.Expression})
	}
	// One value alone keeps its type, but not where only text may stand, nor where what it was written with turned out empty.
	out.AsText = len(parts) == 1 && !parts[0].GivesText && (onlyText(full) || !l.text.IsWhole())
	return out, recordable(parts)
}

// onlyText reports whether an object of Kubernetes can have nothing but text at the path: in annotations, and in labels of a pod that it is a template
// of. Its own labels are no place for outputs, and policies read them as they are written.
func onlyText(at []string) bool {
	n := len(at)
	switch {
	case n < 3 || at[n-3] != "metadata":
		return false
	case n == 3:
		return at[1] == "annotations"
	}
	return (at[n-4] == "template" || at[n-4] == "jobTemplate") && (at[n-2] == "annotations" || at[n-2] == "labels")
}

// shown is what stands in the place of a late value until it is known.
func shown(parts []v1alpha1.LatePart) string {
	var out strings.Builder
	for _, p := range parts {
		if out.WriteString(p.Text); p.Expression != "" {
			out.WriteString("${" + p.Expression + "}")
		}
	}
	return out.String()
}

// walk visits every value of a tree that is neither a map nor a list, with its path.
func walk(value any, at []string, visit func(at []string, value any)) {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			walk(child, extend(at, plainKey(key)), visit)
		}
	case []any:
		for i, child := range v {
			walk(child, extend(at, strconv.Itoa(i)), visit)
		}
	default:
		visit(at, value)
	}
}

// keys visits every key of every map of a tree, with its path.
func keys(value any, at []string, visit func(at []string)) {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			visit(extend(at, key))
			keys(child, extend(at, key), visit)
		}
	case []any:
		for i, child := range v {
			keys(child, extend(at, strconv.Itoa(i)), visit)
		}
	}
}

// plainKey is a key as it is rendered: keys hold no templates, but the escape of one.
func plainKey(key string) string { return strings.ReplaceAll(key, "$${", "${") }

// extend appends to a copy, so that siblings do not share memory.
func extend(at []string, last string) []string {
	return append(at[:len(at):len(at)], last)
}

// encode writes a value as compact JSON with sorted keys.
func encode(value any) (runtime.RawExtension, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return runtime.RawExtension{}, fmt.Errorf("failed to encode the body: %w", err)
	}
	return runtime.RawExtension{Raw: bytes.TrimRight(buffer.Bytes(), "\n")}, nil
}
