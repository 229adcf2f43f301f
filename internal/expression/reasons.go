package expression

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/common/operators"

	"github.com/signoff-dev/signoff/internal/visible"
)

const (
	// maxReasonLines is how many lines an explanation has, and maxReasonLine how many characters a line has.
	maxReasonLines = 16
	maxReasonLine  = 256
	// maxShown is how many characters of a value are shown.
	maxShown = 80
	// maxTrials bounds how often an expression is evaluated to find out what would change its answer.
	maxTrials = 24
)

// Listener is for whom an answer is explained.
type Listener struct {
	// Hide says why the value of a variable is not shown. Empty: it is shown. Nil: everything is.
	Hide func(variable string) string
	// Values gives values that an input can have, beside those that the expression names. Nil: none.
	Values func(input string) []any
	// People says how people are spoken of, by variable, such as "you are" or "alice is".
	People map[string]string
	// Yes and No say what it means that the expression holds and does not, such as "it would apply".
	Yes, No string
}

// Reasons say in plain words why an expression gave its answer. Neither list is ever needed for a decision.
type Reasons struct {
	// Because is what the answer rests on, a line each.
	Because []string
	// Differ is what would have to be otherwise for another answer, a line each.
	Differ []string
}

// Explain says what the answer of an expression that gives true or false rests on. The variables and the budget are those of
// the decision; what cannot be found out within the budget is left out.
func (p *Program) Explain(ctx context.Context, vars Vars, budget *Budget, to *Listener) Reasons {
	root := p.termTree()
	if root == nil {
		return Reasons{}
	}
	// What an explanation looks at does not make the decision depend on the time.
	vars.Trace = &Trace{}
	e := &explainer{ctx: ctx, vars: vars, budget: budget, to: to, program: p, answers: map[*leaf]answer{}}
	e.answer = e.judge(root, nil)
	decisive := e.decisive(root, e.answer, nil)
	out := Reasons{}
	for _, leaf := range decisive {
		out.Because = appendLine(out.Because, e.say(leaf))
	}
	if e.answer != unknown {
		out.Differ = e.differ(root, decisive)
	}
	return out
}

// answer is what a term gave.
type answer int

const (
	unknown answer = iota
	yes
	no
)

func answerOf(holds bool) answer {
	if holds {
		return yes
	}
	return no
}

func (a answer) opposite() answer {
	switch a {
	case yes:
		return no
	case no:
		return yes
	case unknown:
	}
	return unknown
}

type explainer struct {
	ctx     context.Context //nolint:containedctx // an explainer lives as long as one call
	vars    Vars
	budget  *Budget
	to      *Listener
	program *Program
	answer  answer
	answers map[*leaf]answer
	trials  int
}

// judge gives what a term gives, were some leaves the other way.
func (e *explainer) judge(t *term, flipped map[*leaf]bool) answer {
	switch t.logic {
	case isNot:
		return e.judge(t.parts[0], flipped).opposite()
	case isAnd:
		return e.weakest(t.parts, no, flipped)
	case isOr:
		return e.weakest(t.parts, yes, flipped)
	case isLeaf:
	}
	found, ok := e.answers[t.leaf]
	if !ok {
		holds, err := t.leaf.program.EvalBool(e.ctx, e.vars, e.budget)
		if found = answerOf(holds); err != nil {
			found = unknown
		}
		e.answers[t.leaf] = found
	}
	if flipped[t.leaf] {
		return found.opposite()
	}
	return found
}

// weakest is the answer of parts of which one with the deciding answer is enough.
func (e *explainer) weakest(parts []*term, deciding answer, flipped map[*leaf]bool) answer {
	out := deciding.opposite()
	for _, part := range parts {
		switch e.judge(part, flipped) {
		case deciding:
			return deciding
		case unknown:
			out = unknown
		case deciding.opposite():
		}
	}
	return out
}

// decisive gives the leaves that an answer rests on.
func (e *explainer) decisive(t *term, want answer, out []*leaf) []*leaf {
	switch t.logic {
	case isLeaf:
		return append(out, t.leaf)
	case isNot:
		return e.decisive(t.parts[0], want.opposite(), out)
	case isAnd, isOr:
	}
	for _, part := range t.parts {
		if e.judge(part, nil) == want {
			out = e.decisive(part, want, out)
		}
	}
	return out
}

// say puts a leaf and its answer into words.
func (e *explainer) say(l *leaf) string {
	if hidden := e.hidden(l); hidden != "" {
		return fmt.Sprintf("%s (not shown: %s)", e.unseen(l), hidden)
	}
	found := e.answers[l]
	if found == unknown {
		return e.sayUnknown(l)
	}
	holds := found == yes
	switch l.shape {
	case isComparison:
		return e.sayComparison(l, holds)
	case isMembership:
		return e.sayMembership(l, holds)
	case isCalendar:
		return e.sayCalendar(l, holds)
	case isSet:
		return l.subject + " " + word(holds, "is", "is not") + " set"
	case isSearch:
		return e.saySearch(l, holds)
	case isPlain:
	}
	if l.constant() {
		return "a condition is always " + l.source
	}
	return fmt.Sprintf("%s is %t", l.source, holds)
}

// constant tells whether a leaf is written as true or false, so that nothing would change it.
func (l *leaf) constant() bool { return l.source == "true" || l.source == "false" }

func word(holds bool, yes, no string) string {
	if holds {
		return yes
	}
	return no
}

// about is what a leaf looks at.
func (l *leaf) about() string {
	switch l.shape {
	case isComparison:
		return l.left.source
	case isSet:
		return l.subject
	case isPlain, isMembership, isCalendar, isSearch:
	}
	return l.source
}

// lookedAt computes what a leaf looks at.
func (l *leaf) lookedAt() *Program {
	if l.shape == isComparison {
		return l.left
	}
	return l.program
}

// path is an expression that names something, or a conversion of that, and holds no value.
var path = regexp.MustCompile(`^(\w+\()?[\w.]+(\[\??"[^"]*"\])*\)?$`)

// unseen names what a leaf looks at that is not shown. An expression is named by what it reads: a value in it could be the one that is not shown.
func (e *explainer) unseen(l *leaf) string {
	if name := plainName(l.about(), false); e.hiddenIn(l.lookedAt()) != "" && (name.subject != l.about() || path.MatchString(name.subject)) {
		return name.subject
	}
	shown := func(variable string) bool { return e.to.Hide(variable) == "" }
	return "what it reads of " + strings.Join(slices.DeleteFunc(slices.Clone(l.program.variables), shown), ", ")
}

// otherwise says how a leaf that is not shown would have to be, where that does not say what it is.
func (e *explainer) otherwise(l *leaf) string {
	how := "otherwise"
	if l.shape == isComparison && e.hiddenIn(l.left) != "" {
		if text := were(l.operator, e.answers[l] == yes, l.right.source); !strings.HasPrefix(text, "not ") {
			how = text
		}
	}
	return fmt.Sprintf("if %s were %s", e.unseen(l), how)
}

// hidden says why the values of a leaf are not shown.
func (e *explainer) hidden(l *leaf) string {
	return e.hiddenIn(l.program)
}

func (e *explainer) hiddenIn(p *Program) string {
	if e.to.Hide == nil {
		return ""
	}
	for _, variable := range p.variables {
		if why := e.to.Hide(variable); why != "" {
			return why
		}
	}
	return ""
}

func (e *explainer) sayUnknown(l *leaf) string {
	_, err := l.program.EvalBool(e.ctx, e.vars, e.budget)
	failed, ok := errors.AsType[*EvalError](err)
	switch {
	case !ok:
		return l.about() + " is not known"
	case strings.HasPrefix(failed.Message, "no such key"):
		return plainName(l.about(), false).subject + " is not set"
	}
	return fmt.Sprintf("%s is not known: %s", l.about(), failed.Message)
}

func (e *explainer) sayComparison(l *leaf, holds bool) string {
	name := plainName(l.left.source, false)
	text := name.subject + " is " + e.value(l.left)
	switch l.operator {
	case operators.Equals, operators.NotEquals:
		equal := holds == (l.operator == operators.Equals)
		if l.fixed && (equal || l.input != "") {
			return text + name.note
		}
		return text + ", " + word(equal, "the same as ", "not ") + e.other(l) + name.note
	}
	return fmt.Sprintf("%s, which is %s%s %s%s", text, word(holds, "", "not "), relation(l.operator), e.other(l), name.note)
}

func relation(operator string) string {
	switch operator {
	case operators.Less:
		return "less than"
	case operators.LessEquals:
		return "at most"
	case operators.Greater:
		return "more than"
	case operators.GreaterEquals:
		return "at least"
	}
	return "one of"
}

// other shows what something is compared with.
func (e *explainer) other(l *leaf) string {
	if l.fixed {
		return l.right.source
	}
	return fmt.Sprintf("%s (%s)", l.right.source, e.value(l.right))
}

func (e *explainer) value(p *Program) string {
	value, err := p.EvalAny(e.ctx, e.vars, e.budget)
	if err != nil {
		return "unknown"
	}
	return Show(value)
}

// Show shows a value to people: a text in quotes and escaped, anything else as JSON, both cut.
func Show(value any) string {
	if text, ok := value.(string); ok {
		return visible.InQuotes(cut(text, maxShown))
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return "?"
	}
	return visible.Quoted(cut(string(encoded), maxShown))
}

func (e *explainer) sayMembership(l *leaf, holds bool) string {
	who := e.to.People[l.person]
	if who == "" {
		who = l.person + " is"
	}
	if !holds {
		who += " not"
	}
	if l.list == "leads" {
		return who + " a lead of team " + visible.Quoted(l.subject)
	}
	return fmt.Sprintf("%s in %s %s", who, strings.TrimSuffix(l.list, "s"), visible.Quoted(l.subject))
}

func (e *explainer) sayCalendar(l *leaf, holds bool) string {
	text := fmt.Sprintf("calendar %s is %s", l.subject, word(holds, "open", "closed"))
	if at, ok := e.turns(l, holds); ok && holds {
		text += " until " + ShowEnd(at)
	} else if ok {
		text += " until " + ShowTime(at)
	}
	return text
}

// turnsAt says when time turns the answer of a leaf, where that is known.
func (e *explainer) turnsAt(l *leaf) (time.Time, bool) {
	if l.shape == isCalendar {
		return e.turns(l, e.answers[l] == yes)
	}
	vars := e.vars
	vars.Trace = &Trace{}
	_, err := l.program.EvalBool(e.ctx, vars, e.budget)
	return vars.Trace.NextChange.UTC(), err == nil && !vars.Trace.Guessed && !vars.Trace.NextChange.IsZero()
}

// turns says when a calendar opens or closes.
func (e *explainer) turns(l *leaf, open bool) (time.Time, bool) {
	if e.vars.Calendars == nil {
		return time.Time{}, false
	}
	calendar, err := e.vars.Calendars.Calendar(l.subject)
	if err != nil || calendar == nil {
		return time.Time{}, false
	}
	if open {
		return calendar.Ends(e.vars.Now)
	}
	return calendar.Next(e.vars.Now)
}

// ShowEnd shows the end of a time in which something was open. That of a whole day is 23:59 of that day, because nobody calls the end of
// Monday "Tuesday 00:00".
func ShowEnd(at time.Time) string { return ShowTime(LastMinute(at)) }

// LastMinute gives the minute before an instant that is the beginning of a day, and every other instant as it is.
func LastMinute(at time.Time) time.Time {
	if at.Hour() == 0 && at.Minute() == 0 && at.Second() == 0 {
		return at.Add(-time.Minute)
	}
	return at
}

// ShowTime shows an instant in its own zone, by the name of the zone.
func ShowTime(at time.Time) string {
	return at.Format("Mon 2 Jan 2006 15:04 ") + at.Location().String()
}

func (e *explainer) saySearch(l *leaf, holds bool) string {
	if !holds {
		return "no object that would be written is like this: " + l.source
	}
	names := e.texts(l.found)
	if len(names) == 0 {
		return l.source + " is true"
	}
	more := ""
	if len(names) > 3 {
		more, names = fmt.Sprintf(" and %d more", len(names)-3), names[:3]
	}
	text := strings.Join(names, ", ") + more
	if l.values == nil {
		return text + ": " + l.subject
	}
	values := e.texts(l.values)
	if len(values) == 0 {
		return text + ": " + l.subject
	}
	name := plainName(l.subject, true)
	return fmt.Sprintf("%s: %s is %s%s", text, name.subject, Show(values[0]), name.note)
}

func (e *explainer) texts(p *Program) []string {
	value, err := p.EvalAny(e.ctx, e.vars, e.budget)
	if err != nil {
		return nil
	}
	list, _ := value.([]any)
	var out []string
	for _, element := range list {
		if text, ok := element.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// differ says what would change the answer. What was tried out is said as certain, the rest as the terms that would have to change.
func (e *explainer) differ(root *term, decisive []*leaf) []string {
	then := e.to.Yes
	if e.answer == yes {
		then = e.to.No
	}
	var out []string
	said := map[*leaf]bool{}
	for _, l := range decisive {
		if line, covers := e.attempt(l, decisive); line != "" {
			out = appendLine(out, line+" "+then)
			for _, other := range covers {
				said[other] = true
			}
		}
	}
	for _, l := range decisive {
		if !said[l] && !l.constant() && e.judge(root, map[*leaf]bool{l: true}) == e.answer.opposite() {
			out = appendLine(out, e.condition(l)+", "+then)
		}
	}
	if len(out) > 0 {
		return out
	}
	return e.together(decisive, then)
}

// together says how all leaves would have to be at once, where one alone changes nothing.
func (e *explainer) together(decisive []*leaf, then string) []string {
	if len(decisive) < 2 || slices.ContainsFunc(decisive, (*leaf).constant) {
		return nil
	}
	conditions := make([]string, len(decisive))
	for i, l := range decisive {
		conditions[i] = strings.TrimPrefix(e.condition(l), "if ")
	}
	return appendLine(nil, "if "+strings.Join(conditions, " and ")+", "+then)
}

// condition says how a leaf would have to be.
func (e *explainer) condition(l *leaf) string {
	if e.hidden(l) != "" {
		return e.otherwise(l)
	}
	if l.shape == isMembership {
		return "if " + e.sayMembership(l, e.answers[l] == no)
	}
	if l.shape == isCalendar {
		return fmt.Sprintf("if calendar %s were %s", l.subject, word(e.answers[l] == yes, "closed", "open"))
	}
	if l.shape == isComparison {
		return fmt.Sprintf("if %s were %s", plainName(l.left.source, false).subject, were(l.operator, e.answers[l] == yes, e.other(l)))
	}
	if e.answers[l] == yes {
		return "if not " + l.source
	}
	return "if " + l.source
}

// attempt tries another input, or another time, and gives the leaves that it speaks for.
func (e *explainer) attempt(l *leaf, decisive []*leaf) (string, []*leaf) {
	if l.shape == isCalendar || l.program.Uses(varNow) {
		return e.attemptLater(l)
	}
	if l.input == "" {
		return "", nil
	}
	covers := slices.DeleteFunc(slices.Clone(decisive), func(other *leaf) bool { return other.input != l.input })
	if covers[0] != l {
		return "", nil
	}
	for _, value := range e.candidates(l.input, covers) {
		if e.try(func(vars *Vars) { vars.Values["inputs"] = with(vars.Values["inputs"], l.input, value) }) {
			return fmt.Sprintf("with inputs.%s %s", l.input, Show(value)), covers
		}
	}
	return "", nil
}

func (e *explainer) attemptLater(l *leaf) (string, []*leaf) {
	at, ok := e.turnsAt(l)
	if !ok || e.hidden(l) != "" || !e.try(func(vars *Vars) { vars.Now = at }) {
		return "", nil
	}
	return "from " + ShowTime(at), []*leaf{l}
}

func (e *explainer) candidates(input string, leaves []*leaf) []any {
	var out []any
	for _, l := range leaves {
		out = append(out, l.literals...)
	}
	if e.to.Values != nil {
		out = append(out, e.to.Values(input)...)
	}
	return out
}

// with gives inputs of which one is another.
func with(inputs any, name string, value any) any {
	old, ok := inputs.(map[string]any)
	if !ok {
		return inputs
	}
	out := maps.Clone(old)
	out[name] = value
	return out
}

// try tells whether the expression gives the other answer after a change.
func (e *explainer) try(change func(*Vars)) bool {
	if e.trials++; e.trials > maxTrials {
		return false
	}
	vars := e.vars
	vars.Values = maps.Clone(e.vars.Values)
	change(&vars)
	holds, err := e.program.EvalBool(e.ctx, vars, e.budget)
	return err == nil && answerOf(holds) == e.answer.opposite()
}

// appendLine adds a line once, cut and with nothing hidden in it, while there is room.
func appendLine(lines []string, line string) []string {
	line = cut(visible.Quoted(line), maxReasonLine)
	if len(lines) >= maxReasonLines || slices.Contains(lines, line) {
		return lines
	}
	return append(lines, line)
}

// visible escapes what does not show on a terminal, or breaks a line.
func cut(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}
