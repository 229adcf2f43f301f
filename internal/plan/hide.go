package plan

import (
	"slices"
	"strconv"
)

// hidden is shown instead of a value that is not for everybody.
const hidden = "(hidden)"

// lastApplied holds a whole copy of the object, which kubectl writes.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// show writes a value, or that it is hidden. Old says that it is the value that was there before.
//
// Hidden are: what was there before, in an object that not everybody may read, or in which something hidden was taken to another place; everything
// in a Secret that is its content; the literal value of a variable of a container, where it was there before or comes with a copied pod, since people
// keep passwords there, and the copy of the object that kubectl keeps. What the step itself sets is shown, as it is what is agreed to. That is so in full
// as well, for those who may read it: what they are shown ends up in chats and logs.
func (d *differ) show(path []segment, value any, old bool) string {
	if old && d.oldHidden {
		return hidden
	}
	switch value.(type) {
	case map[string]any, []any:
		return d.most.valueText(d.redact(path, value, old))
	}
	if d.hides(path, old) {
		return hidden
	}
	return d.most.valueText(value)
}

// redact gives a copy of a tree without what is hidden.
func (d *differ) redact(path []segment, value any, old bool) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = d.redact(child(path, key), item, old)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = d.redact(element(path, strconv.Itoa(i)), item, old)
		}
		return out
	}
	if d.hides(path, old) {
		return hidden
	}
	return value
}

// hides is about values that are neither maps nor lists.
func (d *differ) hides(path []segment, old bool) bool {
	if d.secret && isSecretContent(path) {
		return true
	}
	return (old || d.copied) && (isVariable(path) || isLastApplied(path))
}

// covers tells whether something hidden is in a value that was there before.
func (d *differ) covers(path []segment, value any) bool {
	switch v := value.(type) {
	case map[string]any:
		for key, item := range v {
			if d.covers(child(path, key), item) {
				return true
			}
		}
		return false
	case []any:
		for i, item := range v {
			if d.covers(element(path, strconv.Itoa(i)), item) {
				return true
			}
		}
		return false
	}
	return d.hides(path, true)
}

// guesses tells whether a write says something of a value that is hidden: whether it is there already is not told, or whoever writes a guess would
// learn whether it is right.
func (d *differ) guesses(path []segment, after, sent any) bool {
	return sent != (missing{}) && after != (missing{}) && (d.oldHidden || d.covers(path, after))
}

func isSecretContent(path []segment) bool {
	if len(path) == 0 {
		return false
	}
	switch path[0].name {
	case "data", "stringData":
		return true
	}
	return isLastApplied(path)
}

func isLastApplied(path []segment) bool {
	return len(path) == 3 && path[0].name == "metadata" && path[1].name == "annotations" && path[2].name == lastApplied
}

// isVariable reports whether the path is in the literal value of a variable of a container: …containers[…].env[…].value. Whether the elements are those of
// a list does not count: a JSON pointer does not tell.
func isVariable(path []segment) bool {
	for n := 5; n <= len(path); n++ {
		if path[n-1].name == "value" && path[n-3].name == "env" &&
			slices.Contains([]string{"containers", "initContainers", "ephemeralContainers"}, path[n-5].name) {
			return true
		}
	}
	return false
}
