package undo

import (
	"encoding/json"
	"slices"
	"strings"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/compare"
)

const (
	// itself, in the place of the field by which elements of a list are told apart, says that each is named by all that it is.
	itself = ""
	// maxName and maxOrder are the bounds of the API.
	maxName  = 1024
	maxOrder = 512
	// maxWords is how many elements that have no field for a name are noted one by one. A write can change more fields than that beside them.
	maxWords = 256
)

// naming tells by what the elements of both lists are told apart. False: they are not, and the list is one value.
func naming(before, after []any) (by string, ok bool) {
	if by = compare.CommonKey(before, after); by != "" && isNamed(before, by) && isNamed(after, by) {
		return by, true
	}
	if !isNamed(before, itself) || !isNamed(after, itself) {
		return "", false
	}
	old, now := namesIn(before, itself), namesIn(after, itself)
	removed, added := len(without(old, now)), len(without(now, old))
	if removed+added > maxWords {
		return "", false
	}
	// An object that was replaced by another one is changed, and nobody can tell which has become which.
	return itself, allScalars(before) && allScalars(after) || removed == 0 || added == 0
}

// isNamed tells whether every element has a name, and no two the same.
func isNamed(list []any, by string) bool {
	names := namesIn(list, by)
	slices.Sort(names)
	return len(slices.Compact(names)) == len(list)
}

func allScalars(list []any) bool {
	return !slices.ContainsFunc(list, func(item any) bool {
		switch item.(type) {
		case map[string]any, []any:
			return true
		}
		return false
	})
}

// nameOf is the name of an element.
func nameOf(item any, by string) (string, bool) {
	if by != itself {
		name, ok := compare.NameBy(item, by)
		return name, ok && len(name) <= maxName
	}
	if text, ok := item.(string); ok {
		return text, len(text) <= maxName
	}
	raw, err := json.Marshal(item)
	return string(raw), err == nil && len(raw) <= maxName
}

// namesIn are the names of the elements that have one, in their order.
func namesIn(list []any, by string) []string {
	var out []string
	for _, item := range list {
		if name, ok := nameOf(item, by); ok {
			out = append(out, name)
		}
	}
	return out
}

// byName gives the elements that have a name by it.
func byName(list []any, by string) map[string]any {
	out := make(map[string]any, len(list))
	for _, item := range list {
		if name, ok := nameOf(item, by); ok {
			out[name] = item
		}
	}
	return out
}

// without gives the names of a list that another one has not, in their order.
func without(list, other []string) []string {
	known := sets.New(other...)
	return slices.DeleteFunc(slices.Clone(list), known.Has)
}

// find gives the value at a path. Where several elements of a list have the last name, it is the one that is like what is looked for.
func find(from any, path []v1alpha1.PathElement, like any) any {
	for i, element := range path {
		switch v := from.(type) {
		case map[string]any:
			from = field(v, element.Field)
		case []any:
			at := index(v, element, likeLast(path, i, like))
			if at < 0 {
				return missing{}
			}
			from = v[at]
		default:
			return missing{}
		}
	}
	return from
}

// likeLast is what is looked for at the end of a path, and nothing before that.
func likeLast(path []v1alpha1.PathElement, at int, like any) any {
	if at == len(path)-1 {
		return like
	}
	return missing{}
}

// index finds an element of a list by its name. Others can have come by the same one since: an account and a group can.
func index(list []any, element v1alpha1.PathElement, like any) int {
	first, named := -1, named(element)
	for i, item := range list {
		switch {
		case !named(item):
		case compare.Same(item, like):
			return i
		case first < 0:
			first = i
		}
	}
	return first
}

// named gives the test whether an item is the element of a list to which a path leads. Lists can be long, so it reads the name once.
func named(element v1alpha1.PathElement) func(item any) bool {
	if element.Value == nil {
		return func(any) bool { return false }
	}
	if element.Field != itself {
		return func(item any) bool {
			name, ok := compare.NameBy(item, element.Field)
			return ok && name == *element.Value
		}
	}
	var value any
	err := utiljson.Unmarshal([]byte(*element.Value), &value)
	return func(item any) bool {
		if text, ok := item.(string); ok {
			return text == *element.Value
		}
		return err == nil && compare.Same(item, value)
	}
}

// Text writes a path as people do: spec.containers[app].image.
func Text(path []v1alpha1.PathElement) string {
	var out strings.Builder
	for _, element := range path {
		switch {
		case element.Value != nil:
			out.WriteString("[" + *element.Value + "]")
		case strings.ContainsAny(element.Field, "./[]"):
			out.WriteString("[" + element.Field + "]")
		default:
			if out.Len() > 0 {
				out.WriteByte('.')
			}
			out.WriteString(element.Field)
		}
	}
	return out.String()
}
