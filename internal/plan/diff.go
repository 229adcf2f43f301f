package plan

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/signoff-dev/signoff/internal/compare"
)

// differ notes what differs between two objects.
type differ struct {
	// most is how much is shown.
	most bounds
	// secret says that the object is a Secret, whose values are never shown.
	secret bool
	// copied says that the object holds a copy of another one's pod, whose variables are not for everybody.
	copied bool
	// oldHidden says that what was there before is not for everybody.
	oldHidden bool
	lines     lines
}

// missing stands for a value that is not there. Null is a value.
type missing struct{}

func (d *differ) compare(path []segment, before, after any) {
	if compare.Same(before, after) {
		return
	}
	switch a := after.(type) {
	case map[string]any:
		switch b := before.(type) {
		case map[string]any:
			d.compareMaps(path, b, a)
			return
		case missing:
			if len(a) > 0 {
				d.compareMaps(path, nil, a)
				return
			}
		}
	case []any:
		switch b := before.(type) {
		case []any:
			d.compareLists(path, b, a)
			return
		case missing:
			if len(a) > 0 {
				d.compareLists(path, nil, a)
				return
			}
		}
	}
	d.change(path, before, after)
}

func (d *differ) compareMaps(path []segment, before, after map[string]any) {
	keys := slices.Collect(maps.Keys(before))
	for key := range after {
		if _, both := before[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		d.compare(child(path, key), get(before, key), get(after, key))
	}
}

func get(m map[string]any, key string) any {
	if value, ok := m[key]; ok {
		return value
	}
	return missing{}
}

func (d *differ) compareLists(path []segment, before, after []any) {
	if len(after) < len(before) {
		d.shrinks(path, len(before), len(after))
	}
	key := compare.CommonKey(before, after)
	if key == "" {
		for i := range max(len(before), len(after)) {
			d.compare(element(path, strconv.Itoa(i)), itemAt(before, i), itemAt(after, i))
		}
		return
	}
	old, now := compare.ByKey(before, key), compare.ByKey(after, key)
	for _, name := range compare.NamesOf(before, after, key) {
		d.compareItems(element(path, name), key, get(old, name), get(now, name))
	}
	if order, was := compare.Kept(after, old, key), compare.Kept(before, now, key); !slices.Equal(order, was) {
		d.add(path, "order %s → %s", d.show(path, strings.Join(was, ","), true), d.most.valueText(strings.Join(order, ",")))
	}
}

// compareItems compares two elements of a list that have the same name. The name of a new one is in the path already.
func (d *differ) compareItems(path []segment, key string, before, after any) {
	if item, ok := after.(map[string]any); ok && len(item) > 1 && before == (missing{}) {
		rest := maps.Clone(item)
		delete(rest, key)
		after = rest
	}
	d.compare(path, before, after)
}

func itemAt(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return missing{}
}

// change notes one line.
func (d *differ) change(path []segment, before, after any) {
	switch {
	case d.texts(path, before, after):
	case before == (missing{}):
		d.add(path, "(new) %s", d.show(path, after, false))
	case after == (missing{}):
		d.add(path, "%s → (removed)", d.show(path, before, true))
	default:
		d.add(path, "%s → %s", d.show(path, before, true), d.show(path, after, false))
	}
}
