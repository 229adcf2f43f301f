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
	// oldHidden says that what was there before is not for everybody. Then the lines tell neither its values nor its names, and not
	// whether what is written is there already.
	oldHidden bool
	lines     lines
	// warnings is how many lists were warned of.
	warnings int
}

// missing stands for a value that is not there. Null is a value.
type missing struct{}

// compare notes what differs. Sent is what the write says of this place, missing where it says nothing.
func (d *differ) compare(path []segment, before, after, sent any) {
	if compare.Same(before, after) && !d.guesses(path, after, sent) {
		return
	}
	switch a := after.(type) {
	case map[string]any:
		switch b := before.(type) {
		case map[string]any:
			d.compareMaps(path, b, a, sent)
			return
		case missing:
			if len(a) > 0 {
				d.compareMaps(path, nil, a, sent)
				return
			}
		}
	case []any:
		switch b := before.(type) {
		case []any:
			d.compareLists(path, b, a, sent)
			return
		case missing:
			if len(a) > 0 {
				d.compareLists(path, nil, a, sent)
				return
			}
		}
	}
	d.change(path, before, after)
}

func (d *differ) compareMaps(path []segment, before, after map[string]any, sent any) {
	keys := slices.Collect(maps.Keys(before))
	for key := range after {
		if _, both := before[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	gone := false
	for _, key := range keys {
		said, now := sentFor(sent, key), get(after, key)
		if d.oldHidden && now == (missing{}) && said == (missing{}) {
			gone = true
			continue
		}
		d.compare(child(path, key), get(before, key), now, said)
	}
	d.gone(path, gone)
}

// gone notes that something goes that the write does not name, where its name is not for everybody.
func (d *differ) gone(path []segment, some bool) {
	if some {
		d.add(path, "%s: elements that are there are removed", hidden)
	}
}

func get(m map[string]any, key string) any {
	if value, ok := m[key]; ok {
		return value
	}
	return missing{}
}

func (d *differ) compareLists(path []segment, before, after []any, sent any) {
	if len(after) < len(before) {
		d.shrinks(path, len(before), len(after))
	}
	said, _ := sent.([]any)
	key := compare.CommonKey(before, after)
	if key == "" {
		d.compareByPlace(path, before, after, said)
		return
	}
	old, now, wanted := compare.ByKey(before, key), compare.ByKey(after, key), compare.ByKey(said, key)
	gone := false
	for _, name := range compare.NamesOf(before, after, key) {
		if d.oldHidden && now[name] == nil && wanted[name] == nil {
			gone = true
			continue
		}
		d.compareItems(element(path, name), key, get(old, name), get(now, name), get(wanted, name))
	}
	d.gone(path, gone)
	order, was := compare.Kept(after, old, key), compare.Kept(before, now, key)
	if slices.Equal(order, was) {
		return
	}
	if d.oldHidden {
		order = compare.Kept(after, wanted, key)
	}
	d.add(path, "order %s → %s", d.show(path, strings.Join(was, ","), true), d.most.valueText(strings.Join(order, ",")))
}

// compareByPlace compares lists whose elements have no names.
func (d *differ) compareByPlace(path []segment, before, after, sent []any) {
	most := max(len(before), len(after))
	if d.oldHidden {
		most = len(after)
	}
	for i := range most {
		now := itemAt(after, i)
		said := itemAt(sent, i)
		if !compare.Same(said, now) && slices.ContainsFunc(sent, func(one any) bool { return compare.Same(one, now) }) {
			said = now // the list is merged
		}
		d.compare(element(path, strconv.Itoa(i)), itemAt(before, i), now, said)
	}
	d.gone(path, len(before) > most)
}

// compareItems compares two elements of a list that have the same name. The name of a new one is in the path already.
func (d *differ) compareItems(path []segment, key string, before, after, sent any) {
	if item, ok := after.(map[string]any); ok && len(item) > 1 && before == (missing{}) {
		after = without(item, key)
	}
	if item, ok := sent.(map[string]any); ok {
		sent = without(item, key)
	}
	d.compare(path, before, after, sent)
}

func without(item map[string]any, key string) map[string]any {
	rest := maps.Clone(item)
	delete(rest, key)
	return rest
}

// sentFor is what the write says of a key of a map.
func sentFor(sent any, key string) any {
	object, _ := sent.(map[string]any)
	return get(object, key)
}

func itemAt(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return missing{}
}

// change notes one line.
func (d *differ) change(path []segment, before, after any) {
	if len(path) == 0 || !path[len(path)-1].item || after != (missing{}) {
		d.shorter(path, before, after) // of an element that goes, its list tells
	}
	switch {
	case d.texts(path, before, after):
	case before == (missing{}) && !d.oldHidden:
		d.add(path, "(new) %s", d.show(path, after, false))
	case after == (missing{}):
		d.add(path, "%s → (removed)", d.show(path, before, true))
	default:
		d.add(path, "%s → %s", d.show(path, before, true), d.show(path, after, false))
	}
}
