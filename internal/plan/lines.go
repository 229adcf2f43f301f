package plan

import (
	"fmt"
	"slices"
	"strings"
)

// nothing is the line of a write that changes nothing.
const nothing = "nothing changes"

// lines are the lines of one entry.
type lines []line

// line is one field that changes, or a warning about it.
type line struct {
	path    []segment
	text    string
	warning bool
}

// add notes a line as "path: text".
func (d *differ) add(path []segment, format string, args ...any) {
	d.lines = append(d.lines, line{path: path, text: d.most.pathText(path) + ": " + fmt.Sprintf(format, args...)})
}

// fields are the lines as people read them. If there are too many, those that decide what runs and who may do it come first, so
// that nobody can push them out of sight. Head goes before all.
func (b bounds) fields(l lines, head ...string) []string {
	if len(l)+len(head) == 0 {
		return []string{nothing}
	}
	kept, most := l, b.lines-len(head)
	if len(l) > most {
		kept = l.byRank()[:most-1]
	}
	out := slices.Clone(head)
	for _, line := range kept {
		out = append(out, cutTo(line.text, b.line))
	}
	if more := len(l) - len(kept); more > 0 {
		out = append(out, fmt.Sprintf("… and %d more", more))
	}
	return out
}

// byRank are the lines with those that matter more first.
func (l lines) byRank() lines {
	out := slices.Clone(l)
	slices.SortStableFunc(out, func(a, b line) int { return a.rank() - b.rank() })
	return out
}

// weighty are the names of the fields that decide what runs, and as whom, in the order in which people should read them.
var weighty = []string{"image", "command", "args", "serviceAccountName", "securityContext", "env", "roleRef", "subjects", "rules"}

// rank is lower for lines that matter more.
func (l line) rank() int {
	if l.warning {
		return -1
	}
	for i, name := range weighty {
		if slices.ContainsFunc(l.path, func(s segment) bool { return !s.item && s.name == name }) {
			return i
		}
	}
	return len(weighty)
}

// segment is one step into an object.
type segment struct {
	name string
	// item says that the step leads to an element of a list.
	item bool
}

// pathText writes a path such as spec.containers[app].image or metadata.annotations[example.com/a].
func (b bounds) pathText(path []segment) string {
	var out strings.Builder
	for _, s := range path {
		switch {
		case !s.item && b.isPlainKey(s.name):
			if out.Len() > 0 {
				out.WriteByte('.')
			}
			out.WriteString(s.name)
		case b.isPlainText(s.name):
			out.WriteString("[" + s.name + "]")
		default:
			out.WriteString("[" + quote(s.name, b.value) + "]")
		}
	}
	if out.Len() == 0 {
		return "(whole object)"
	}
	return cutTo(out.String(), b.path)
}

// child is the path of a key of a map.
func child(path []segment, key string) []segment {
	return append(path[:len(path):len(path)], segment{name: key})
}

// element is the path of an element of a list.
func element(path []segment, name string) []segment {
	return append(path[:len(path):len(path)], segment{name: name, item: true})
}
