package gate

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
)

const (
	// ColumnWidth keeps a table readable. The conditions have the whole story.
	ColumnWidth = 80
	// columnName is how much of it a rule's name may take, so that there is room for why.
	columnName = 44
)

// Column is the first line of the message, in the width of a column.
func (p *Problem) Column() string { return Cut(p.Short(), ColumnWidth) }

// Column says in the width of a column by which rules of an effect a request is kept from starting: the first one with until when and why, and how
// many there are besides. Why is the rule's message, or what it read where its author wrote none; because gives that.
func (j *Judgement) Column(effect v1alpha1.Effect, because func(rule string) []string) string {
	rules := j.Verdict.By(effect)
	if len(rules) == 0 {
		return ""
	}
	more := ""
	if len(rules) > 1 {
		more = fmt.Sprintf(" +%d", len(rules)-1)
	}
	return Cut(j.columnOf(&rules[0], because), ColumnWidth-len(more)) + more
}

func (j *Judgement) columnOf(rule *catalog.Rule, because func(rule string) []string) string {
	name := "rule " + rule.Name
	if rule.Name == defaultRule {
		name = rule.Name
	}
	text, until := cutMiddle(name, columnName), j.ends(rule)
	if until != "" {
		text += " until " + until
	}
	lines := because(rule.Name)
	if rule.During != "" && until != "" && len(lines) > 0 {
		lines = lines[1:] // it says until when the calendar is open
	}
	if why := cmp.Or(rule.Message, strings.Join(lines, "; ")); why != "" {
		text += ": " + why
	}
	return text
}

// cutMiddle shortens a text to so many characters and keeps its end, by which names differ more than by their beginning.
func cutMiddle(text string, length int) string {
	runes := []rune(text)
	if len(runes) <= length {
		return text
	}
	const start = 8
	return string(runes[:start]) + "…" + string(runes[len(runes)-length+start+1:])
}
