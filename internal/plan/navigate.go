package plan

import (
	"slices"

	"github.com/signoff-dev/signoff/internal/compare"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// within reports whether the value has something at the path.
func within(value any, path fieldpath.Path) bool {
	for _, element := range path {
		next, ok := stepInto(value, element)
		if !ok {
			return false
		}
		value = next
	}
	return true
}

// stepInto follows one element of a path.
func stepInto(value any, element fieldpath.PathElement) (any, bool) {
	switch v := value.(type) {
	case map[string]any:
		if element.FieldName == nil {
			return nil, false
		}
		next, ok := v[*element.FieldName]
		return next, ok
	case []any:
		if i := indexOf(v, element); i >= 0 {
			return v[i], true
		}
	}
	return nil, false
}

// indexOf finds an element of a list.
func indexOf(list []any, element fieldpath.PathElement) int {
	switch {
	case element.Key != nil:
		item := map[string]any{}
		for _, field := range *element.Key {
			item[field.Name] = field.Value.Unstructured()
		}
		return slices.IndexFunc(list, func(candidate any) bool { return matches(candidate, item) })
	case element.Value != nil:
		value := (*element.Value).Unstructured()
		return slices.IndexFunc(list, func(candidate any) bool { return compare.Same(candidate, value) })
	case element.Index != nil && *element.Index < len(list):
		return *element.Index
	}
	return -1
}

// matches compares an element with its key. A key that the element does not write has its default; where that is not known, it fits any value.
func matches(candidate any, key map[string]any) bool {
	object, ok := candidate.(map[string]any)
	if !ok {
		return false
	}
	written := 0
	for name, want := range key {
		if _, set := object[name]; set {
			written++
		}
		if got := keyOf(object, name); got != nil && !compare.Same(got, want) {
			return false
		}
	}
	return written > 0
}

// remove deletes what is at the path of an object.
func remove(object map[string]any, path fieldpath.Path) {
	if len(path) == 0 {
		return
	}
	parents := []any{object}
	for _, element := range path[:len(path)-1] {
		next, ok := stepInto(parents[len(parents)-1], element)
		if !ok {
			return
		}
		parents = append(parents, next)
	}
	last := path[len(path)-1]
	switch parent := parents[len(parents)-1].(type) {
	case map[string]any:
		if last.FieldName != nil {
			delete(parent, *last.FieldName)
		}
	case []any:
		i := indexOf(parent, last)
		if i < 0 || len(parents) < 2 {
			return
		}
		replaceList(parents[len(parents)-2], path[len(path)-2], slices.Delete(slices.Clone(parent), i, i+1))
	}
}

// replaceList puts a shorter list in the place of the one that was there. A list stands in a map always.
func replaceList(parent any, element fieldpath.PathElement, list []any) {
	if object, ok := parent.(map[string]any); ok && element.FieldName != nil {
		object[*element.FieldName] = list
	}
}
