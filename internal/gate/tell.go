package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/decision"
)

// DefaultTTL is how long an unfinished request lives where the Action does not say.
const DefaultTTL = 168 * time.Hour

// maxWarning is the length of a warning in characters. Longer ones could be cut by the API server.
const maxWarning = 240

// Expires says when an unfinished request ends.
func Expires(action *v1alpha1.Action, subject *Subject, now time.Time) time.Time {
	created := subject.CreatedAt
	if created.IsZero() {
		created = now
	}
	ttl := DefaultTTL
	if action != nil {
		if v, err := action.Spec.RequestTTL.Value(DefaultTTL); err == nil {
			ttl = v
		}
	}
	end := created.Add(ttl)
	if at := subject.Spec.ExpiresAt; at != nil && at.Time.Before(end) {
		return at.Time
	}
	return end
}

// Warnings tells a requester in a few lines what an admitted request will need. Each is one line and short, because the API
// server drops what is not.
func (g *Gate) Warnings(j *Judgement, s *Subject) []string {
	var warnings []string
	for i := range j.Stages {
		stage := &j.Stages[i]
		warnings = append(warnings, fmt.Sprintf("needs %s in stage %q from %s. Rule: %s.",
			approvalsText(stage.Requirements), stage.Ref.Name, g.from(j, stage.Requirements, &s.Requester), rulesFor(j, stage)))
		if g.Unsatisfiable(j, j.Poll(stage, &s.Requester)) {
			warnings = append(warnings, fmt.Sprintf("nobody can meet stage %q as things are: %s needed, and too few people are able to. Add members, or cancel.",
				stage.Ref.Name, Needs(stage.Requirements, nil)))
		}
	}
	for _, rule := range j.Verdict.By(v1alpha1.EffectHold) {
		warnings = append(warnings, "held by "+heldBy(j, &rule)+"; it starts by itself.")
	}
	if again := j.JudgedAgain(); again != "" && len(j.Stages) > 0 {
		warnings = append(warnings, again)
	}
	if len(warnings) > 0 {
		warnings = append(warnings, fmt.Sprintf("it expires %s if nobody decides. Follow: kubectl wait -n %s actionrequest/%s --for=condition=Finished --timeout=24h",
			Time(soonestEnd(j, s), j.Now), s.Namespace, s.Name))
	}
	if duration := Duration(j.Action.Object, s.Spec); duration != "" {
		warnings = append(warnings, fmt.Sprintf("it is temporary: what it does is taken back %s after it is done.", duration))
	}
	if at, end := s.Spec.NotBefore, Expires(j.Action.Object, s, j.Now); at != nil && !at.Time.Before(end) {
		warnings = append(warnings, fmt.Sprintf("it expires %s, before spec.notBefore, so it never runs as things are: give an earlier one, or ask later.", Time(end, j.Now)))
	}
	warnings = append(append(warnings, notReady(j)...), g.reviewWarnings(j, &s.Requester)...)
	for i := range warnings {
		warnings[i] = Cut(warnings[i], maxWarning)
	}
	return warnings
}

// notReady says that the Action is known not to run as things are.
func notReady(j *Judgement) []string {
	ready := meta.FindStatusCondition(j.Action.Object.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status != metav1.ConditionFalse {
		return nil
	}
	return []string{fmt.Sprintf("Action %s is not ready, so this will hardly run: %s", j.Action.Ref(), ready.Message)}
}

// soonestEnd is when a request ends if nobody decides anything: with the first stage that times out, or by itself.
func soonestEnd(j *Judgement, s *Subject) time.Time {
	end := Expires(j.Action.Object, s, j.Now)
	for i := range j.Stages {
		timeout, err := j.Stages[i].Timeout.Value(0)
		opensNow := len(j.Stages[i].After) == 0
		if at := j.Now.Add(timeout); err == nil && timeout > 0 && opensNow && at.Before(end) {
			end = at
		}
	}
	return end
}

// JudgedAgain says when time alone may make an approval needless, where a rule that demands one depends on it.
func (j *Judgement) JudgedAgain() string {
	var next time.Time
	for _, rule := range j.Verdict.By(v1alpha1.EffectRequireApproval) {
		next = decision.Earlier(next, j.decided.changes(&rule))
	}
	if next.IsZero() {
		return ""
	}
	return fmt.Sprintf("without an approval it is judged again on %s, when time may change what is needed.", Time(next, j.Now))
}

// HeldBy names the rules that hold a request, each with its message and until when. In short it leaves messages out.
func HeldBy(j *Judgement, short bool) string {
	var parts []string
	for _, rule := range j.Verdict.By(v1alpha1.EffectHold) {
		if short {
			rule.Message = ""
		}
		parts = append(parts, heldBy(j, &rule))
	}
	return strings.Join(parts, ", ")
}

func heldBy(j *Judgement, rule *catalog.Rule) string {
	text := RuleName(j.Action, rule.Name)
	if rule.Message != "" {
		text += " (" + rule.Message + ")"
	}
	if until := j.ends(rule); until != "" {
		text += " until " + until
	}
	return text
}

// ends says until when a rule applies. Empty: time does not change that, or nobody can tell.
func (j *Judgement) ends(rule *catalog.Rule) string {
	if until := j.decided.until(rule); until != "" {
		return until
	}
	if next := j.decided.changes(rule); !next.IsZero() {
		return Time(next, j.Now)
	}
	return ""
}

// WhoPasses says who can pass what holds a request, in an emergency. Empty: nobody.
func WhoPasses(j *Judgement) string {
	if len(j.Snapshot.Granting(j.Action.Object, v1alpha1.VerbBreakGlass)) == 0 {
		return ""
	}
	return "In an emergency it can be passed, by spec.breakGlass on a new request. " + whoCan(j.Snapshot, j.Action, v1alpha1.VerbBreakGlass)
}

// from says from whom approvals are needed, as "team payments (bob, carol; not you)".
func (g *Gate) from(j *Judgement, requirements []v1alpha1.Requirement, requester *v1alpha1.Identity) string {
	var named []string
	for i := range requirements {
		if text := ofWhom(&requirements[i].Approvers); text != "" && !slices.Contains(named, text) {
			named = append(named, text)
		}
	}
	people, groups := g.People(j, requirements, requester), true
	for i := range requirements {
		groups = groups && slices.Equal(requirements[i].Approvers.Groups, openGroups(j, &requirements[i]))
	}
	switch {
	case len(named) == 0:
		return people + "; not you"
	case groups && strings.HasPrefix(people, "members of group"):
		// The groups are named already.
		return strings.Join(named, "; ") + " (not you)"
	}
	return fmt.Sprintf("%s (%s; not you)", strings.Join(named, "; "), people)
}

func openGroups(j *Judgement, r *v1alpha1.Requirement) []string {
	_, groups := approvers(j.Snapshot, j.Action, &r.Approvers)
	return groups
}

func approvalsText(requirements []v1alpha1.Requirement) string {
	total := 0
	for i := range requirements {
		total += int(requirements[i].Count)
	}
	if total == 1 {
		return "1 approval"
	}
	return fmt.Sprintf("%d approvals", total)
}

// rulesFor names the rules that demand a stage.
func rulesFor(j *Judgement, stage *Stage) string {
	var names []string
	for _, rule := range j.Verdict.By(v1alpha1.EffectRequireApproval) {
		if slices.Contains(rule.Stages, stage.Stage) {
			names = append(names, rule.Name)
		}
	}
	return strings.Join(names, ", ")
}

// Cut shortens a text to so many characters.
func Cut(text string, length int) string {
	runes := []rune(text)
	if len(runes) <= length {
		return text
	}
	return string(runes[:length-1]) + "…"
}

// MayCancel tells whether somebody may cancel a request: the requester, or who holds the verb cancel. Nil means yes. Where
// the Action is gone, only the requester can be known.
func (g *Gate) MayCancel(ctx context.Context, s *Subject, caller *v1alpha1.Identity, now time.Time) *Problem {
	same, err := g.rules.SamePerson(ctx, &s.Requester, caller)
	if err == nil && same {
		return nil
	}
	return g.run(s, now).mayUse(ctx, v1alpha1.VerbCancel, caller,
		"only the requester ("+strings.ReplaceAll(s.Requester.Username, "%", "%%")+") may cancel this: Action %s is not there to say who else may.")
}

// VerdictStatus brings a verdict to the form that is stored and shown.
func VerdictStatus(j *Judgement) *v1alpha1.Verdict {
	if j.Verdict == nil {
		return nil
	}
	out := &v1alpha1.Verdict{Effect: j.Verdict.Effect, EvaluatedAt: metav1.NewTime(j.Now)}
	out.Rules = results(j)
	for i := range j.Stages {
		out.Stages = append(out.Stages, j.Stages[i].Ref.ID())
	}
	out.Facts = j.Facts[:min(len(j.Facts), maxFacts)]
	if !j.NextChange.IsZero() && !j.Guessed {
		// The API stores whole seconds.
		at := metav1.NewTime(j.NextChange.Truncate(time.Second))
		out.NextChange = &at
	}
	return out
}

// maxRules is how many rules a verdict lists, and maxApplying how many where more than that apply: those that do not are left out first.
const (
	maxRules    = 64
	maxApplying = 256
)

// results are the rules and their answers, those that apply first.
func results(j *Judgement) []v1alpha1.RuleResult {
	var out []v1alpha1.RuleResult
	add := func(rules []catalog.Rule, answer v1alpha1.RuleAnswer, most int) {
		for i := 0; i < len(rules) && len(out) < most; i++ {
			out = append(out, resultOf(j, &rules[i], answer))
		}
	}
	add(j.Verdict.Rules, v1alpha1.RuleApplies, maxApplying)
	add(j.Verdict.Overridden, v1alpha1.RuleOverridden, maxApplying)
	var failed []catalog.Rule
	for _, err := range j.Verdict.Errors {
		if rule := j.decided.rule(err.Rule); rule != nil {
			failed = append(failed, *rule)
		} else {
			// A policy that cannot be judged could demand anything.
			failed = append(failed, catalog.Rule{Name: err.Rule, Effect: v1alpha1.EffectDeny})
		}
	}
	add(failed, v1alpha1.RuleUnknown, maxRules)
	add(j.Verdict.Idle, v1alpha1.RuleNotApplicable, maxRules)
	return out
}

func resultOf(j *Judgement, rule *catalog.Rule, answer v1alpha1.RuleAnswer) v1alpha1.RuleResult {
	reasons := j.Reasons[rule.Name]
	return v1alpha1.RuleResult{
		Name: rule.Name, Effect: rule.Effect, Answer: answer, Message: rule.Message, Because: reasons.Because, Differ: reasons.Differ,
	}
}

// Explanation is a judgement for programs: what a dry run answers.
type Explanation struct {
	Allowed bool              `json:"allowed"`
	Reason  string            `json:"reason,omitempty"`
	Message string            `json:"message,omitempty"`
	Verdict *v1alpha1.Verdict `json:"verdict,omitempty"`
	Inputs  map[string]any    `json:"inputs,omitempty"`
	Stages  []ExplainedStage  `json:"stages,omitempty"`
	Errors  []string          `json:"errors,omitempty"`
	// Omitted names the fields for which there was no room.
	Omitted []string `json:"omitted,omitempty"`
}

// Text gives the explanation as JSON that has so many bytes at most. What does not fit is left out, the inputs first: whoever asks has them. Empty: nothing fits.
func (e *Explanation) Text(most int) string {
	short := *e
	for _, leave := range []struct {
		name string
		out  func()
	}{
		{"inputs", func() { short.Inputs = nil }}, {"verdict", func() { short.Verdict = nil }}, {"stages", func() { short.Stages = nil }}, {"errors", func() { short.Errors = nil }}, {},
	} {
		text, err := json.Marshal(&short)
		if err == nil && len(text) <= most {
			return string(text)
		}
		if leave.out != nil {
			leave.out()
			short.Omitted = append(short.Omitted, leave.name)
		}
	}
	return ""
}

// ExplainedStage is a stage that would have to approve.
type ExplainedStage struct {
	Stage        string                 `json:"stage"`
	Requirements []v1alpha1.Requirement `json:"requirements"`
	// Further may agree too after the stage has been open for EscalatedAfter.
	Further        *v1alpha1.Approvers `json:"further,omitempty"`
	EscalatedAfter v1alpha1.Duration   `json:"escalatedAfter,omitempty"`
}

// Explain brings a judgement to the form that a dry run answers.
func Explain(j *Judgement) *Explanation {
	out := &Explanation{Allowed: j.Problem == nil, Verdict: VerdictStatus(j), Inputs: j.Inputs}
	if j.Problem != nil {
		out.Reason, out.Message = j.Problem.Reason, j.Problem.Message
		for _, err := range j.Problem.Fields {
			out.Errors = append(out.Errors, err.Error())
		}
	}
	for i := range j.Stages {
		out.Stages = append(out.Stages, ExplainedStage{
			Stage: j.Stages[i].Ref.ID(), Requirements: j.Stages[i].Requirements, Further: j.Stages[i].Further, EscalatedAfter: j.Stages[i].EscalateAfter,
		})
	}
	return out
}
