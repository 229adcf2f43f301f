// Package compare compares values of Kubernetes objects by what they mean, and tells the elements of their lists apart.
package compare

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// itemKeys are the fields by which people tell the elements of a list apart, the best one first.
var itemKeys = []string{"name", "mountPath", "devicePath", "containerPort", "port", "ip", "type", "key", "uid", "topologyKey"}

// CommonKey is the field that names every element of both lists, or the empty string.
func CommonKey(lists ...[]any) string {
	for _, key := range itemKeys {
		if slices.ContainsFunc(lists, func(list []any) bool { return !isKey(list, key) }) {
			continue
		}
		if len(slices.Concat(lists...)) > 0 {
			return key
		}
	}
	return ""
}

// isKey reports whether every element of the list has the field, and no two the same.
func isKey(list []any, key string) bool {
	seen := map[string]bool{}
	for _, item := range list {
		name, ok := NameBy(item, key)
		if !ok || seen[name] {
			return false
		}
		seen[name] = true
	}
	return true
}

// NameBy gives what the field of an element says, where that can be a name.
func NameBy(item any, key string) (string, bool) {
	object, _ := item.(map[string]any)
	switch v := object[key].(type) {
	case string:
		return v, v != ""
	case int64:
		return fmt.Sprint(v), true
	}
	return "", false
}

// ByKey gives the elements by what the field says.
func ByKey(list []any, key string) map[string]any {
	out := make(map[string]any, len(list))
	for _, item := range list {
		if name, ok := NameBy(item, key); ok {
			out[name] = item
		}
	}
	return out
}

// NamesOf are the names in the order of the second list, then those that only the first one has.
func NamesOf(before, after []any, key string) []string {
	var out []string
	for _, item := range slices.Concat(after, before) {
		if name, ok := NameBy(item, key); ok && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// Kept are the names of those elements that the other list has as well, in their order.
func Kept(list []any, other map[string]any, key string) []string {
	var out []string
	for _, item := range list {
		if name, ok := NameBy(item, key); ok && other[name] != nil {
			out = append(out, name)
		}
	}
	return out
}

// Same compares values by what they mean: 1 and 1.0 are one number.
func Same(a, b any) bool {
	x, isNumber := number(a)
	if y, both := number(b); isNumber && both {
		return x == y
	}
	switch av := a.(type) {
	case map[string]any:
		bv, ok := b.(map[string]any)
		return ok && maps.EqualFunc(av, bv, Same)
	case []any:
		bv, ok := b.([]any)
		return ok && slices.EqualFunc(av, bv, Same)
	}
	return reflect.DeepEqual(a, b)
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}
