package plan

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"github.com/signoff-dev/signoff/internal/compare"
)

// owners are the fields of an object by who owns them.
type owners struct {
	// all are owned by anybody, own by the manager that applies, others by everybody else.
	all, own, others *fieldpath.Set
}

// ownersOf reads the field managers of an object.
func ownersOf(object map[string]any, manager string) owners {
	out := owners{all: fieldpath.NewSet(), own: fieldpath.NewSet(), others: fieldpath.NewSet()}
	for _, entry := range compare.Managers(object) {
		out.all = out.all.Union(entry.Fields)
		if entry.Manager == manager && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == "" {
			out.own = out.own.Union(entry.Fields)
		} else {
			out.others = out.others.Union(entry.Fields)
		}
	}
	return out
}

// takeBack removes what the manager has applied earlier and applies no more, unless somebody else owns it too.
func (o owners) takeBack(object, body map[string]any) map[string]any {
	var gone []fieldpath.Path
	for path := range o.own.All() {
		if !o.others.Has(path) && !within(body, path) {
			gone = append(gone, path.Copy())
		}
	}
	// An element goes before its fields, as it is found by them.
	slices.SortStableFunc(gone, func(a, b fieldpath.Path) int { return len(a) - len(b) })
	for _, path := range gone {
		if !o.sharedBelow(path) && !isKeyField(path) {
			remove(object, path)
		}
	}
	return object
}

// sharedBelow reports whether somebody else owns a part of what is at the path.
func (o owners) sharedBelow(path fieldpath.Path) bool {
	set := o.others
	for _, element := range path {
		set = set.WithPrefix(element)
	}
	return !set.Empty()
}

// isKeyField reports whether the field names the element in which it stands. It goes with the element only.
func isKeyField(path fieldpath.Path) bool {
	if len(path) < 2 || path[len(path)-1].FieldName == nil || path[len(path)-2].Key == nil {
		return false
	}
	return slices.ContainsFunc(*path[len(path)-2].Key, func(f value.Field) bool { return f.Name == *path[len(path)-1].FieldName })
}

// listKeys says how a list is merged: by these keys, or as a set, as its owners show.
func listKeys(managed *fieldpath.Set) (keys []string, isSet bool) {
	if managed == nil {
		return nil, false
	}
	look := func(element fieldpath.PathElement) {
		isSet = isSet || element.Value != nil
		if element.Key == nil || keys != nil {
			return
		}
		for _, field := range *element.Key {
			keys = append(keys, field.Name)
		}
	}
	managed.Members.Iterate(look)
	managed.Children.Iterate(look)
	return keys, isSet
}

// ownedItem are the fields that are owned in an element of a list.
func ownedItem(managed *fieldpath.Set, item any) *fieldpath.Set {
	if managed == nil {
		return nil
	}
	var found *fieldpath.Set
	for element := range managed.Children.All() {
		if found == nil && indexOf([]any{item}, element) == 0 {
			found = managed.WithPrefix(element)
		}
	}
	return found
}
