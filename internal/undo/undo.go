// Package undo computes how a write is taken back: which fields of an object it changes, and the object with those restored that
// still have what was written. It is pure: it knows no client and no clock.
package undo

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"

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

// compare notes what differs. A map that is new is noted field by field, as somebody else may add to it, and then as an empty one, so that it
// goes where nothing is left in it.
func (d *differ) compare(path []v1alpha1.PathElement, before, after any) {
	if compare.Same(before, after) {
		return
	}
	switch a := after.(type) {
	case map[string]any:
		if b, both := before.(map[string]any); both {
			d.maps(path, b, a)
			return
		}
		if before == (missing{}) && !isElement(path) {
			d.maps(path, nil, a)
			after = map[string]any{}
		}
	case []any:
		if b, both := before.([]any); both {
			if key := compare.CommonKey(b, a); key != "" {
				d.lists(path, key, b, a)
				return
			}
		}
	}
	d.note(path, before, after)
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

func (d *differ) lists(path []v1alpha1.PathElement, key string, before, after []any) {
	old, now := compare.ByKey(before, key), compare.ByKey(after, key)
	for _, name := range compare.NamesOf(before, after, key) {
		d.compare(below(path, v1alpha1.PathElement{Field: key, Value: &name}), field(old, name), field(now, name))
	}
}

func (d *differ) note(path []v1alpha1.PathElement, before, after any) {
	out := v1alpha1.UndoField{Path: path}
	for _, side := range []struct {
		value any
		into  **runtime.RawExtension
	}{{before, &out.Before}, {after, &out.After}} {
		if side.value == (missing{}) {
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

// Restored is what taking back a write makes of an object.
type Restored struct {
	// Object is the object with the fields restored. It shares nothing with the one that was given.
	Object map[string]any
	// Changed says that something of it differs.
	Changed bool
	// Kept are the fields that are no longer ours.
	Kept []Kept
}

// Kept is a field that is not restored.
type Kept struct {
	// Path names the field as people do.
	Path string
	// By is the field manager who wrote the same value since. Empty: somebody has changed it.
	By string
}

// Text says in a sentence without its end why the field of an object is not restored.
func (k Kept) Text(object string) string {
	if k.By != "" {
		return fmt.Sprintf("%s of %s was since written by %s, too", k.Path, object, k.By)
	}
	return fmt.Sprintf("%s of %s was changed since by somebody else", k.Path, object)
}

// Restore gives the fields of an object what they had before a write, where they still have what was written and nobody else but the field
// managers of the write has written them.
func Restore(live map[string]any, fields []v1alpha1.UndoField, managers []string) (*Restored, error) {
	out, owned := &Restored{Object: runtime.DeepCopyJSON(live)}, ownersOf(live, managers)
	for i := range fields {
		f := &fields[i]
		before, after, err := values(f)
		if err != nil {
			return nil, fmt.Errorf("failed to read what %s had and got: %w", Text(f.Path), err)
		}
		now := find(out.Object, f.Path)
		switch by := owned.of(f); {
		case compare.Same(now, before):
		case by != "" && compare.Same(now, after):
			out.Kept = append(out.Kept, Kept{Path: Text(f.Path), By: by})
		case compare.Same(now, after) && put(out.Object, f.Path, before):
			out.Changed = true
		case before == (missing{}) && compare.Same(after, map[string]any{}):
			// Somebody has added to a map that the write made, and it stays for them.
		default:
			out.Kept = append(out.Kept, Kept{Path: Text(f.Path)})
		}
	}
	return out, nil
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

// find gives the value at a path.
func find(from any, path []v1alpha1.PathElement) any {
	for _, element := range path {
		switch v := from.(type) {
		case map[string]any:
			from = field(v, element.Field)
		case []any:
			i := index(v, element)
			if i < 0 {
				return missing{}
			}
			from = v[i]
		default:
			return missing{}
		}
	}
	return from
}

func index(list []any, element v1alpha1.PathElement) int {
	return slices.IndexFunc(list, func(item any) bool {
		name, ok := compare.NameBy(item, element.Field)
		return ok && element.Value != nil && name == *element.Value
	})
}

// put writes a value at a path, or removes what is there. It tells whether the place could be found.
func put(object map[string]any, path []v1alpha1.PathElement, value any) bool {
	above, last := path[:len(path)-1], path[len(path)-1]
	switch parent := find(object, above).(type) {
	case map[string]any:
		if value == (missing{}) {
			delete(parent, last.Field)
		} else {
			parent[last.Field] = value
		}
		return true
	case []any:
		// A list is a value: what holds it must be told of the new one. Every list is in a map or in an element of another list.
		return len(above) > 0 && put(object, above, replaced(parent, last, value))
	}
	return false
}

// replaced is a list with one element replaced, added or removed.
func replaced(list []any, element v1alpha1.PathElement, value any) []any {
	i := index(list, element)
	switch {
	case value == (missing{}):
		return slices.Delete(slices.Clone(list), i, i+1)
	case i < 0:
		return append(slices.Clone(list), value)
	}
	out := slices.Clone(list)
	out[i] = value
	return out
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
