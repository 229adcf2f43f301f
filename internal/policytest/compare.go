package policytest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
)

// comparison collects what is not as expected.
type comparison struct {
	observed *Observed
	lines    []string
}

func (c *comparison) differ(format string, args ...any) {
	c.lines = append(c.lines, fmt.Sprintf(format, args...))
}

// compare says everything that is not as expected, a line each.
func (p *Policies) compare(ctx context.Context, f *File, want *Expect, got *Observed) []string {
	c := &comparison{observed: got}
	c.answer(want)
	if want.Stages != nil {
		c.set("stages", want.Stages, got.stages())
	}
	if want.Rules != nil {
		c.set("rules", want.Rules, got.rules(v1alpha1.RuleApplies))
	}
	if want.Overridden != nil {
		c.set("overridden", want.Overridden, got.rules(v1alpha1.RuleOverridden))
	}
	c.approvers(want.Approvers)
	c.message(want.Message)
	c.nextChange(want.NextChange)
	p.may(ctx, f, c, want.May)
	return c.lines
}

// answer compares effect, reason and whether the request is refused. It says the words of a refusal that was not expected.
func (c *comparison) answer(want *Expect) {
	got := c.observed
	refused := !got.Explanation.Allowed
	before := len(c.lines)
	if want.Effect != "" && want.Effect != got.Effect {
		c.differ("effect: expected %s, got %s", want.Effect, orNone(got.Effect))
	}
	if want.Refused != nil && *want.Refused != refused {
		c.differ("refused: expected %t, got %t", *want.Refused, refused)
	}
	if want.Reason != "" && want.Reason != got.Explanation.Reason {
		c.differ("reason: expected %s, got %s", want.Reason, orNone(got.Explanation.Reason))
	}
	if len(c.lines) > before && refused {
		c.differ("it was refused: %s", oneLine(strings.Join(got.refusal(), "; ")))
	}
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// set compares lists whose order does not matter.
func (c *comparison) set(what string, want, got []string) {
	want, got = slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))
	if !slices.Equal(want, got) {
		c.differ("%s: expected [%s], got [%s]", what, strings.Join(want, ", "), strings.Join(got, ", "))
	}
}

func (c *comparison) approvers(want map[string]v1alpha1.Approvers) {
	for _, id := range slices.Sorted(maps.Keys(want)) {
		expected := sorted(want[id])
		at := slices.Index(c.observed.stages(), id)
		if at < 0 {
			c.differ("approvers of %s: expected %s, but the stage need not approve", id, approversText(&expected))
			continue
		}
		got := sorted(c.observed.Explanation.Stages[at].Requirements[0].Approvers)
		if !apiequality.Semantic.DeepEqual(expected, got) {
			c.differ("approvers of %s: expected %s, got %s", id, approversText(&expected), approversText(&got))
		}
	}
}

func sorted(a v1alpha1.Approvers) v1alpha1.Approvers {
	for _, list := range []*[]string{&a.Users, &a.Groups, &a.Teams, &a.ServiceAccounts, &a.Roles, &a.LeadsOf} {
		*list = slices.Sorted(slices.Values(*list))
	}
	return a
}

// approversText shows approvers as a test file has them.
func approversText(a *v1alpha1.Approvers) string {
	var parts []string
	for _, list := range catalog.ApproverLists(a) {
		parts = append(parts, fmt.Sprintf("%s: [%s]", list.Kind, strings.Join(list.Names, ", ")))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (c *comparison) message(want []string) {
	said := oneLine(strings.Join(c.observed.said(), " "))
	for _, text := range want {
		if !strings.Contains(said, oneLine(text)) {
			c.differ("message: expected %q, got %q", text, said)
		}
	}
}

func (c *comparison) nextChange(want string) {
	if want == "" {
		return
	}
	got := never
	if j := c.observed.judgement; j != nil && !j.NextChange.IsZero() {
		got = j.NextChange.UTC().Format(time.RFC3339)
	}
	if at, _ := timeAt(want, nil); !at.IsZero() {
		want = at.UTC().Format(time.RFC3339)
	}
	if want != got {
		c.differ("nextChange: expected %s, got %s", want, got)
	}
}

// may compares what people may do.
func (p *Policies) may(ctx context.Context, f *File, c *comparison, want map[string]map[string]bool) {
	for _, what := range slices.Sorted(maps.Keys(want)) {
		for _, name := range slices.Sorted(maps.Keys(want[what])) {
			may, why := false, ""
			if who, err := p.rules.Stamp(ctx, f.login(Login{Username: name})); err == nil {
				may, why = c.observed.may(ctx, what, &who)
			} else {
				why = err.Error()
			}
			if expected := want[what][name]; may != expected {
				c.differ("may %s, %s: expected %t, got %t%s", what, name, expected, may, because(why))
			}
		}
	}
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return " (" + oneLine(why) + ")"
}

// stages are the stages that must approve.
func (o *Observed) stages() []string {
	var ids []string
	for i := range o.Explanation.Stages {
		ids = append(ids, o.Explanation.Stages[i].Stage)
	}
	return ids
}

// rules are the rules that gave an answer.
func (o *Observed) rules(answer v1alpha1.RuleAnswer) []string {
	if o.Explanation.Verdict == nil {
		return nil
	}
	var names []string
	for _, rule := range o.Explanation.Verdict.Rules {
		if rule.Answer == answer {
			names = append(names, rule.Name)
		}
	}
	return names
}

// refusal are the words of a refusal.
func (o *Observed) refusal() []string {
	out := slices.Clone(o.Explanation.Errors)
	if o.Explanation.Message != "" {
		out = append(out, o.Explanation.Message)
	}
	return out
}

// said is all that the requester would read.
func (o *Observed) said() []string { return append(o.refusal(), o.Warnings...) }
