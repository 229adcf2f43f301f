package gate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/identity"
)

// Eligibility says whether somebody may vote in a stage, judged now.
type Eligibility struct {
	// Meets tells, for each requirement, whether the voter could meet it.
	Meets []bool
	// Problem says why the voter may not vote. Nil: the voter may.
	Problem *Problem
}

// Eligible judges a voter for a stage of a judged request: now, whether the vote is being cast or was cast before.
func (g *Gate) Eligible(ctx context.Context, j *Judgement, poll *Poll, voter *v1alpha1.Identity) *Eligibility {
	stage, requirements, requester := poll.Stage, poll.Demands(j.Now), poll.Requester
	out := &Eligibility{Meets: make([]bool, len(requirements))}
	refuse := func(reason, message string) *Eligibility {
		out.Problem = &Problem{Reason: reason, Message: message}
		return out
	}
	if ok, why := g.rules.MayVote(ctx, voter); !ok {
		return refuse(v1alpha1.ReasonNotAnApprover, "you cannot approve: "+why+".\n  "+g.eligibleNow(j, requirements, requester))
	}
	same, err := g.rules.SamePerson(ctx, requester, voter)
	if err != nil {
		return refuse(v1alpha1.ReasonIndeterminate, fmt.Sprintf("cannot tell whether you are the requester: %v", err))
	}
	if same {
		return refuse(v1alpha1.ReasonSelfApproval, g.selfApproval(j, requirements, requester, voter))
	}
	if problem := g.onTheirBehalf(ctx, j, voter); problem != nil {
		out.Problem = problem
		return out
	}
	login, voter := voter, InPerson(voter)
	access := g.access(ctx, &accessRequest{
		snapshot: j.Snapshot, action: j.Action, absent: j.Absent, verb: v1alpha1.VerbApprove, caller: voter, vars: j.Vars, budget: g.Budget(j.Action.Object.Namespace),
	})
	if access.Permission == nil {
		refuse(v1alpha1.ReasonNotAnApprover, access.problem(voter).Message)
		out.Problem.Transient = slices.ContainsFunc(access.Unmet, func(u Unmet) bool { return Later(u.Err) })
		return out
	}
	meets := make([]bool, len(requirements))
	for i := range requirements {
		meets[i] = g.matches(j, &requirements[i].Approvers, voter)
	}
	if !slices.Contains(meets, true) {
		return refuse(v1alpha1.ReasonNotAnApprover, fmt.Sprintf("you (%s) cannot approve stage %q: you hold \"approve\" on %s, but are not %s.%s\n  %s",
			voter.Username, stage, j.Action.Object.Name, Needed(requirements), g.later(j, poll, voter), g.eligibleNow(j, requirements, requester)))
	}
	if out.Problem = g.independent(ctx, j, poll, login); out.Problem == nil {
		out.Meets = meets
	}
	return out
}

// later says from when on somebody who is not named yet can approve. Empty: never.
func (g *Gate) later(j *Judgement, poll *Poll, voter *v1alpha1.Identity) string {
	if poll.Escalation == nil || !j.Now.Before(poll.Escalation.At.Time) || !g.matches(j, &poll.Escalation.Approvers, voter) {
		return ""
	}
	return fmt.Sprintf("\n  If nobody has decided by %s, you can.", Time(poll.Escalation.At.Time, j.Now))
}

// InPerson leaves out the groups that Kubernetes puts logins into, whether they are people or not: nobody approves because of one, by whichever
// Role, Team or stage that names it.
func InPerson(voter *v1alpha1.Identity) *v1alpha1.Identity {
	person := *voter
	person.Groups = slices.DeleteFunc(slices.Clone(voter.Groups), identity.IsSystem)
	return &person
}

func (g *Gate) selfApproval(j *Judgement, requirements []v1alpha1.Requirement, requester, voter *v1alpha1.Identity) string {
	return "you cannot approve this: " + askedFor(requester, voter) + "\n  " + g.eligibleNow(j, requirements, requester)
}

func (g *Gate) eligibleNow(j *Judgement, requirements []v1alpha1.Requirement, requester *v1alpha1.Identity) string {
	people := g.Who(j, requirements, requester)
	if people == "" {
		return "Nobody is eligible now."
	}
	return "Eligible now: " + people + "."
}

// matches tells whether approvers name somebody.
func (g *Gate) matches(j *Judgement, a *v1alpha1.Approvers, voter *v1alpha1.Identity) bool {
	s := j.Snapshot
	named := v1alpha1.Subjects{Users: a.Users, Groups: a.Groups, Teams: a.Teams, ServiceAccounts: a.ServiceAccounts}
	if s.Is(voter, &named) {
		return true
	}
	if slices.ContainsFunc(a.LeadsOf, func(team string) bool { return s.Leads(voter, team) }) {
		return true
	}
	return slices.ContainsFunc(a.Roles, func(name string) bool {
		if name == AnyRole {
			return len(s.Permissions(j.Action.Object, v1alpha1.VerbApprove, voter)) > 0
		}
		return s.HasRole(j.Action.Object.Namespace, name, voter)
	})
}

// Needed says in a few words whose agreement requirements ask for, as "in team payments".
func Needed(requirements []v1alpha1.Requirement) string {
	var parts []string
	for i := range requirements {
		parts = append(parts, approversText(&requirements[i].Approvers))
	}
	return strings.Join(parts, ", or ")
}

func approversText(a *v1alpha1.Approvers) string {
	var parts []string
	add := func(format string, names []string) {
		for _, name := range names {
			parts = append(parts, fmt.Sprintf(format, name))
		}
	}
	add("%s", a.Users)
	add("in group %s", a.Groups)
	add("in team %s", a.Teams)
	add("serviceaccount %s", a.ServiceAccounts)
	add("a lead of %s", a.LeadsOf)
	for _, role := range a.Roles {
		if role == AnyRole {
			parts = append(parts, "somebody who holds approve")
			continue
		}
		parts = append(parts, "in role "+role)
	}
	return strings.Join(parts, " or ")
}

// Escalates says in a few words who may agree too, and from when on. Empty: nobody.
func Escalates(e *v1alpha1.ApprovalEscalation, now time.Time) string {
	if e == nil {
		return ""
	}
	return fmt.Sprintf("from %s on also %s", Time(e.At.Time, now), Short(&e.Approvers))
}

// Needs says in a few words how many of whom must agree, such as "1 of payments", or "1 of a + 2 of b".
func Needs(requirements []v1alpha1.Requirement, missing []int) string {
	var parts []string
	for i := range requirements {
		count := int(requirements[i].Count)
		if missing != nil {
			count = missing[i]
		}
		if count == 0 {
			continue
		}
		parts = append(parts, fmt.Sprintf("%d of %s", count, Short(&requirements[i].Approvers)))
	}
	return strings.Join(parts, " + ")
}

// Short names approvers in a few words.
func Short(a *v1alpha1.Approvers) string {
	names := slices.Concat(a.Teams, a.Groups, a.Users, a.ServiceAccounts, a.Roles)
	for _, team := range a.LeadsOf {
		names = append(names, "leads of "+team)
	}
	for i, name := range names {
		if name == AnyRole {
			names[i] = "approvers"
		}
	}
	if len(names) > 2 {
		return fmt.Sprintf("%s +%d", strings.Join(names[:2], ", "), len(names)-2)
	}
	return strings.Join(names, ", ")
}

// Who names people who could meet requirements, without the requester, and the groups whose members nobody can list.
func (g *Gate) Who(j *Judgement, requirements []v1alpha1.Requirement, requester *v1alpha1.Identity) string {
	var parts []string
	for i := range requirements {
		users, groups := approvers(j.Snapshot, j.Action, &requirements[i].Approvers)
		users = g.without(users, j, requester)
		if len(users) > 3 {
			users = append(users[:3:3], fmt.Sprintf("+%d", len(users)-3))
		}
		text := strings.Join(users, ", ")
		named := ofWhom(&requirements[i].Approvers)
		switch {
		case text == "" && named == "":
			text = membersOf(groups)
		case text == "":
			text = named
		case named != "":
			text += " (" + named + ")"
		}
		if text != "" && !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "; ")
}

// Named tells whether one of some requirements names somebody, whether they are independent or not.
func (g *Gate) Named(j *Judgement, requirements []v1alpha1.Requirement, who *v1alpha1.Identity) bool {
	return slices.ContainsFunc(requirements, func(r v1alpha1.Requirement) bool { return g.matches(j, &r.Approvers, InPerson(who)) })
}

// People names a few people who could meet requirements, for a narrow column.
func (g *Gate) People(j *Judgement, requirements []v1alpha1.Requirement, requester *v1alpha1.Identity) string {
	var all, groups []string
	for i := range requirements {
		users, open := approvers(j.Snapshot, j.Action, &requirements[i].Approvers)
		all, groups = append(all, g.without(users, j, requester)...), append(groups, open...)
	}
	slices.Sort(all)
	slices.Sort(groups)
	all, groups = slices.Compact(all), slices.Compact(groups)
	if len(all) > 3 {
		all = append(all[:2:2], fmt.Sprintf("+%d", len(all)-2))
	}
	text := strings.Join(all, ", ")
	switch members := membersOf(groups); {
	case text == "" && members == "":
		return "nobody"
	case text == "":
		return members
	case members != "":
		text += ", " + members
	}
	return text
}

// membersOf names the members of groups, which nobody can list.
func membersOf(groups []string) string {
	if len(groups) == 0 {
		return ""
	}
	word, names := "members of group ", groups
	if len(groups) > 1 {
		word = "members of groups "
	}
	if len(groups) > 3 {
		names = append(groups[:2:2], fmt.Sprintf("+%d", len(groups)-2))
	}
	return word + strings.Join(names, ", ")
}

func ofWhom(a *v1alpha1.Approvers) string {
	var parts []string
	for _, team := range a.Teams {
		parts = append(parts, "team "+team)
	}
	for _, group := range a.Groups {
		parts = append(parts, "group "+group)
	}
	for _, team := range a.LeadsOf {
		parts = append(parts, "leads of "+team)
	}
	for _, role := range a.Roles {
		if role != AnyRole {
			parts = append(parts, "role "+role)
		}
	}
	return strings.Join(parts, ", ")
}

// without drops the logins of the requester, of the person for whom they ask, and of people who changed the Action meanwhile, from a list of user names.
func (g *Gate) without(users []string, j *Judgement, requester *v1alpha1.Identity) []string {
	asks, changed := g.Asking(requester, j.claimed()), g.changers(j)
	return slices.DeleteFunc(slices.Clone(users), func(user string) bool { return asks(user) || changed[g.personOf(user)] })
}

// Asking tells of user names whether they are logins of the requester, or of the person for whom they claim to ask: none of them can approve. An empty
// claim is for nobody else.
func (g *Gate) Asking(requester *v1alpha1.Identity, claimed string) func(user string) bool {
	person, err := g.rules.Person(context.Background(), requester)
	if err != nil {
		person = requester.Person
	}
	return func(user string) bool {
		other := g.personOf(user)
		return user == requester.Username || other == person || other == requester.Person || g.names(claimed, user, other)
	}
}

// personOf gives the person behind a user name; the name itself where that cannot be told.
func (g *Gate) personOf(user string) string {
	if known, ok := g.persons.Get(user); ok {
		return known.(string) //nolint:forcetypeassert // nothing else is put in
	}
	person, err := g.rules.Person(context.Background(), &v1alpha1.Identity{Username: user})
	if err != nil {
		person = user
	}
	g.persons.Add(user, person)
	return person
}
