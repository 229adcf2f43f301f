package template

import (
	"strings"

	"github.com/signoff-dev/signoff/internal/expression"
)

const (
	opening = "${"
	// escaped stands for a literal opening.
	escaped = "$${"
)

// piece is a literal part of a string, or the source of an expression.
type piece struct {
	text string
	// at is where the piece begins in the string, in bytes; of an expression, its first byte behind the brace.
	at         int
	expression bool
}

// scan cuts a string into literal parts and expressions.
func scan(source string) ([]piece, error) {
	var pieces []piece
	var literal strings.Builder
	start := 0
	flush := func() {
		if literal.Len() > 0 {
			pieces = append(pieces, piece{text: literal.String(), at: start})
			literal.Reset()
		}
	}
	for i := 0; i < len(source); {
		rest := source[i:]
		switch {
		case strings.HasPrefix(rest, escaped):
			literal.WriteString(opening)
			i += len(escaped)
		case strings.HasPrefix(rest, opening):
			flush()
			end, err := expressionEnd(source, i)
			if err != nil {
				return nil, err
			}
			pieces = append(pieces, piece{text: source[i+len(opening) : end], at: i + len(opening), expression: true})
			i = end + 1
			start = i
		default:
			literal.WriteByte(source[i])
			i++
		}
	}
	flush()
	return pieces, nil
}

// expressionEnd finds the brace that closes the expression that opens at start. Braces inside of strings and comments of CEL
// do not count.
func expressionEnd(source string, start int) (int, error) {
	depth := 0
	for i := start + len(opening); i < len(source); {
		switch c := source[i]; {
		case c == '\'' || c == '"':
			end := stringEnd(source, start+len(opening), i)
			if end < 0 {
				return 0, problem(source, i, "the string that begins here is not closed")
			}
			i = end
		case strings.HasPrefix(source[i:], "//"):
			i += lineEnd(source[i:])
		case c == '{':
			depth++
			i++
		case c == '}' && depth > 0:
			depth--
			i++
		case c == '}':
			return i, nil
		default:
			i++
		}
	}
	return 0, problem(source, start, "${ is not closed; write $${ for a literal ${")
}

// stringEnd returns the position behind the string literal whose first quote is at start, or -1 if it is not closed.
func stringEnd(source string, begin, start int) int {
	quote := source[start : start+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(source[start:], triple) {
		quote = triple
	}
	raw := isRaw(source[begin:start])
	for i := start + len(quote); i < len(source); {
		switch {
		case strings.HasPrefix(source[i:], quote):
			return i + len(quote)
		case source[i] == '\\' && !raw:
			i += 2
		case len(quote) == 1 && (source[i] == '\n' || source[i] == '\r'):
			return -1
		default:
			i++
		}
	}
	return -1
}

// isRaw reports whether the text in front of a quote ends in the prefix of a raw string, such as r or br, in which a
// backslash is a letter like any other.
func isRaw(before string) bool {
	word := before[strings.LastIndexFunc(before, notInWord)+1:]
	switch strings.ToLower(word) {
	case "r", "br":
		return true
	}
	return false
}

func notInWord(r rune) bool {
	return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

func lineEnd(s string) int {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return i
	}
	return len(s)
}

// problem makes an error at a position of the string.
func problem(source string, at int, message string) error {
	line, column := position(source, at)
	return &expression.CompileError{Line: line, Column: column, Message: message, Source: source}
}

// position counts lines and characters from 1.
func position(source string, at int) (line, column int) {
	before := source[:at]
	line = strings.Count(before, "\n") + 1
	column = len([]rune(before[strings.LastIndex(before, "\n")+1:])) + 1
	return line, column
}
