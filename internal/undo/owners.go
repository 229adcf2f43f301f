package undo

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/compare"
)

// owners are those who have written an object.
type owners struct {
	all []compare.Manager
	// but are the field managers who do not count.
	but []string
}

// ownersOf reads who has written an object, but for some field managers.
func ownersOf(object map[string]any, but []string) owners {
	return owners{compare.Managers(object), but}
}

// only leaves one field manager.
func (o owners) only(manager string) owners {
	o.all = slices.DeleteFunc(o.all, func(m compare.Manager) bool { return m.Manager != manager })
	return o
}

// of is a manager that has written a field, or something in it where the write had made all of it, and whether it has applied it. Whoever else had
// written it before, the API server has taken it from when the write changed it. Empty: nobody.
func (o owners) of(object map[string]any, f *v1alpha1.UndoField, after any) (manager string, applied bool) {
	for i := range o.all {
		m := &o.all[i]
		if slices.Contains(o.but, m.Manager) || m.Subresource != "" || m.Manager == ancient && !o.exempt(object, f, after) {
			continue
		}
		applied := m.Operation == metav1.ManagedFieldsOperationApply
		// Whoever adds to a list or a map that has one owner as a whole gets all of it. Only who applies it says of each part that it is to be there.
		if owns(m.Fields, object, f, after) || applied && o.ownsWhole(m.Fields, object, f.Path) {
			return m.Manager, applied
		}
	}
	return "", false
}

// ancient is the manager to which the API server adds up those who updated an object first, once there are more than ten. What it has of what was written, and
// none of those has any more who wrote it, was theirs.
const ancient = "ancient-changes"

// exempt tells whether one of those who do not count has a field in their own name.
func (o owners) exempt(object map[string]any, f *v1alpha1.UndoField, after any) bool {
	return slices.ContainsFunc(o.all, func(m compare.Manager) bool {
		return slices.Contains(o.but, m.Manager) && m.Subresource == "" && owns(m.Fields, object, f, after)
	})
}

func owns(set *fieldpath.Set, object map[string]any, f *v1alpha1.UndoField, after any) bool {
	above, last := f.Path[:len(f.Path)-1], f.Path[len(f.Path)-1]
	set, parent := down(set, object, above)
	item := find(parent, f.Path[len(above):], after)
	return member(set, last, item) || f.Before == nil && !under(set, last, item).Empty()
}

// ownsWhole tells whether a list or a map that leads to a field is owned as a whole.
func (o owners) ownsWhole(set *fieldpath.Set, object map[string]any, path []v1alpha1.PathElement) bool {
	for i := 1; i < len(path); i++ {
		above, last := path[:i-1], path[i-1]
		if o.inParts(object, path[:i]) {
			continue
		}
		at, parent := down(set, object, above)
		if member(at, last, find(parent, path[i-1:i], missing{})) {
			return true
		}
	}
	return false
}

// inParts tells whether anybody owns a part of what is at a path: then its parts have owners of their own.
func (o owners) inParts(object map[string]any, path []v1alpha1.PathElement) bool {
	return slices.ContainsFunc(o.all, func(m compare.Manager) bool {
		set, _ := down(m.Fields, object, path)
		return !set.Empty()
	})
}

// down follows a path in what is owned and in the object.
func down(set *fieldpath.Set, object map[string]any, path []v1alpha1.PathElement) (owned *fieldpath.Set, at any) {
	at = object
	for i, element := range path {
		item := find(at, path[i:i+1], missing{})
		set, at = under(set, element, item), item
	}
	return set, at
}

func under(set *fieldpath.Set, element v1alpha1.PathElement, item any) *fieldpath.Set {
	out := fieldpath.NewSet()
	for child := range set.Children.All() {
		if is(child, element, item) {
			out = out.Union(set.WithPrefix(child))
		}
	}
	return out
}

func member(set *fieldpath.Set, element v1alpha1.PathElement, item any) bool {
	for owned := range set.Members.All() {
		if is(owned, element, item) {
			return true
		}
	}
	return false
}

// is compares an element of a path in both notations. The API server tells elements of lists apart by other keys than we do, so it is the element
// as it is that must fit.
func is(theirs fieldpath.PathElement, ours v1alpha1.PathElement, item any) bool {
	switch {
	case ours.Value == nil:
		return theirs.FieldName != nil && *theirs.FieldName == ours.Field
	case theirs.Value != nil:
		return compare.Same((*theirs.Value).Unstructured(), item)
	case theirs.Key == nil:
		return false
	}
	object, isMap := item.(map[string]any)
	for _, key := range *theirs.Key {
		// A key that an element does not have is null there.
		if !isMap || !compare.Same(key.Value.Unstructured(), object[key.Name]) {
			return false
		}
	}
	return true
}
