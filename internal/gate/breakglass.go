package gate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/identity"
)

// defaultWithin is how long after the start a review is due where no override says.
const defaultWithin = 24 * time.Hour

// maxRequirements is how many requirements an Approval can have.
const maxRequirements = 8

// Review is the review that opens when a request starts in an emergency. Somebody else must do it.
type Review struct {
	// Requirements say who, all of them.
	Requirements []v1alpha1.Requirement
	// Within is how long after the start it is due.
	Within time.Duration
}

// emergency stops those who may not break the glass.
func (r *run) emergency(ctx context.Context) *Problem {
	if r.subject.Spec.BreakGlass == nil {
		return nil
	}
	who := r.commander()
	if Barred(ctx, r.gate.rules, v1alpha1.VerbBreakGlass, &r.subject.Requester) != "" {
		return &Problem{Reason: v1alpha1.ReasonNotAuthorized,
			Message: fmt.Sprintf("you (%s) are an agent, and an agent never breaks the glass: ask a person to.\n  %s\n  %s",
				who.Username, whoCan(r.out.Snapshot, r.out.Action, v1alpha1.VerbBreakGlass), withoutBreakGlass)}
	}
	access := r.gate.access(ctx, &accessRequest{
		snapshot: r.out.Snapshot, action: r.out.Action, verb: v1alpha1.VerbBreakGlass,
		caller: who, vars: r.out.Vars, budget: r.budget,
	})
	if access.Permission != nil {
		return nil
	}
	problem := access.problem(who)
	problem.Message += "\n  " + withoutBreakGlass
	return problem
}

const withoutBreakGlass = "Without spec.breakGlass the request is judged like any other."

// commander is the requester as permissions for an emergency see them.
func (r *run) commander() *v1alpha1.Identity {
	return CountedAs(v1alpha1.VerbBreakGlass, &r.subject.Requester)
}

// Commander is somebody as permissions for an emergency see them: a ServiceAccount counts only where it is named itself, not by a group
// that the API server puts it into.
func Commander(who *v1alpha1.Identity) *v1alpha1.Identity {
	if _, ok := identity.ServiceAccount(who.Username); !ok {
		return who
	}
	alone := who.DeepCopy()
	alone.Groups = nil
	return alone
}

// passes tells whether a rule that denies lets this requester pass.
func (r *run) passes(rule *catalog.Rule) bool {
	return rule.Override != nil && r.out.Snapshot.Is(r.commander(), rule.Override.By)
}

// review finds out who must review the emergency afterwards. Where nobody could, the glass stays whole.
func (r *run) review(ctx context.Context) *Problem {
	if r.subject.Spec.BreakGlass == nil {
		return nil
	}
	passed := r.out.Verdict.Overridden
	review := &Review{Within: within(passed)}
	stages := reviewStages(passed)
	if problem := r.lookUp(ctx, func(l *catalog.Lookup) bool {
		return slices.ContainsFunc(l.Stages, func(s *catalog.Stage) bool { return slices.Contains(stages, s) })
	}); problem != nil {
		return problem
	}
	for _, stage := range stages {
		for i := range stage.Requirements {
			requirement, problem := r.requirement(ctx, stage, &stage.Requirements[i])
			if problem != nil {
				problem.Message = "nobody could review this emergency afterwards, so it is refused: " + problem.Message
				return problem
			}
			review.add(requirement)
		}
	}
	if len(review.Requirements) > maxRequirements {
		return &Problem{Reason: v1alpha1.ReasonIndeterminate, Message: fmt.Sprintf(
			"this emergency would need %d different reviews, and at most %d fit into one: let fewer rules match", len(review.Requirements), maxRequirements)}
	}
	r.out.Review = review
	return nil
}

// reviewStages are those of the overrides that were passed; else those that would have had to approve; else whoever may approve.
func reviewStages(passed []catalog.Rule) []*catalog.Stage {
	var reviews, skipped []*catalog.Stage
	for i := range passed {
		if override := passed[i].Override; override != nil {
			reviews = append(reviews, override.Review)
		}
		for _, stage := range passed[i].Stages {
			if !slices.Contains(skipped, stage) {
				skipped = append(skipped, stage)
			}
		}
	}
	switch {
	case len(reviews) > 0:
		return reviews
	case len(skipped) > 0:
		return skipped
	}
	return []*catalog.Stage{{
		Ref:          v1alpha1.StageReference{Name: catalog.ReviewStage},
		Requirements: []catalog.Requirement{{Name: catalog.ReviewStage, Count: 1}},
	}}
}

// add demands a further review, unless the same people are asked already.
func (r *Review) add(requirement v1alpha1.Requirement) {
	for i := range r.Requirements {
		if apiequality.Semantic.DeepEqual(r.Requirements[i].Approvers, requirement.Approvers) {
			r.Requirements[i].Count = max(r.Requirements[i].Count, requirement.Count)
			return
		}
	}
	r.Requirements = append(r.Requirements, requirement)
}

// within is the shortest time that the overrides leave for the review.
func within(passed []catalog.Rule) time.Duration {
	shortest := time.Duration(0)
	for i := range passed {
		if passed[i].Override == nil {
			continue
		}
		if d := reviewTime(passed[i].Override); shortest == 0 || d < shortest {
			shortest = d
		}
	}
	if shortest == 0 {
		return defaultWithin
	}
	return shortest
}

func reviewTime(override *catalog.Override) time.Duration {
	d, err := override.Within.Value(defaultWithin)
	if err != nil {
		return defaultWithin
	}
	return d
}

// withWayThrough adds to a refusal by rules what an emergency would change.
func (r *run) withWayThrough(problem *Problem) *Problem {
	if problem != nil && problem.Reason == v1alpha1.ReasonDeniedByRule {
		problem.Message = strings.Join(append([]string{problem.Message}, r.wayThrough()...), "\n  ")
	}
	return problem
}

// wayThrough says how the rules that deny can be passed in an emergency, or why breakGlass did not.
func (r *run) wayThrough() []string {
	denials := r.out.Verdict.By(v1alpha1.EffectDeny)
	if r.subject.Spec.BreakGlass != nil {
		return r.closed(denials)
	}
	var who, reviewers []string
	for i := range denials {
		if denials[i].Override == nil {
			return nil
		}
		who = appendNew(who, membersText(denials[i].Override.By))
		reviewers = appendNew(reviewers, reviewersText(denials[i].Override))
	}
	if len(who) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("Emergency: %s may set spec.breakGlass.reason; %s reviews it within %s.",
		strings.Join(who, ", who are also "), strings.Join(reviewers, " and "), hours(within(denials)))}
}

// closed says for each rule that denies why breakGlass does not pass it.
func (r *run) closed(denials []catalog.Rule) []string {
	var lines []string
	for i := range denials {
		name := RuleName(r.out.Action, denials[i].Name)
		switch override := denials[i].Override; {
		case override == nil:
			lines = append(lines, fmt.Sprintf("spec.breakGlass does not pass %s: it has no override, so nobody passes it.", name))
		case !r.passes(&denials[i]):
			lines = append(lines, fmt.Sprintf("spec.breakGlass does not pass %s: %s may, and you (%s) are not one of them.",
				name, membersText(override.By), r.subject.Requester.Username))
		}
	}
	return lines
}

func appendNew(all []string, text string) []string {
	if slices.Contains(all, text) {
		return all
	}
	return append(all, text)
}

// membersText names subjects as people, such as "members of incident-commanders".
func membersText(s *v1alpha1.Subjects) string {
	var parts []string
	if collective := slices.Concat(s.Teams, s.Groups); len(collective) > 0 {
		parts = append(parts, "members of "+listText(collective))
	}
	if named := slices.Concat(s.Users, s.ServiceAccounts); len(named) > 0 {
		parts = append(parts, listText(named))
	}
	return strings.Join(parts, " or ")
}

func listText(names []string) string {
	if len(names) > maxNames {
		names = append(names[:maxNames:maxNames], "…")
	}
	return strings.Join(names, ", ")
}

func reviewersText(override *catalog.Override) string {
	var names []string
	for _, list := range override.Review.Requirements[0].Approvers {
		for _, name := range list.Names {
			text := name.Source
			if list.Kind == catalog.ApproverLeadsOf {
				text = "a lead of " + text
			}
			names = append(names, text)
		}
	}
	return listText(names)
}

// hours shows a length of time, such as "24 h" or "1 h 30 m".
func hours(d time.Duration) string {
	var parts []string
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / unit.of; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, unit.name))
			d -= n * unit.of
		}
	}
	return strings.Join(parts, " ")
}

// Passed names the rules that were passed in an emergency, for people.
func Passed(j *Judgement) string {
	if j.Verdict == nil || len(j.Verdict.Overridden) == 0 {
		return "no rule"
	}
	names := make([]string, len(j.Verdict.Overridden))
	for i := range j.Verdict.Overridden {
		names[i] = RuleName(j.Action, j.Verdict.Overridden[i].Name)
	}
	return listText(names)
}

// reviewWarnings tell a requester what breaking the glass brings.
func (g *Gate) reviewWarnings(j *Judgement, requester *v1alpha1.Identity) []string {
	if j.Review == nil {
		return nil
	}
	warnings := []string{
		fmt.Sprintf("you break the glass: it runs at once and passes %s.", Passed(j)),
		fmt.Sprintf("a review opens: %s must agree by %s (%s; not you). Until then the request cannot be deleted.",
			Needs(j.Review.Requirements, nil), Time(j.Now.Add(j.Review.Within), j.Now), g.People(j, j.Review.Requirements, requester)),
	}
	if g.Unsatisfiable(j, j.Review.Poll(requester)) {
		warnings = append(warnings, "nobody can do this review as things are: too few people may. Add members, or it will be overdue.")
	}
	return warnings
}
