package gate

import (
	"strconv"
	"strings"
	"unicode"
)

// visible escapes a text that a template may have made of anything, so that nothing hidden reaches a terminal.
func visible(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return text
	}
	return strconv.QuoteToGraphic(text)
}
