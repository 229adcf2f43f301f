package plan

import (
	"fmt"
	"slices"
)

// itemKeys are the fields by which people tell the elements of a list apart, the best one first.
var itemKeys = []string{"name", "mountPath", "devicePath", "containerPort", "port", "ip", "type", "key", "uid", "topologyKey"}

// commonKey is the field that names every element of both lists, or the empty string.
func commonKey(lists ...[]any) string {
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
		name, ok := nameBy(item, key)
		if !ok || seen[name] {
			return false
		}
		seen[name] = true
	}
	return true
}

func nameBy(item any, key string) (string, bool) {
	object, _ := item.(map[string]any)
	switch v := object[key].(type) {
	case string:
		return v, v != ""
	case int64:
		return fmt.Sprint(v), true
	}
	return "", false
}

func byKey(list []any, key string) map[string]any {
	out := make(map[string]any, len(list))
	for _, item := range list {
		if name, ok := nameBy(item, key); ok {
			out[name] = item
		}
	}
	return out
}

// namesOf are the names in the order of the second list, then those that only the first one has.
func namesOf(before, after []any, key string) []string {
	var out []string
	for _, item := range slices.Concat(after, before) {
		if name, ok := nameBy(item, key); ok && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// kept are the names of those elements that the other list has as well, in their order.
func kept(list []any, other map[string]any, key string) []string {
	var out []string
	for _, item := range list {
		if name, ok := nameBy(item, key); ok && other[name] != nil {
			out = append(out, name)
		}
	}
	return out
}
