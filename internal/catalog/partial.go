package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/signoff-dev/signoff/internal/expression"
)

// PartialMatches warns of conditions of an Action that hold where only a part of a text is as a regular expression says. Of a name that is hardly
// meant, and a rule is read by people who did not write it. Nothing is refused: of a reason, it may be.
func (a *Action) PartialMatches() []string {
	warnings := partialRules(a.Rules)
	for _, name := range slices.Sorted(maps.Keys(a.Stages)) {
		warnings = append(warnings, a.Stages[name].partial()...)
	}
	return warnings
}

// PartialMatches warns of a policy as of an Action.
func (p *Policy) PartialMatches() []string {
	warnings := partialRules(p.Rules)
	for i := range p.Rules {
		for _, stage := range p.Rules[i].Stages {
			warnings = append(warnings, stage.partial()...)
		}
	}
	return warnings
}

// PartialMatches warns of a Role as of an Action.
func (r *Role) PartialMatches() []string {
	var warnings []string
	for i, permission := range r.Permissions {
		warnings = append(warnings, partial(fmt.Sprintf("permissions[%d]", i), permission.When)...)
	}
	return warnings
}

func partialRules(rules []Rule) []string {
	var warnings []string
	for i := range rules {
		name := rules[i].Name[strings.LastIndexByte(rules[i].Name, '/')+1:]
		warnings = append(warnings, partial(fmt.Sprintf("rule %q", name), rules[i].When)...)
	}
	return warnings
}

func (s *Stage) partial() []string {
	var warnings []string
	for i := range s.Requirements {
		warnings = append(warnings, partial(fmt.Sprintf("approvers of stage %q", s.Ref.Name), s.Requirements[i].Expression)...)
	}
	if s.Escalation != nil {
		warnings = append(warnings, partial(fmt.Sprintf("escalation of stage %q", s.Ref.Name), s.Escalation.Expression)...)
	}
	return warnings
}

// partial warns of one expression, which may be nil.
func partial(where string, program *expression.Program) []string {
	if program == nil {
		return nil
	}
	var warnings []string
	for _, pattern := range program.PartialMatches() {
		warnings = append(warnings, fmt.Sprintf("%s: matches('%s') also holds where only a part of the text is so. Write ^(%s)$ for all of it, or .* at the ends", where, pattern, pattern))
	}
	return warnings
}
