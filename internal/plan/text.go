package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/signoff-dev/signoff/internal/visible"
)

var (
	plainText = regexp.MustCompile(`^[A-Za-z0-9@%_+=:,./~-]+$`)
	plainKey  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
	// otherType fits texts that would read as a value of another type.
	otherType = regexp.MustCompile(`^([+-]?[0-9.]+([eE][+-]?[0-9]+)?|true|false|null)$`)
)

func (b bounds) isPlainText(s string) bool { return len(s) <= b.value && plainText.MatchString(s) }

func (b bounds) isPlainKey(s string) bool { return len(s) <= b.value && plainKey.MatchString(s) }

// valueText writes a value. A text is quoted where it could be taken for something else.
func (b bounds) valueText(value any) string {
	switch v := value.(type) {
	case string:
		if b.isPlainText(v) && !otherType.MatchString(v) {
			return v
		}
		return quote(v, b.value)
	default:
		var buffer bytes.Buffer
		encoder := json.NewEncoder(&buffer)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(value); err != nil {
			return "(cannot be shown)"
		}
		return b.cutText(strings.TrimRight(buffer.String(), "\n"))
	}
}

// quote writes a text in quotes, with everything escaped that is not seen as it is, and says how much was cut off.
func quote(s string, most int) string {
	var out strings.Builder
	out.WriteByte('"')
	length := 0
	for i, r := range s {
		piece := escapeRune(s[i:], r)
		if length += utf8.RuneCountInString(piece); length > most-2 {
			return out.String() + fmt.Sprintf(`…" (and %d characters more)`, utf8.RuneCountInString(s[i:]))
		}
		out.WriteString(piece)
	}
	return out.String() + `"`
}

// escapeRune escapes the first character of rest where it would break a line, change the direction of the text, or not be seen.
func escapeRune(rest string, r rune) string {
	switch {
	case r == '"' || r == '\\':
		return `\` + string(r)
	case r == utf8.RuneError && !strings.HasPrefix(rest, string(utf8.RuneError)):
		return fmt.Sprintf(`\x%02x`, rest[0])
	case strconv.IsPrint(r) && visible.Shows(r):
		return string(r)
	}
	quoted := strconv.QuoteRuneToASCII(r)
	return quoted[1 : len(quoted)-1]
}

// cutText escapes and cuts text that is not quoted: an error, or JSON, whose quotes are there already.
func (b bounds) cutText(s string) string {
	var out strings.Builder
	for i, r := range s {
		if r == '"' || r == '\\' {
			out.WriteRune(r)
			continue
		}
		out.WriteString(escapeRune(s[i:], r))
	}
	return cutTo(out.String(), b.value)
}

// cutTo keeps so many characters, the mark of the cut included.
func cutTo(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}
