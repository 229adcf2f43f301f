package guard

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
)

// maxValue is how many characters of a value are shown in a difference.
const maxValue = 120

// identities are the fields by which the members of a list are told apart, the first that all of them have.
var identities = []string{"name", "rule", "expression", "jsonPath"}

// differences says in words how what is there differs from what is wanted, at every place below path. Both are made of maps, lists,
// strings, numbers and booleans.
func differences(path string, want, have any) []string {
	switch wanted := want.(type) {
	case map[string]any:
		if has, ok := have.(map[string]any); ok {
			return mapDifferences(path, wanted, has)
		}
	case []any:
		if has, ok := have.([]any); ok {
			return listDifferences(path, wanted, has)
		}
	}
	_, whole := want.(map[string]any)
	path = strings.TrimSuffix(path, ":")
	switch {
	case apiequality.Semantic.DeepEqual(want, have):
		return nil
	case have == nil && whole:
		return []string{path + " is missing"}
	case have == nil:
		return []string{fmt.Sprintf("%s is missing, expected %s", path, value(want))}
	case want == nil:
		return []string{fmt.Sprintf("%s is %s, expected none", path, value(have))}
	}
	return []string{fmt.Sprintf("%s is %s, expected %s", path, value(have), value(want))}
}

func mapDifferences(path string, want, have map[string]any) []string {
	keys := map[string]bool{}
	for key := range want {
		keys[key] = true
	}
	for key := range have {
		keys[key] = true
	}
	var all []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		all = append(all, differences(below(path, key), want[key], have[key])...)
	}
	return all
}

// below names a field. After a colon there is a blank: "webhook requests.signoff.dev: failurePolicy".
func below(path, key string) string {
	if path == "" || strings.HasSuffix(path, ":") {
		return strings.TrimSpace(path + " " + key)
	}
	return path + "." + key
}

func listDifferences(path string, want, have []any) []string {
	identity := identityOf(want, have)
	if identity == "" {
		want, have = sorted(want), sorted(have)
		if apiequality.Semantic.DeepEqual(want, have) {
			return nil
		}
		return []string{fmt.Sprintf("%s is %s, expected %s", path, value(have), value(want))}
	}
	wanted, has := byIdentity(want, identity), byIdentity(have, identity)
	keys := map[string]bool{}
	for name := range wanted {
		keys[name] = true
	}
	for name := range has {
		keys[name] = true
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		all = append(all, differences(member(path, name), wanted[name], has[name])...)
	}
	return all
}

// member names a member of a list in words, where there are words for the list.
func member(path, name string) string {
	if path == "webhooks" {
		return "webhook " + name + ":"
	}
	return fmt.Sprintf("%s[%s]", path, short(name))
}

// identityOf gives the field by which all members of both lists can be told apart. Empty: there is none.
func identityOf(lists ...[]any) string {
	for _, field := range identities {
		if !slices.ContainsFunc(lists, func(list []any) bool { return byIdentity(list, field) == nil }) {
			return field
		}
	}
	return ""
}

// byIdentity gives the members of a list by the value of a field. Nil: some have none, or share one.
func byIdentity(list []any, field string) map[string]any {
	members := map[string]any{}
	for _, item := range list {
		fields, ok := item.(map[string]any)
		if !ok {
			return nil
		}
		name, ok := fields[field].(string)
		if _, twice := members[name]; !ok || twice {
			return nil
		}
		members[name] = item
	}
	return members
}

// sorted brings a list whose order means nothing into one order.
func sorted(list []any) []any {
	return slices.SortedStableFunc(slices.Values(list), func(a, b any) int { return strings.Compare(text(a), text(b)) })
}

// text is a value in full.
func text(v any) string {
	if plain, ok := v.(string); ok {
		return plain
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(encoded)
}

// value is a value as people are shown it.
func value(v any) string { return short(text(v)) }

func short(text string) string {
	if runes := []rune(text); len(runes) > maxValue {
		return string(runes[:maxValue-1]) + "…"
	}
	return text
}
