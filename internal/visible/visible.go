// Package visible shows texts that come from many hands as they are: nothing hidden in them reaches a terminal, which obeys what it is told.
package visible

import (
	"strconv"
	"strings"
	"unicode"
)

// Quoted puts a text that has something hidden in quotes, escaped as Go has it. Others stay as they are.
func Quoted(text string) string {
	if !Hides(text) {
		return text
	}
	return strconv.QuoteToGraphic(text)
}

// Inside is Quoted without the quotes.
func Inside(text string) string {
	if !Hides(text) {
		return text
	}
	quoted := strconv.QuoteToGraphic(text)
	return quoted[1 : len(quoted)-1]
}

// Escaped escapes what is hidden, and puts nothing in quotes.
func Escaped(text string) string {
	if !Hides(text) {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if unicode.IsGraphic(r) {
			out.WriteRune(r)
			continue
		}
		escaped := strconv.QuoteRuneToGraphic(r)
		out.WriteString(escaped[1 : len(escaped)-1])
	}
	return out.String()
}

// Lines is Escaped that leaves the ends of lines as they are.
func Lines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = Escaped(lines[i])
	}
	return strings.Join(lines, "\n")
}

// Tree is a JSON value in whose texts Lines has escaped what is hidden, and in whose keys what is given has. It shares no list and no map with the one
// that was given.
func Tree(value any, key func(string) string) any {
	switch v := value.(type) {
	case string:
		return Lines(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = Tree(v[i], key)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name := range v {
			out[key(name)] = Tree(v[name], key)
		}
		return out
	}
	return value
}

// Hides tells whether a text has control characters, marks that turn the direction of writing, or others that do not show.
func Hides(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) })
}
