package plan

import (
	"slices"
	"strings"
)

// texts notes, line by line, how a text of several lines changes, and tells whether it is one. What is hidden is not.
func (d *differ) texts(path []segment, before, after any) bool {
	old, wasText := textOf(before)
	now, isText := textOf(after)
	if !d.most.texts || !wasText || !isText || !strings.Contains(old+now, "\n") || d.oldHidden || d.hides(path, true) || d.hides(path, false) {
		return false
	}
	was, is := linesOf(old), linesOf(now)
	head := common(was, is)
	was, is = was[head:], is[head:]
	slices.Reverse(was)
	slices.Reverse(is)
	tail := common(was, is)
	was, is = was[tail:], is[tail:]
	slices.Reverse(was)
	slices.Reverse(is)
	switch {
	case before == (missing{}):
		d.add(path, "(new) %d lines", len(is))
	case after == (missing{}):
		d.add(path, "%d lines → (removed)", len(was))
	default:
		d.add(path, "%d lines → %d lines, from line %d on", head+len(was)+tail, head+len(is)+tail, head+1)
	}
	d.side(path, "-", was)
	d.side(path, "+", is)
	return true
}

// side notes the lines of a text that go, or come. Quotes keep what somebody wrote apart from what the plan says.
func (d *differ) side(path []segment, mark string, texts []string) {
	for _, text := range texts {
		text, whole := strings.CutSuffix(text, "\n")
		shown := "  " + mark + " " + quote(text, d.most.value)
		if !whole {
			shown += " (without a line break)"
		}
		d.lines = append(d.lines, line{path: path, text: shown})
	}
}

// textOf gives a value that is a text. What is not there is an empty one.
func textOf(value any) (string, bool) {
	if value == (missing{}) {
		return "", true
	}
	text, ok := value.(string)
	return text, ok
}

// linesOf gives the lines of a text. An empty one has none.
func linesOf(text string) []string { return slices.Collect(strings.Lines(text)) }

// common counts the elements at the beginning of two lists that are the same.
func common(a, b []string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
