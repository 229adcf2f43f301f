package undo

import (
	"fmt"
	"slices"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/compare"
)

// owners are those who have written an object.
type owners []compare.Manager

// ownersOf reads who has written an object, but for some field managers.
func ownersOf(object map[string]any, but []string) owners {
	return slices.DeleteFunc(compare.Managers(object), func(m compare.Manager) bool { return slices.Contains(but, m.Manager) || m.Subresource != "" })
}

// of is a manager that has written a field, or something in it where the write had made all of it. Whoever else had written it before, the API
// server has taken it from when the write changed it. Empty: nobody.
func (o owners) of(f *v1alpha1.UndoField) string {
	for i := range o {
		set := o[i].Fields
		for _, element := range f.Path[:len(f.Path)-1] {
			set = under(set, element)
		}
		last := f.Path[len(f.Path)-1]
		if member(set, last) || f.Before == nil && !under(set, last).Empty() {
			return o[i].Manager
		}
	}
	return ""
}

func under(set *fieldpath.Set, element v1alpha1.PathElement) *fieldpath.Set {
	out := fieldpath.NewSet()
	for child := range set.Children.All() {
		if is(child, element) {
			out = out.Union(set.WithPrefix(child))
		}
	}
	return out
}

func member(set *fieldpath.Set, element v1alpha1.PathElement) bool {
	for item := range set.Members.All() {
		if is(item, element) {
			return true
		}
	}
	return false
}

// is compares an element of a path in both notations. An element of a list that is named by several keys is known by one of them.
func is(theirs fieldpath.PathElement, ours v1alpha1.PathElement) bool {
	if ours.Value == nil {
		return theirs.FieldName != nil && *theirs.FieldName == ours.Field
	}
	if theirs.Key == nil {
		return false
	}
	for _, key := range *theirs.Key {
		if key.Name == ours.Field && fmt.Sprint(key.Value.Unstructured()) == *ours.Value {
			return true
		}
	}
	return false
}
