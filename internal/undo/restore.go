package undo

import (
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/compare"
)

// Restored is what taking back a write makes of an object.
type Restored struct {
	// Object is the object with the fields restored. It shares nothing with the one that was given.
	Object map[string]any
	// Changed says that something of it differs.
	Changed bool
	// Kept are the fields that are no longer ours.
	Kept []Kept
	// Left are the elements of lists, and lists, in which what was lent is still there, and which somebody has changed since: to remove them would
	// take away what is theirs, and to leave them keeps what was lent for a time.
	Left []Kept
}

// Kept is a field that is not restored.
type Kept struct {
	// Path names the field as people do.
	Path string
	// By is the field manager who wrote the same value since. Empty: somebody has changed it.
	By string
	// Like says that it is an element of a list that has no name, and is gone, and that one like it is there: somebody may have changed it.
	Like bool
}

// Text says in a sentence without its end why the field of an object is not restored.
func (k Kept) Text(object string) string {
	if k.By != "" {
		return fmt.Sprintf("%s of %s was since written by %s, too", k.Path, object, k.By)
	}
	if k.Like {
		return fmt.Sprintf("%s of %s is not there any more as it was lent, and one like it is", k.Path, object)
	}
	return fmt.Sprintf("%s of %s was changed since by somebody else", k.Path, object)
}

// Restore gives the fields of an object what they had before a write, where they still have what was written and nobody else but the field
// managers of the write has written them.
func Restore(live map[string]any, fields []v1alpha1.UndoField, managers []string) (*Restored, error) {
	r := &restorer{
		Restored: &Restored{Object: runtime.DeepCopyJSON(live)}, live: live, owned: ownersOf(live, managers), orders: map[string][]string{},
	}
	for i := range fields {
		if f := &fields[i]; f.Order != nil {
			r.orders[Text(f.Path)] = f.Order
		}
	}
	for i := range fields {
		f := &fields[i]
		if f.Order != nil {
			continue
		}
		if err := r.field(f); err != nil {
			return nil, fmt.Errorf("failed to read what %s had and got: %w", Text(f.Path), err)
		}
	}
	for i := range fields {
		if f := &fields[i]; f.Order != nil {
			r.sort(f)
		}
	}
	r.tellLike()
	return r.Restored, nil
}

type restorer struct {
	*Restored
	live  map[string]any
	owned owners
	// orders are the orders that lists had, by the text of their paths.
	orders map[string][]string
	// gone are elements of lists that were lent, and are not there any more.
	gone []lentElement
}

// lentElement is an element of a list, and where it was.
type lentElement struct {
	path  []v1alpha1.PathElement
	value any
}

// missed notes what was lent and is gone, where it is an element without a name: it may only have become another one.
func (r *restorer) missed(path []v1alpha1.PathElement, lent any) {
	if _, isObject := lent.(map[string]any); isObject && isElement(path) && path[len(path)-1].Field == itself {
		r.gone = append(r.gone, lentElement{path, lent})
	}
}

// tellLike tells of elements that are gone where one like them is still there. One without a name is known by all that it is, so that whoever changes it
// makes another one, in which most of what was lent may be; and nobody can tell it from one that was always there.
func (r *restorer) tellLike() {
	for _, e := range r.gone {
		list, _ := find(r.Object, e.path[:len(e.path)-1], missing{}).([]any)
		if slices.ContainsFunc(list, func(item any) bool { return resembles(item, e.value) }) {
			r.Kept = append(r.Kept, Kept{Path: Text(e.path), Like: true})
		}
	}
}

// resembles tells whether an object has the fields of another one with the same values, or with lists of which something is the same.
func resembles(item, lent any) bool {
	switch l := lent.(type) {
	case map[string]any:
		i, both := item.(map[string]any)
		for key, value := range l {
			if !both || !resembles(field(i, key), value) {
				return false
			}
		}
		return both
	case []any:
		i, both := item.([]any)
		other := without(texts(l), texts(i))
		return both && (len(l) == 0 || len(other) < len(l))
	}
	return compare.Same(item, lent)
}

// field restores one field, or says why not.
func (r *restorer) field(f *v1alpha1.UndoField) error {
	before, after, err := values(f)
	if err != nil {
		return err
	}
	now := find(r.Object, f.Path, after)
	if absent(now) && absent(before) {
		r.missed(f.Path, after)
		return nil
	}
	r.give(f, now, before, after)
	return nil
}

// give restores one field that is there, or was.
func (r *restorer) give(f *v1alpha1.UndoField, now, before, after any) {
	switch by, applied := r.owned.of(r.live, f, after); {
	case compare.Same(now, before):
	case by != "" && compare.Same(now, after):
		r.Kept = append(r.Kept, Kept{Path: Text(f.Path), By: by})
	case compare.Same(now, after) && r.put(f.Path, before, after):
		r.Changed = true
	case absent(before) && isEmpty(after):
		// Somebody has added to what the write made, and it stays for them.
	default:
		into := r.theirs(applied, stillLent(f.Path, now, before, after))
		*into = append(*into, Kept{Path: Text(f.Path)})
	}
}

// theirs is where a field is told that somebody has changed. What was lent and is still in it must go, unless they have applied that, too.
func (r *restorer) theirs(applied, stillLent bool) *[]Kept {
	if stillLent && !applied {
		return &r.Left
	}
	return &r.Kept
}

// isEmpty tells whether a value is a map or a list in which nothing is.
func isEmpty(value any) bool {
	return compare.Same(value, map[string]any{}) || compare.Same(value, []any{})
}

// stillLent tells whether something that a write added to a list is in it, although the field is not what it was any more. A value that was changed
// is not: there is nothing left of it.
func stillLent(path []v1alpha1.PathElement, now, before, after any) bool {
	if list, ok := after.([]any); ok {
		current, _ := now.([]any)
		earlier, _ := before.([]any)
		lent := without(texts(list), texts(earlier))
		return len(without(lent, texts(current))) < len(lent)
	}
	return isElement(path) && absent(before) && includes(now, after)
}

// texts are elements as text, each the same for what means the same. One that cannot be written is like no other.
func texts(list []any) []string {
	out := make([]string, 0, len(list))
	for _, item := range list {
		if raw, err := json.Marshal(item); err == nil {
			out = append(out, string(raw))
		}
	}
	return out
}

// includes tells whether a value has everything that another one has.
func includes(now, after any) bool {
	a, isMap := after.(map[string]any)
	if !isMap {
		return compare.Same(now, after)
	}
	n, both := now.(map[string]any)
	for key, value := range a {
		if !both || !includes(field(n, key), value) {
			return false
		}
	}
	return both
}

// values are what a field had before a write, and what it got.
func values(f *v1alpha1.UndoField) (before, after any, err error) {
	before, err = value(f.Before)
	if err != nil {
		return nil, nil, err
	}
	after, err = value(f.After)
	return before, after, err
}

func value(raw *runtime.RawExtension) (any, error) {
	if raw == nil {
		return missing{}, nil
	}
	var out any
	err := utiljson.Unmarshal(raw.Raw, &out)
	return out, err //nolint:wrapcheck // the caller says what could not be read
}

// put writes a value at a path in the place of another one, or removes what is there. It tells whether the place could be found.
func (r *restorer) put(path []v1alpha1.PathElement, value, instead any) bool {
	above, last := path[:len(path)-1], path[len(path)-1]
	switch parent := find(r.Object, above, missing{}).(type) {
	case map[string]any:
		if value == (missing{}) {
			delete(parent, last.Field)
		} else {
			parent[last.Field] = value
		}
		return true
	case []any:
		// A list is a value: what holds it must be told of the new one. Every list is in a map or in an element of another list.
		return len(above) > 0 && r.put(above, r.replaced(parent, path, value, instead), parent)
	}
	return false
}

// replaced is a list with one element replaced, added or removed.
func (r *restorer) replaced(list []any, path []v1alpha1.PathElement, value, instead any) []any {
	element := path[len(path)-1]
	i := index(list, element, instead)
	switch {
	case value == (missing{}):
		return slices.Delete(slices.Clone(list), i, i+1)
	case i < 0:
		order := r.orders[Text(below(path[:len(path)-1], v1alpha1.PathElement{Field: element.Field}))]
		return slices.Insert(slices.Clone(list), placeIn(list, element, order), value)
	}
	out := slices.Clone(list)
	out[i] = value
	return out
}

// placeIn is where an element comes back to a list: behind the nearest of those that were before it. Where that is not known, at the end.
func placeIn(list []any, element v1alpha1.PathElement, order []string) int {
	rank := slices.Index(order, *element.Value)
	if rank < 0 {
		return len(list)
	}
	for _, name := range slices.Backward(order[:rank]) {
		if i := index(list, v1alpha1.PathElement{Field: element.Field, Value: &name}, missing{}); i >= 0 {
			return i + 1
		}
	}
	return 0
}

// sort gives a list the order that it had, where it has the same elements again and nobody has applied it as a whole since.
func (r *restorer) sort(f *v1alpha1.UndoField) {
	above, by := f.Path[:len(f.Path)-1], f.Path[len(f.Path)-1].Field
	list, _ := find(r.Object, above, missing{}).([]any)
	names := namesIn(list, by)
	if _, applied := r.owned.of(r.live, f, missing{}); applied || slices.Equal(names, f.Order) || !isNamed(list, by) || !sameNames(names, f.Order) {
		return
	}
	sorted := make([]any, 0, len(list))
	for _, name := range f.Order {
		sorted = append(sorted, list[slices.Index(names, name)])
	}
	r.Changed = r.put(above, sorted, list) || r.Changed
}

func sameNames(a, b []string) bool {
	return len(a) == len(b) && len(without(a, b)) == 0 && len(without(b, a)) == 0
}
