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
	return InQuotes(text)
}

// InQuotes puts any text in quotes, escaped as Go has it.
func InQuotes(text string) string { return Escaped(strconv.QuoteToGraphic(text)) }

// Inside is Quoted without the quotes.
func Inside(text string) string {
	if !Hides(text) {
		return text
	}
	quoted := Quoted(text)
	return quoted[1 : len(quoted)-1]
}

// Escaped escapes what is hidden, and puts nothing in quotes.
func Escaped(text string) string {
	if !Hides(text) {
		return text
	}
	var out strings.Builder
	before := rune(0)
	for _, r := range text {
		if shows(r, before) {
			out.WriteRune(r)
		} else {
			escaped := strconv.QuoteRuneToASCII(r)
			out.WriteString(escaped[1 : len(escaped)-1])
		}
		before = r
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
	before := rune(0)
	return strings.ContainsFunc(text, func(r rune) bool {
		hides := !shows(r, before)
		before = r
		return hides
	})
}

// Shows tells whether a character by itself is seen. A blank is, between others.
func Shows(r rune) bool { return unicode.IsGraphic(r) && !unicode.In(r, empty...) }

// empty are characters that count as letters, marks or symbols, and of which nothing is seen: a text could be written in them that people do not
// read, and programs do.
var empty = []*unicode.RangeTable{
	unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point,
	// A pattern of Braille without a dot, and a note without a head.
	{R16: []unicode.Range16{{Lo: 0x2800, Hi: 0x2800, Stride: 1}}, R32: []unicode.Range32{{Lo: 0x1d159, Hi: 0x1d159, Stride: 1}}},
}

// The style of a symbol: as text, and as a picture.
const asText, asPicture = '\ufe0e', '\ufe0f'

// shows tells whether a character is seen after the one before it. One that says in which style a symbol is written is.
func shows(r, before rune) bool {
	return Shows(r) || (r == asText || r == asPicture) && unicode.In(before, unicode.So, unicode.Sm)
}
