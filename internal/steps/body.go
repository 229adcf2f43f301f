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

	"github.com/signoff-dev/signoff/internal/template"
)

// body is a JSON object with templates in its strings.
type body struct {
	object *template.Object
	// texts are the strings that hold a template.
	texts []leaf
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

// body compiles the templates of an object.
func (b *builder) body(source map[string]any, path *field.Path) *body {
	object, errs := template.ParseObject(source, b.templates, path)
	b.refuse(errs...)
	if len(errs) > 0 {
		return &body{source: source}
	}
	out := &body{object: object, source: source}
	walk(source, nil, func(at []string, value any) {
		if s, ok := value.(string); ok {
			if text, err := template.Parse(s, b.templates); err == nil && !text.IsLiteral() {
				out.texts = append(out.texts, leaf{path: at, text: text})
			}
		}
	})
	return out
}

func (b *body) uses(variable string) bool { return b.object.Uses(variable) }

// render fills in the templates. Prefix is where in its object the body will stand.
func (b *body) render(ctx context.Context, in Input, prefix ...string) (map[string]any, error) {
	value, err := b.object.Render(ctx, in.Vars, in.Budget)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the result is not an object")
	}
	for _, l := range b.texts {
		if err := l.protect(ctx, in, object, slices.Concat(prefix, l.path[b.skip:])); err != nil {
			return nil, err
		}
	}
	return object, nil
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
