package plan

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
)

// operations notes the operations of a JSON patch as they are, with the values that they will find, and returns what they make of
// the object.
func (d *differ) operations(before map[string]any, list []any) map[string]any {
	object, fits := before, true
	for _, item := range list {
		operation, _ := item.(map[string]any)
		said, next := d.operation(object, operation), object
		var err error
		if fits && !d.tests(object, operation) {
			next, err = throughJSON(object, []any{operation}, boundedJSON)
		}
		if err == nil || d.oldHidden {
			d.shortens(operation, object, next)
		}
		d.lines = append(d.lines, said)
		switch {
		case err == nil:
			d.oldHidden = d.oldHidden || d.spreads(object, operation)
			object = next
		case d.oldHidden:
			fits = false // to say so would tell what is there
		default:
			d.lines = append(d.lines, line{text: "  this does not fit the object as it is now: the step would fail"})
			return before
		}
	}
	if !fits {
		return before
	}
	return object
}

// tests tells whether an operation asks for a value that is hidden. Whether it is there is not told, or whoever guesses would learn whether the guess
// is right.
func (d *differ) tests(object, operation map[string]any) bool {
	pointer, _ := operation["path"].(string)
	path := segments(pointer)
	return operation["op"] == "test" && (d.oldHidden || d.covers(path, find(object, path)))
}

// spreads tells whether an operation has taken something hidden to another place, where nothing tells that it is.
func (d *differ) spreads(object, operation map[string]any) bool {
	if operation["op"] != "move" && operation["op"] != "copy" {
		return false
	}
	from, _ := operation["from"].(string)
	path := segments(from)
	value := find(object, path)
	return value == (missing{}) || d.covers(path, value)
}

// noted notes the operations of a JSON patch for an object that nobody can see.
func (d *differ) noted(list []any) {
	for _, item := range list {
		operation, _ := item.(map[string]any)
		d.lines = append(d.lines, d.operation(nil, operation))
	}
}

// maxObject is more than the API server stores.
const maxObject = 2 << 20

// boundedJSON refuses what grows beyond every object that can be stored: a few copies of copies would fill the memory.
func boundedJSON(before, patch []byte) ([]byte, error) {
	after, err := applyJSON(before, patch)
	if err == nil && len(after) > maxObject {
		return nil, fmt.Errorf("the object would be larger than %d bytes", maxObject)
	}
	return after, err
}

func applyJSON(before, patch []byte) ([]byte, error) {
	decoded, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return nil, err
	}
	return decoded.Apply(before)
}

// operation is the line of one operation.
func (d *differ) operation(object, operation map[string]any) line {
	op, _ := operation["op"].(string)
	pointer, _ := operation["path"].(string)
	path := segments(pointer)
	var was any = missing{}
	if object != nil {
		was = find(object, path)
	}
	var text string
	switch op {
	case "test":
		text = d.show(path, operation["value"], false) + " (must be so)"
	case "remove":
		text = d.showFound(path, was) + " → (removed)"
	case "move", "copy":
		from, _ := operation["from"].(string)
		text = "from " + d.most.pointerText(from)
	default:
		text = d.showFound(path, was) + " → " + d.show(path, operation["value"], false)
		if was == (missing{}) && (object == nil || !d.oldHidden) {
			text = "(new) " + d.show(path, operation["value"], false)
		}
	}
	return line{path: path, text: fmt.Sprintf("%s %s: %s", d.most.valueText(op), d.most.pointerText(pointer), text)}
}

func (d *differ) showFound(path []segment, value any) string {
	if value == (missing{}) && !d.oldHidden {
		return "(missing)"
	}
	return d.show(path, value, true)
}

func (b bounds) pointerText(pointer string) string {
	if b.isPlainText(pointer) {
		return pointer
	}
	return quote(pointer, b.path)
}

var index = regexp.MustCompile(`^([+-]?[0-9]+|-)$`)

// segments reads a JSON pointer.
func segments(pointer string) []segment {
	var out []segment
	for _, part := range strings.Split(pointer, "/")[1:] {
		name := strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		out = append(out, segment{name: name, item: index.MatchString(name)})
	}
	return out
}

// find gives the value at a path. At the end of a list ("-") there is none.
func find(value any, path []segment) any {
	for _, s := range path {
		switch v := value.(type) {
		case map[string]any:
			value = get(v, s.name)
		case []any:
			i, err := strconv.Atoi(s.name)
			if i < 0 {
				i += len(v) // counted from the end, as the API server does
			}
			if err != nil || i < 0 {
				return missing{}
			}
			value = itemAt(v, i)
		default:
			return missing{}
		}
	}
	return value
}
