package gate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/quorum"
)

// Poll is what people vote on: one stage of one request, with every template filled in.
type Poll struct {
	// Stage is the name of the stage.
	Stage string
	// Requirements say who must agree.
	Requirements []v1alpha1.Requirement
	// Denials is how many different people must deny; less than 1 counts as 1.
	Denials int32
	// Escalation says who may agree too, and from when on; nil: nobody.
	Escalation *v1alpha1.ApprovalEscalation
	// Requester is who asked.
	Requester *v1alpha1.Identity
	// Review says that it has run already, in an emergency.
	Review bool
}

// Demands are the requirements as they are at a time: from the escalation on, further people meet each of them.
func (p *Poll) Demands(now time.Time) []v1alpha1.Requirement {
	if p.Escalation == nil || now.Before(p.Escalation.At.Time) {
		return p.Requirements
	}
	out := slices.Clone(p.Requirements)
	for i := range out {
		who, more := &out[i].Approvers, &p.Escalation.Approvers
		who.Users, who.Groups, who.Teams = union(who.Users, more.Users), union(who.Groups, more.Groups), union(who.Teams, more.Teams)
		who.ServiceAccounts, who.Roles, who.LeadsOf = union(who.ServiceAccounts, more.ServiceAccounts), union(who.Roles, more.Roles), union(who.LeadsOf, more.LeadsOf)
	}
	return out
}

// Ever are the requirements as they are in the end.
func (p *Poll) Ever() []v1alpha1.Requirement {
	if p.Escalation == nil {
		return p.Requirements
	}
	return p.Demands(p.Escalation.At.Time)
}

// union gives the names of one list and what another adds.
func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, name := range b {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// PollOf gives the poll that an Approval holds.
func PollOf(a *v1alpha1.Approval) *Poll {
	return &Poll{Stage: a.Spec.Stage.Name, Requirements: a.Spec.Requirements, Denials: a.Spec.Denials, Escalation: a.Spec.Escalation, Requester: &a.Spec.Requester, Review: a.Spec.Review}
}

// Poll gives the poll of a stage that has no Approval yet, as if it opened now.
func (j *Judgement) Poll(s *Stage, requester *v1alpha1.Identity) *Poll {
	return &Poll{
		Stage: s.Ref.Name, Requirements: s.Requirements, Denials: s.Denials, Requester: requester,
		Escalation: s.Escalation(j.Now, j.Now.Add(longest)),
	}
}

// longest is longer than any stage is open.
const longest = 100 * 365 * 24 * time.Hour

// Poll gives the poll of a review that has not opened yet.
func (r *Review) Poll(requester *v1alpha1.Identity) *Poll {
	return &Poll{Stage: "review", Requirements: r.Requirements, Requester: requester, Review: true}
}

// Short says for each requirement how many people too few exist who could ever meet it, also after an escalation.
func (g *Gate) Short(j *Judgement, poll *Poll) []int {
	requirements := poll.Ever()
	return quorum.Reachable(demands(requirements), g.candidates(j, requirements, poll.Requester))
}

// Unsatisfiable tells whether a stage can never be approved as things are.
func (g *Gate) Unsatisfiable(j *Judgement, poll *Poll) bool {
	return slices.ContainsFunc(g.Short(j, poll), func(n int) bool { return n > 0 })
}

// Denials is how many different people must deny before a stage is denied: as many as it says, or as many as there are, if those are fewer.
func (g *Gate) Denials(j *Judgement, poll *Poll) int {
	wanted := max(int(poll.Denials), 1)
	if wanted == 1 {
		return wanted
	}
	requirements := poll.Demands(j.Now)
	if able, all := quorum.Able(demands(requirements), g.candidates(j, requirements, poll.Requester)); all {
		return max(min(wanted, able), 1)
	}
	return wanted
}

// candidates are all who could vote: the people that requirements name, the ServiceAccounts that the configuration lets vote, and groups, whose
// members nobody can list, each as far as a Role gives them the verb approve, or could by a group.
func (g *Gate) candidates(j *Judgement, requirements []v1alpha1.Requirement, requester *v1alpha1.Identity) []quorum.Candidate {
	candidates := map[string]*quorum.Candidate{}
	count, able := len(requirements), holdersOf(j)
	for i := range requirements {
		users, groups := approvers(j.Snapshot, j.Action, &requirements[i].Approvers)
		for _, account := range requirements[i].Approvers.ServiceAccounts {
			namespace, name, _ := strings.Cut(account, "/")
			users = append(users, identity.ServiceAccountUsername(namespace, name))
		}
		for _, user := range g.without(users, j, requester) {
			if person := g.personOf(user); able.has(user) && g.rules.MayVoteAs(&v1alpha1.Identity{Username: user, Person: person}) {
				candidateOf(candidates, person, count).Meets[i] = true
			}
		}
		if len(groups) > 0 && able.somebody {
			unlimited := candidateOf(candidates, fmt.Sprintf("\x00open-%d", i), count)
			unlimited.Unlimited, unlimited.Meets[i] = true, true
		}
	}
	all := make([]quorum.Candidate, 0, len(candidates))
	for _, candidate := range candidates {
		all = append(all, *candidate)
	}
	return all
}

// holders are to whom Roles give the verb approve on an Action. Conditions of Roles are not judged: they may hold when somebody votes.
type holders struct {
	judgement *Judgement
	// somebody says that there is a Role which gives it, open that one gives it to a group, in which anybody may be, and users are named by one.
	somebody, open bool
	users          map[string]bool
}

func holdersOf(j *Judgement) *holders {
	out := &holders{judgement: j, users: map[string]bool{}}
	for _, role := range j.Snapshot.Granting(j.Action.Object, v1alpha1.VerbApprove) {
		members := &role.Object.Spec.Members
		// Nobody approves because of a system group, see InPerson.
		out.somebody, out.open = true, out.open || !allSystem(j.Snapshot.GroupsOf(members))
		users, _ := j.Snapshot.PeopleOf(members)
		for _, user := range users {
			out.users[user] = true
		}
	}
	return out
}

func allSystem(groups []string) bool {
	return !slices.ContainsFunc(groups, func(group string) bool { return !identity.IsSystem(group) })
}

// has tells whether somebody can hold the verb and use it. As whom the Action itself acts never approves it.
func (h *holders) has(user string) bool {
	j := h.judgement
	if actsAs(j, user) {
		return false
	}
	return h.open || h.users[user] || len(j.Snapshot.Permissions(j.Action.Object, v1alpha1.VerbApprove, &v1alpha1.Identity{Username: user})) > 0
}

func candidateOf(all map[string]*quorum.Candidate, person string, requirements int) *quorum.Candidate {
	if all[person] == nil {
		all[person] = &quorum.Candidate{Person: person, Meets: make([]bool, requirements)}
	}
	return all[person]
}

// Count counts the votes of an Approval, each voter judged now. A voter who cannot be judged just now is an error: the vote is neither lost
// nor counted. What is missing is what somebody is left for, where that is possible.
func (g *Gate) Count(ctx context.Context, j *Judgement, approval *v1alpha1.Approval) (quorum.Result, error) {
	poll := PollOf(approval)
	votes, err := g.votes(ctx, j, poll, approval)
	if err != nil {
		return quorum.Result{State: v1alpha1.ApprovalOpen}, err
	}
	if len(votes) == 0 || len(poll.Requirements) == 1 {
		return quorum.Count(demands(poll.Requirements), g.Denials(j, poll), votes), nil
	}
	return quorum.CountAmong(demands(poll.Requirements), g.Denials(j, poll), votes, g.candidates(j, poll.Demands(j.Now), poll.Requester)), nil
}

// votes brings the votes of an Approval to the form that the quorum counts.
func (g *Gate) votes(ctx context.Context, j *Judgement, poll *Poll, approval *v1alpha1.Approval) ([]quorum.Vote, error) {
	var votes []quorum.Vote
	var given []*v1alpha1.Vote
	for i := range approval.Spec.Votes {
		vote := &approval.Spec.Votes[i]
		if vote.Digest != approval.Spec.Digest {
			continue
		}
		person, err := g.rules.Person(ctx, &vote.Voter)
		if err != nil {
			// It may be a denial, or take back what somebody else seems to have said.
			return nil, &Unjudged{vote.Voter.Username, unjudged(fmt.Sprintf("cannot tell which person %s is: %v", vote.Voter.Username, err))}
		}
		eligible := g.EligibleAs(ctx, j, poll, vote)
		if eligible.Problem != nil && eligible.Problem.Transient {
			return nil, &Unjudged{vote.Voter.Username, eligible.Problem}
		}
		own, principals := aliases(j.Snapshot, vote)
		given = append(given, vote)
		votes = append(votes, quorum.Vote{
			Person: person, Principal: g.principal(ctx, j.Snapshot, vote), Aliases: own, PrincipalAliases: principals, By: vote.By(), Username: vote.Voter.Username, Decision: vote.Decision,
			At: vote.At.Time, Comment: vote.Comment, Meets: eligible.Meets,
		})
	}
	if err := g.behind(ctx, j, poll, given, votes); err != nil {
		return nil, err
	}
	return votes, nil
}

// demands brings requirements to the form that the quorum counts.
func demands(requirements []v1alpha1.Requirement) []quorum.Requirement {
	demands := make([]quorum.Requirement, len(requirements))
	for i := range requirements {
		demands[i] = quorum.Requirement{Name: requirements[i].Name, Count: int(requirements[i].Count)}
	}
	return demands
}
