package steps

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/signoff-dev/signoff/internal/template"
)

// Kubernetes replaces $(VAR) in some strings of a container by the value of an environment variable, which may come from a
// Secret. What a template substitutes there is data, so every "$" in it is doubled: Kubernetes reads "$$" as "$", anywhere.
// Doubling only "$(" would not do: "$$(VAR)" would become "$$$(VAR)", which is "$" and an expansion. What the author of the
// Action wrote is left alone.

// containerLists are the fields that hold containers, in a pod, a pod template, and in custom resources that embed one.
var containerLists = []string{"containers", "initContainers", "ephemeralContainers"}

// double is the escape for substituted text.
func double(s string) string { return strings.ReplaceAll(s, "$", "$$") }

// expandedFields are the fields of a container, with * for an element of a list, that Kubernetes expands. That of a lifecycle
// hook is not among them.
var expandedFields = []string{
	"command/*", "args/*", "env/*/value", "volumeMounts/*/subPathExpr",
	"livenessProbe/exec/command/*", "readinessProbe/exec/command/*", "startupProbe/exec/command/*",
}

// expanded reports whether Kubernetes expands the string at the path.
func expanded(at []string) bool {
	inside, ok := insideContainer(at)
	if !ok {
		return false
	}
	return slices.ContainsFunc(expandedFields, func(field string) bool {
		return slices.EqualFunc(strings.Split(field, "/"), inside, func(want, got string) bool { return want == got || want == "*" })
	})
}

// insideContainer gives the part of the path behind the innermost container.
func insideContainer(at []string) ([]string, bool) {
	for i := len(at) - 2; i >= 0; i-- {
		if slices.Contains(containerLists, at[i]) && isIndex(at[i+1]) {
			return at[i+2:], true
		}
	}
	return nil, false
}

// isIndex reports whether the segment can be an element of a list. "-" is the end of a list in a JSON patch.
func isIndex(segment string) bool { return position(segment) >= 0 || segment == "-" }

// position is the place in a list that the segment names, or -1.
func position(segment string) int {
	if i, err := strconv.Atoi(segment); err == nil {
		return i
	}
	return -1
}

// protect escapes what the template at the leaf substituted, wherever Kubernetes would expand it. Full is where the leaf
// stands in the object that is written.
func (l leaf) protect(ctx context.Context, in Input, object map[string]any, full []string) error {
	return replaceAt(object, l.path, func(value any) (any, error) {
		switch value.(type) {
		case map[string]any, []any:
			return doubleInside(value, full), nil
		}
		if !expanded(full) {
			return value, nil
		}
		return renderData(ctx, in, l.text)
	})
}

// renderData renders text of which Kubernetes expands nothing but what the author wrote.
func renderData(ctx context.Context, in Input, text *template.Text) (string, error) {
	return text.RenderString(ctx, in.Vars, in.Budget, template.WithEscape(double))
}

// doubleInside escapes the expanded strings of a value that was substituted as a whole. The value may be shared, so the
// result is another one.
func doubleInside(value any, at []string) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, child := range v {
			out[key] = doubleInside(child, extend(at, key))
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, child := range v {
			out[i] = doubleInside(child, extend(at, strconv.Itoa(i)))
		}
		return out
	case string:
		if expanded(at) {
			return double(v)
		}
	}
	return value
}

// replaceAt replaces the value at a path. A path that does not exist is left alone.
func replaceAt(value any, at []string, change func(any) (any, error)) error {
	var err error
	switch v := value.(type) {
	case map[string]any:
		child, ok := v[at[0]]
		if !ok {
			return nil
		}
		if len(at) > 1 {
			return replaceAt(child, at[1:], change)
		}
		v[at[0]], err = change(child)
	case []any:
		i := position(at[0])
		if i < 0 || i >= len(v) {
			return nil
		}
		if len(at) > 1 {
			return replaceAt(v[i], at[1:], change)
		}
		v[i], err = change(v[i])
	}
	return err
}
