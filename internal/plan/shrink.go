package plan

import (
	"maps"
	"slices"
	"strconv"

	"github.com/signoff-dev/signoff/internal/compare"
)

// shrinks warns of a list that gets shorter: who replaces a list as a whole often does not know all of what was in it.
func (d *differ) shrinks(path []segment, before, after int) {
	text := "gets shorter"
	if !d.oldHidden {
		text += ", " + strconv.Itoa(before) + " → " + strconv.Itoa(after)
	}
	d.warn(path, text)
}

// warn notes a warning about a place. There are not more of them than an entry can show.
func (d *differ) warn(path []segment, text string) {
	if d.warnings >= d.most.lines {
		return
	}
	d.warnings++
	d.lines = append(d.lines, line{path: path, text: warning + d.most.pathText(path) + " " + text, warning: true})
}

// shorter warns of every list in a value that gets shorter, or goes, where the value becomes another one. Of what is not for everybody it names
// nothing that the write does not name.
func (d *differ) shorter(path []segment, before, after any) {
	switch b := before.(type) {
	case []any:
		a, _ := after.([]any)
		if len(a) < len(b) {
			d.shrinks(path, len(b), len(a))
		}
		d.shorterItems(path, b, a)
	case map[string]any:
		a, _ := after.(map[string]any)
		hides := false
		for _, key := range slices.Sorted(maps.Keys(b)) {
			now := get(a, key)
			if d.oldHidden && now == (missing{}) {
				hides = hides || holdsList(b[key])
				continue
			}
			d.shorter(child(path, key), b[key], now)
		}
		if hides {
			d.shrinks(path, 0, 0)
		}
	}
}

// shorterItems looks into the elements that stay.
func (d *differ) shorterItems(path []segment, before, after []any) {
	if d.oldHidden {
		return // their names are hidden as well
	}
	key := compare.CommonKey(before, after)
	if key == "" {
		for i := range min(len(before), len(after)) {
			d.shorter(element(path, strconv.Itoa(i)), before[i], after[i])
		}
		return
	}
	now := compare.ByKey(after, key)
	for _, item := range before {
		if name, ok := compare.NameBy(item, key); ok && now[name] != nil {
			d.shorter(element(path, name), item, now[name])
		}
	}
}

// holdsList tells whether there is a list with something in it in a value.
func holdsList(value any) bool {
	switch v := value.(type) {
	case []any:
		return len(v) > 0
	case map[string]any:
		for _, item := range v {
			if holdsList(item) {
				return true
			}
		}
	}
	return false
}

// shortens warns of what an operation of a JSON patch has made shorter.
func (d *differ) shortens(operation, before, after map[string]any) {
	if d.oldHidden {
		d.mayShorten(operation)
		return
	}
	op, _ := operation["op"].(string)
	pointer, _ := operation["path"].(string)
	switch path := segments(pointer); op {
	case "remove":
		d.leaves(path, before, after)
	case "move":
		from, _ := operation["from"].(string)
		d.leaves(segments(from), before, after)
		d.lands(path, before, after)
	case "add", "copy":
		d.lands(path, before, after)
	case "replace":
		d.shorter(path, find(before, path), find(after, path))
	}
}

// leaves warns of what goes from a place. An element that goes from a list makes that list shorter, and what was in it is shown.
func (d *differ) leaves(path []segment, before, after map[string]any) {
	above := path[:max(len(path)-1, 0)]
	list, ok := find(before, above).([]any)
	if !ok {
		d.shorter(path, find(before, path), find(after, path))
		return
	}
	if rest, stays := find(after, above).([]any); stays && len(rest) < len(list) {
		d.shrinks(above, len(list), len(rest))
	}
}

// lands warns of what is overwritten where something comes to a place. An element that comes into a list overwrites nothing.
func (d *differ) lands(path []segment, before, after map[string]any) {
	if _, ok := find(before, path[:max(len(path)-1, 0)]).([]any); !ok {
		d.shorter(path, find(before, path), find(after, path))
	}
}

// mayShorten warns of what an operation can make shorter in an object that is not for everybody, by what it says alone: whoever guesses a path, or a
// length, must not learn whether it is right.
func (d *differ) mayShorten(operation map[string]any) {
	op, _ := operation["op"].(string)
	place := operation["path"]
	if op == "move" {
		place = operation["from"]
	}
	pointer, _ := place.(string)
	path := segments(pointer)
	item := len(path) > 0 && path[len(path)-1].item
	switch {
	case item && (op == "remove" || op == "move"):
		d.shrinks(path[:len(path)-1], 0, 0)
	case op == "replace", op == "add" && !item:
		d.written(path, operation["value"])
	}
}

// written warns of lists that are written as a whole to where something hidden may be.
func (d *differ) written(path []segment, value any) {
	switch v := value.(type) {
	case []any:
		d.warn(path, "can get shorter: what is there is hidden")
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			d.written(child(path, key), v[key])
		}
	}
}
