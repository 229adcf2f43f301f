package conditions

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxColumn is how wide a column of kubectl get becomes through a list.
const maxColumn = 60

// Column joins the items of a list for a column of kubectl get. Where they are too many to fit, it says how many it leaves out.
func Column(items []string, separator string) string {
	if all := strings.Join(items, separator); utf8.RuneCountInString(all) <= maxColumn {
		return all
	}
	// The first item is shown in any case, be it cut.
	out, shown := cut(items[0], maxColumn), 1
	for _, item := range items[1:] {
		longer := out + separator + item
		if utf8.RuneCountInString(longer) > maxColumn {
			break
		}
		out, shown = longer, shown+1
	}
	if left := len(items) - shown; left > 0 {
		out += fmt.Sprintf(" +%d", left)
	}
	return out
}

func cut(text string, length int) string {
	runes := []rune(text)
	if len(runes) <= length {
		return text
	}
	return string(runes[:length-1]) + "…"
}
