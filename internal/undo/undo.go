// Package undo computes how a write is taken back: which fields of an object it changes, and the object with those restored that
// still have what was written. It is pure: it knows no client and no clock.
package undo

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/compare"
)

// missing stands for a value that is not there. Null is a value.
type missing struct{}

// Fields gives the fields in which an object differs before and after a write. What the API server writes by itself is left out.
func Fields(before, after map[string]any) ([]v1alpha1.UndoField, error) {
	d := &differ{}
	d.compare(nil, written(before), written(after))
	return d.fields, d.err
}

// serverFields are the fields of metadata that the API server writes.
var serverFields = []string{
	"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink",
}

// written is the part of an object that clients write. Status belongs to controllers.
func written(object map[string]any) map[string]any {
	out := maps.Clone(object)
	delete(out, "status")
	if metadata, ok := out["metadata"].(map[string]any); ok {
		metadata = maps.Clone(metadata)
		for _, name := range serverFields {
			delete(metadata, name)
		}
		out["metadata"] = metadata
	}
	return out
}

type differ struct {
	fields []v1alpha1.UndoField
	err    error
}

// compare notes what differs. A map or a list that is new is noted part by part, as somebody else may add to it, and then as an empty one, so that
// it goes where nothing is left in it.
func (d *differ) compare(path []v1alpha1.PathElement, before, after any) {
	if compare.Same(before, after) {
		return
	}
	switch a := after.(type) {
	case map[string]any:
		if b, ok := partsOf[map[string]any](path, before); ok {
			d.maps(path, b, a)
			d.empty(path, before, map[string]any{})
			return
		}
	case []any:
		b, ok := partsOf[[]any](path, before)
		if by, named := naming(b, a); ok && named {
			d.lists(path, by, b, a)
			d.empty(path, before, []any{})
			return
		}
	}
	d.note(path, before, after)
}

// partsOf tells whether a write is noted part by part, and gives what was there before of the same type: none where it is new.
func partsOf[T any](path []v1alpha1.PathElement, before any) (T, bool) {
	parts, both := before.(T)
	return parts, both || absent(before) && !isElement(path)
}

// absent tells whether there was nothing. The API server stores null where it is told nothing, and a Record cannot tell them apart.
func absent(value any) bool { return value == nil || value == (missing{}) }

// empty notes a map or a list that is new as if nothing were in it.
func (d *differ) empty(path []v1alpha1.PathElement, before, after any) {
	if absent(before) {
		d.note(path, before, after)
	}
}

// isElement tells whether a path leads to an element of a list. One that is new comes and goes as a whole.
func isElement(path []v1alpha1.PathElement) bool {
	return len(path) > 0 && path[len(path)-1].Value != nil
}

func (d *differ) maps(path []v1alpha1.PathElement, before, after map[string]any) {
	keys := slices.Collect(maps.Keys(before))
	for key := range after {
		if _, both := before[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		d.compare(below(path, v1alpha1.PathElement{Field: key}), field(before, key), field(after, key))
	}
}

func (d *differ) lists(path []v1alpha1.PathElement, by string, before, after []any) {
	old, now := namesIn(before, by), namesIn(after, by)
	was, has := byName(before, by), byName(after, by)
	for _, name := range slices.Concat(now, without(old, now)) {
		d.compare(below(path, v1alpha1.PathElement{Field: by, Value: &name}), field(was, name), field(has, name))
	}
	// What is removed would come back at the end.
	if back := slices.Concat(without(now, without(now, old)), without(old, now)); !slices.Equal(back, old) && len(old) <= maxOrder {
		d.fields = append(d.fields, v1alpha1.UndoField{Path: below(path, v1alpha1.PathElement{Field: by}), Order: old})
	}
}

func (d *differ) note(path []v1alpha1.PathElement, before, after any) {
	out := v1alpha1.UndoField{Path: path}
	for _, side := range []struct {
		value any
		into  **runtime.RawExtension
	}{{before, &out.Before}, {after, &out.After}} {
		if absent(side.value) { // a Record holds no null: it would not be what was sealed
			continue
		}
		raw, err := json.Marshal(side.value)
		if err != nil {
			d.err = fmt.Errorf("failed to note %s: %w", Text(path), err)
			return
		}
		*side.into = &runtime.RawExtension{Raw: raw}
	}
	d.fields = append(d.fields, out)
}

func below(path []v1alpha1.PathElement, element v1alpha1.PathElement) []v1alpha1.PathElement {
	return append(path[:len(path):len(path)], element)
}

func field(m map[string]any, key string) any {
	if value, ok := m[key]; ok {
		return value
	}
	return missing{}
}

// Removed gives those fields that a write was to remove and that are not there. A removal leaves no field manager behind, so that nobody can tell who made it.
func Removed(fields []v1alpha1.UndoField, object map[string]any) []v1alpha1.UndoField {
	var out []v1alpha1.UndoField
	for i := range fields {
		if f := &fields[i]; f.Before != nil && f.After == nil && absent(find(object, f.Path, missing{})) {
			out = append(out, *f)
		}
	}
	return out
}

// Overlay gives the fields of a write that is sent again. Where it changes something once more, what is there now is what it gets back.
func Overlay(before, again []v1alpha1.UndoField) []v1alpha1.UndoField {
	out := slices.Clone(before)
	for i := range again {
		at := slices.IndexFunc(out, func(f v1alpha1.UndoField) bool { return Text(f.Path) == Text(again[i].Path) })
		if at < 0 {
			out = append(out, again[i])
			continue
		}
		out[at] = again[i]
	}
	return out
}

// Wrote puts what a write has really made in the place of what a dry run of it had told: the API server draws ports and the like anew each time.
// Only what that dry run told is looked at. What was noted before an earlier attempt may have been changed by somebody since.
func Wrote(fields, told []v1alpha1.UndoField, object map[string]any) error {
	return observe(fields, object, func(f *v1alpha1.UndoField, _ any) bool {
		return slices.ContainsFunc(told, func(t v1alpha1.UndoField) bool { return Text(t.Path) == Text(f.Path) })
	})
}

// Found does the same where nobody was told what a write has made, for elements of lists that the field manager of the write has added, and in which
// nobody else has written since.
func Found(fields []v1alpha1.UndoField, object map[string]any, manager string) error {
	ours, others := ownersOf(object, nil).only(manager), ownersOf(object, []string{manager})
	return observe(fields, object, func(f *v1alpha1.UndoField, after any) bool {
		us, _ := ours.of(object, f, after)
		them, _ := others.of(object, f, after)
		return isElement(f.Path) && f.Before == nil && us != "" && them == ""
	})
}

// observe notes the values that fields of an object have, where the write has not removed them and the test holds.
func observe(fields []v1alpha1.UndoField, object map[string]any, test func(f *v1alpha1.UndoField, after any) bool) error {
	for i := range fields {
		f := &fields[i]
		after, err := value(f.After)
		if err != nil {
			return fmt.Errorf("failed to read what %s got: %w", Text(f.Path), err)
		}
		now := find(object, f.Path, after)
		if absent(now) || absent(after) || isEmpty(after) || !test(f, after) {
			continue
		}
		raw, err := json.Marshal(now)
		if err != nil {
			return fmt.Errorf("failed to note %s: %w", Text(f.Path), err)
		}
		f.After = &runtime.RawExtension{Raw: raw}
	}
	return nil
}
