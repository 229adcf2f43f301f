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
// Hidden are: what was there before, in an object that not everybody may read; everything in a Secret that is its content; the literal value of a variable of a container, where it was there
// before or comes with a copied pod, since people keep passwords there. What the step itself sets is shown, as it is what is
// agreed to.
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
	return (old || d.copied) && isVariable(path)
}

func isSecretContent(path []segment) bool {
	if len(path) == 0 {
		return false
	}
	switch path[0].name {
	case "data", "stringData":
		return true
	case "metadata":
		return len(path) == 3 && path[1].name == "annotations" && path[2].name == lastApplied
	}
	return false
}

// isVariable reports whether the path is the literal value of a variable of a container: …containers[…].env[…].value.
func isVariable(path []segment) bool {
	n := len(path)
	if n < 5 || path[n-1].name != "value" || path[n-3].name != "env" {
		return false
	}
	return path[n-2].item && path[n-4].item && slices.Contains([]string{"containers", "initContainers", "ephemeralContainers"}, path[n-5].name)
}
