package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/decision"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/visible"
)

// Rights are what Facts can tell besides: who may read what was read. Facts that cannot tell are not shown to anybody.
type Rights interface {
	// MayRead tells whether somebody may read what a query gives.
	MayRead(ctx context.Context, who *v1alpha1.Identity, query Query) (bool, error)
}

const (
	itWouldApply    = "it would apply"
	itWouldNotApply = "it would not apply"
)

// decided is what the rules were judged with, so that their answers can be explained.
type decided struct {
	run   *run
	rules *decision.Rules
	// own are the variables of the rules of the Action, policy those of the rules of policies.
	own, policy expression.Vars
}

// Explain finds out why every rule gave its answer. It costs several times what the judgement did, and changes nothing of it.
func (j *Judgement) Explain(ctx context.Context) {
	if j.Verdict == nil || j.decided == nil || j.Reasons != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	to := j.decided.run.listener(ctx, false)
	j.Reasons = map[string]expression.Reasons{}
	for _, rules := range [][]catalog.Rule{j.Verdict.Rules, j.Verdict.Overridden, j.Verdict.Idle} {
		for i := range rules {
			if len(j.Reasons) < maxRules {
				j.Reasons[rules[i].Name] = j.decided.reasons(ctx, &rules[i], to)
			}
		}
	}
	for _, failed := range j.Verdict.Errors {
		j.Reasons[failed.Rule] = expression.Reasons{Because: []string{Cut(visible.Quoted(j.decided.errorText(failed, to)), maxReason)}}
	}
}

// maxReason is how long a line of an explanation can be.
const maxReason = 256

// reasons explains one rule.
func (d *decided) reasons(ctx context.Context, rule *catalog.Rule, to *expression.Listener) expression.Reasons {
	vars := d.vars(rule.Name)
	out, inside := d.during(rule, vars)
	switch {
	case rule.Name == defaultRule:
		return expression.Reasons{Because: []string{d.defaultText()}}
	case rule.When != nil && inside:
		found := rule.When.Explain(ctx, *vars, d.run.budget, to)
		out.Because, out.Differ = append(out.Because, found.Because...), append(out.Differ, found.Differ...)
	case rule.When == nil && rule.During == "":
		out.Because = []string{unconditional(rule.Name)}
	}
	out.Because, out.Differ = out.Because[:min(len(out.Because), maxReasons)], out.Differ[:min(len(out.Differ), maxReasons)]
	return out
}

// unconditional says what a rule without a condition is about.
func unconditional(rule string) string {
	if strings.HasPrefix(rule, policyPrefix) {
		return "it is about every request that its policy matches"
	}
	return "it is about every request"
}

// maxReasons is how many lines the API stores.
const maxReasons = 16

func (d *decided) defaultText() string {
	for i := range d.run.out.Verdict.Idle {
		if d.run.out.Verdict.Idle[i].Name == defaultRule {
			return "a rule of the Action applies"
		}
	}
	return "no rule of the Action applies"
}

// during explains the structured time of a rule, and tells whether it is now.
func (d *decided) during(rule *catalog.Rule, vars *expression.Vars) (expression.Reasons, bool) {
	if rule.During == "" {
		return expression.Reasons{}, true
	}
	calendar, err := vars.Calendars.Calendar(rule.During)
	if err != nil {
		return expression.Reasons{Because: []string{Cut(visible.Quoted(err.Error()), maxReason)}}, false
	}
	now := d.run.out.Now
	if !calendar.Contains(now) {
		text := fmt.Sprintf("calendar %s is closed", rule.During)
		if at, ok := calendar.Next(now); ok {
			text += " until " + expression.ShowTime(at)
		}
		return expression.Reasons{Because: []string{text}}, false
	}
	out := expression.Reasons{Because: []string{fmt.Sprintf("calendar %s is open", rule.During)}}
	if at, ok := calendar.Ends(now); ok {
		out.Because[0] += " until " + expression.ShowEnd(at)
		out.Differ = []string{"from " + expression.ShowTime(at) + " " + itWouldNotApply}
	}
	return out, true
}

func (d *decided) vars(rule string) *expression.Vars {
	if strings.HasPrefix(rule, policyPrefix) {
		return &d.policy
	}
	return &d.own
}

// listener is the requester, who is told in person, or whoever reads the stored verdict.
func (r *run) listener(ctx context.Context, inPerson bool) *expression.Listener {
	name, is, may := visible.Quoted(r.subject.Requester.Username), " is", " may"
	if inPerson {
		name, is = "you", " are"
	}
	known := map[string]string{}
	return &expression.Listener{
		Yes: itWouldApply, No: itWouldNotApply,
		People: map[string]string{"requester": name + is},
		Values: r.out.Action.InputValues,
		Hide: func(variable string) string {
			why, ok := known[variable]
			if !ok {
				why = r.unreadable(ctx, variable, name+may)
				known[variable] = why
			}
			return why
		},
	}
}

// unreadable says why what was read is not shown. Values are shown only to who could read them without Signoff.
func (r *run) unreadable(ctx context.Context, variable, who string) string {
	rights, able := r.gate.facts.(Rights)
	for i := range r.facts {
		f := &r.facts[i]
		if f.name != variable || f.own {
			continue
		}
		name := f.query.String()
		if f.host {
			return fmt.Sprintf("only the host can tell whether %s read %s", who, name)
		}
		if !able {
			return fmt.Sprintf("nobody can tell whether %s read %s", who, name)
		}
		may, err := rights.MayRead(ctx, &r.subject.Requester, f.query)
		switch {
		case err != nil:
			return fmt.Sprintf("nobody could tell whether %s read %s", who, name)
		case !may:
			return fmt.Sprintf("%s not read %s", who, name)
		}
	}
	return ""
}

// errorText says why a rule could not be judged, without what the requester may not read. That something could not be read says nothing of what
// is in it.
func (d *decided) errorText(failed decision.RuleError, to *expression.Listener) string {
	program := d.programOf(failed.Rule)
	evaluation, isEvaluation := errors.AsType[*expression.EvalError](failed.Err)
	if program == nil || !isEvaluation || unavailableNow(failed.Err) {
		return failed.Err.Error()
	}
	if name, why := d.run.secret(program.Uses, to); name != "" {
		return fmt.Sprintf("what it reads of %s did not give an answer (not shown: %s)", name, why)
	}
	rule := d.rule(failed.Rule)
	if rule == nil || rule.Message == "" {
		return evaluation.ReasonFirst()
	}
	var reads []string
	for i := range d.run.facts {
		if program.Uses(d.run.facts[i].name) {
			reads = appendNew(reads, d.run.facts[i].query.String())
		}
	}
	// Its author wrote for people what the rule is about, so the expression is not repeated.
	text := fmt.Sprintf("%s (%s)", evaluation.Message, rule.Message)
	if len(reads) > 0 {
		text += "; it reads " + listText(reads)
	}
	return text
}

// secret names a fact that something reads and that is not shown to a listener, and says why. Empty: everything can be shown.
func (r *run) secret(uses func(string) bool, to *expression.Listener) (name, why string) {
	for i := range r.facts {
		if name := r.facts[i].name; uses(name) {
			if why := to.Hide(name); why != "" {
				return name, why
			}
		}
	}
	return "", ""
}

// ErrorText says what went wrong with what an Action writes, without what the requester may not read.
func (j *Judgement) ErrorText(ctx context.Context, err error) string {
	if j.decided == nil {
		return err.Error()
	}
	return j.decided.run.stepsError(err, j.decided.run.listener(ctx, false)).Error()
}

// stepsError is why steps could not be filled in, without what a listener may not read.
func (r *run) stepsError(err error, to *expression.Listener) error {
	if unavailableNow(err) {
		return err
	}
	if name, why := r.secret(r.out.Action.Steps.Uses, to); name != "" {
		return fmt.Errorf("what the steps read of %s did not give what they need (not shown: %s)", name, why)
	}
	return err
}

// unavailableNow tells an error that says nothing about the content of a fact: it could not be read, or there was no time.
func unavailableNow(err error) bool {
	return slices.ContainsFunc([]error{errUnread, errNoAnswer, expression.ErrBusy, expression.ErrBudget, expression.ErrDeadline}, func(known error) bool {
		return errors.Is(err, known)
	})
}

// rule finds a rule that was judged.
func (d *decided) rule(name string) *catalog.Rule {
	lists := [][]catalog.Rule{d.rules.Own}
	for i := range d.rules.Policies {
		lists = append(lists, d.rules.Policies[i].Rules)
	}
	for _, rules := range lists {
		for i := range rules {
			if rules[i].Name == name {
				return &rules[i]
			}
		}
	}
	return nil
}

func (d *decided) programOf(name string) *expression.Program {
	if rule := d.rule(name); rule != nil {
		return rule.When
	}
	return nil
}

// refusal says in a few sentences why a rule denies.
func (d *decided) refusal(ctx context.Context, rule *catalog.Rule) []string {
	if rule.When == nil {
		return nil
	}
	found := rule.When.Explain(ctx, *d.vars(rule.Name), d.run.budget, d.run.listener(ctx, true))
	return sentences(found)
}

const (
	maxBecause = 4
	maxDiffer  = 2
)

// sentences brings reasons to the form that a refusal has room for. An expression is not repeated: its author wrote a message.
func sentences(found expression.Reasons) []string {
	var lines []string
	if because := found.Because[:min(len(found.Because), maxBecause)]; len(because) > 0 {
		lines = append(lines, strings.Join(because, "; ")+".")
	}
	for _, line := range found.Differ {
		if plainWords(line) && len(lines) <= maxDiffer {
			lines = append(lines, capital(line)+".")
		}
	}
	return lines
}

// changes says when time alone could next change the answer of a rule. Zero: never, or nobody can tell. A fact that ends does not make known
// what is not: the rule may change before.
func (d *decided) changes(rule *catalog.Rule) time.Time {
	next, known := d.run.out.Verdict.Changes[rule.Name]
	if known && next.IsZero() {
		return next
	}
	for i := range d.run.facts {
		f := &d.run.facts[i]
		if rule.Name == defaultRule || rule.When != nil && rule.When.Uses(f.name) {
			next = decision.Earlier(next, f.ends)
		}
	}
	return next
}

// plainWords tells a line of an explanation from one that repeats the expression.
func plainWords(line string) bool {
	return strings.HasPrefix(line, "with ") || strings.HasPrefix(line, "from ") ||
		strings.HasPrefix(line, "if ") && strings.Contains(line, " were ")
}

// until says when a rule that time bounds ends.
func (d *decided) until(rule *catalog.Rule) string {
	if rule.During == "" {
		return ""
	}
	calendar, err := d.vars(rule.Name).Calendars.Calendar(rule.During)
	if err != nil {
		return ""
	}
	if at, ok := calendar.Ends(d.run.out.Now); ok {
		return expression.ShowEnd(at)
	}
	return ""
}

// explain says of each permission whose condition does not hold what the condition rests on.
func (a *Access) explain(ctx context.Context) {
	req := a.request
	vars := req.vars
	vars.Values = maps.Clone(req.vars.Values)
	if req.person != nil {
		vars.Values["caller"] = req.person
	}
	people := map[string]string{"caller": "you are"}
	if requester, ok := vars.Values["requester"].(expression.Lazy); ok && req.verb == v1alpha1.VerbRequest && requester != nil {
		people["requester"] = "you are"
	}
	for i := range a.Unmet {
		if when := a.Unmet[i].Permission.When; when != nil {
			a.Unmet[i].reasons = when.Explain(ctx, vars, req.budget, &expression.Listener{
				Yes: "it would be permitted", No: "it would not be permitted", People: people, Values: req.action.InputValues,
			})
		}
	}
}

// AuditRules names the rules that applied, for the audit log.
func AuditRules(j *Judgement) string {
	if j.Verdict == nil {
		return ""
	}
	var names []string
	for _, rule := range slices.Concat(j.Verdict.Rules, j.Verdict.Overridden) {
		names = append(names, rule.Name)
	}
	return Cut(strings.Join(names, ","), maxAudit)
}

// maxAudit bounds an annotation of the audit log.
const maxAudit = 1024

// capital begins a sentence.
func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
