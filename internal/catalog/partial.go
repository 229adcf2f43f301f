package catalog

import (
	"fmt"
	"strings"
)

// PartialMatches warns of conditions of rules that hold where only a part of a text is as a regular expression says. Of a name that is hardly meant, and
// a rule is read by people who did not write it. Nothing is refused: of a reason, it may be.
func PartialMatches(rules []Rule) []string {
	var warnings []string
	for i := range rules {
		if rules[i].When == nil {
			continue
		}
		for _, pattern := range rules[i].When.PartialMatches() {
			name := rules[i].Name[strings.LastIndexByte(rules[i].Name, '/')+1:]
			warnings = append(warnings, fmt.Sprintf("rule %q: matches('%s') also holds where only a part of the text is so. Write ^(%s)$ for all of it, or .* at the ends", name, pattern, pattern))
		}
	}
	return warnings
}
