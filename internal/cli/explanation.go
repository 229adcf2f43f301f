package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/policytest"
)

// observedText shows what a test case came to.
func observedText(o *policytest.Observed) string {
	page := &page{}
	page.explanation(o.Explanation)
	page.list("Warnings", o.Warnings)
	return page.indented("      ")
}

// text shows the answer to a request.
func (e *Explained) text() string {
	page := &page{}
	page.line("%s, asked as %s", e.Request, loginText(e.Requester.Username, e.Requester.Groups))
	if e.Note != "" {
		page.line("Note: %s", e.Note)
	}
	if v := e.Verdict; v != nil {
		page.line("Judged at: %s", expression.ShowTime(v.EvaluatedAt.UTC()))
	}
	page.explanation(&e.Explanation)
	page.list("Warnings", e.Warnings)
	return page.indented("")
}

// page is a text for people in the making.
type page struct{ lines []string }

func (p *page) line(format string, args ...any) {
	p.lines = append(p.lines, fmt.Sprintf(format, args...))
}

func (p *page) indented(by string) string {
	out := &strings.Builder{}
	for _, line := range p.lines {
		out.WriteString(strings.TrimRight(by+line, " ") + "\n")
	}
	return out.String()
}

func (p *page) list(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	p.line("%s:", title)
	for _, line := range lines {
		p.line("  %s", line)
	}
}

// explanation shows a whole verdict.
func (p *page) explanation(e *gate.Explanation) {
	p.line("Answer: %s", answer(e))
	p.refusal(e)
	if v := e.Verdict; v != nil {
		p.list("Rules", rules(v))
		p.list("Facts", facts(v))
	}
	p.list("Must approve", stages(e))
	if len(e.Omitted) > 0 {
		p.line("Not shown, because it would be too much: %s", strings.Join(e.Omitted, ", "))
	}
	if v := e.Verdict; v != nil && v.NextChange != nil {
		p.line("Time alone may change this: %s", expression.ShowTime(v.NextChange.UTC()))
	}
}

func (p *page) refusal(e *gate.Explanation) {
	if e.Allowed {
		return
	}
	lines := slices.Clone(e.Errors)
	if e.Message != "" {
		lines = append(lines, strings.Split(e.Message, "\n")...)
	}
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	p.list("Why", lines)
}

// answer says in a few words what would happen.
func answer(e *gate.Explanation) string {
	switch {
	case !e.Allowed:
		return fmt.Sprintf("refused (%s)", e.Reason)
	case e.Verdict == nil:
		return "allowed"
	case len(e.Stages) > 0 && e.Verdict.Effect == v1alpha1.EffectHold:
		return "needs approval, and is then held (Hold)"
	case len(e.Stages) > 0:
		return "needs approval (RequireApproval)"
	case e.Verdict.Effect == v1alpha1.EffectHold:
		return "held; it starts by itself (Hold)"
	}
	return fmt.Sprintf("runs at once (%s)", e.Verdict.Effect)
}

// answers are what rules answer, in the order in which they are shown.
var answers = map[v1alpha1.RuleAnswer]string{
	v1alpha1.RuleApplies: "applies", v1alpha1.RuleOverridden: "passed by breakGlass",
	v1alpha1.RuleUnknown: "cannot be judged", v1alpha1.RuleNotApplicable: "does not apply",
}

func rules(v *v1alpha1.Verdict) []string {
	var lines []string
	for i := range v.Rules {
		rule := &v.Rules[i]
		text := fmt.Sprintf("%s (%s) %s", rule.Name, rule.Effect, answers[rule.Answer])
		if rule.Message != "" && rule.Answer != v1alpha1.RuleNotApplicable {
			text += ": " + rule.Message
		}
		lines = append(lines, text)
		for _, because := range rule.Because {
			lines = append(lines, "  because "+because)
		}
		for _, differ := range rule.Differ {
			lines = append(lines, "  "+differ)
		}
	}
	return lines
}

func facts(v *v1alpha1.Verdict) []string {
	var lines []string
	for i := range v.Facts {
		fact := &v.Facts[i]
		text := fmt.Sprintf("%s is %s", fact.Name, fact.Object)
		switch {
		case fact.Version == "":
			text += ", which does not exist"
		case strings.HasPrefix(fact.Version, gate.Fetched):
			text += ", " + fact.Version
		}
		if fact.ReadAs != "" {
			text += ", read as " + fact.ReadAs
		}
		if fact.Trust != "" {
			text += ", trusted although the requester can change it"
		}
		lines = append(lines, text)
	}
	return lines
}

func stages(e *gate.Explanation) []string {
	var lines []string
	for i := range e.Stages {
		stage := &e.Stages[i]
		line := fmt.Sprintf("%s: %s", stage.Stage, gate.Needs(stage.Requirements, nil))
		if stage.Further != nil {
			line += fmt.Sprintf("; after %s also %s", stage.EscalatedAfter, gate.Short(stage.Further))
		}
		lines = append(lines, line)
	}
	return lines
}
