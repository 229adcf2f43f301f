package gate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// EligibleAs judges the voter of a vote, which may stand for somebody else. Of a vote that does, both are judged: the voter may have had no hand in
// what is asked for, and the principal must be somebody who could vote, and may let others.
func (g *Gate) EligibleAs(ctx context.Context, j *Judgement, poll *Poll, vote *v1alpha1.Vote) *Eligibility {
	if vote.Delegation == nil {
		return g.Eligible(ctx, j, poll, &vote.Voter)
	}
	none := &Eligibility{Meets: make([]bool, len(poll.Requirements))}
	if none.Problem = g.delegate(ctx, j, poll, &vote.Voter); none.Problem != nil {
		return none
	}
	found := j.Snapshot.Delegation(vote.Delegation.UID)
	given, problem := g.lets(ctx, j, found, &vote.Voter, vote.Delegation.Principal)
	if problem == nil && *given != *vote.Delegation {
		problem = &Problem{Reason: v1alpha1.ReasonSealInvalid, Message: fmt.Sprintf("you (%s) cannot vote for %s: the vote names another Delegation than %s/%s is.",
			vote.Voter.Username, vote.Delegation.Principal, found.Namespace, found.Name)}
	}
	if none.Problem = problem; problem != nil {
		return none
	}
	principal := found.Spec.Principal
	eligible := g.Eligible(ctx, j, poll, principal)
	if problem := eligible.Problem; problem != nil {
		eligible.Problem = &Problem{Reason: problem.Reason, Transient: problem.Transient, Message: fmt.Sprintf(
			"you (%s) cannot vote for %s, who could not vote here either. To %[2]s it would say:\n  %[3]s", vote.Voter.Username, principal.Username, problem.Message)}
		return eligible
	}
	if none.Problem = g.mayDelegate(ctx, j, &vote.Voter, principal); none.Problem != nil {
		return none
	}
	return eligible
}

// delegate says why somebody can vote for nobody else here. Nil: they can, if somebody lets them.
func (g *Gate) delegate(ctx context.Context, j *Judgement, poll *Poll, voter *v1alpha1.Identity) *Problem {
	if ok, why := g.rules.MayVote(ctx, voter); !ok {
		return &Problem{Reason: v1alpha1.ReasonNotAnApprover, Message: "you cannot approve: " + why + "."}
	}
	same, err := g.rules.SamePerson(ctx, poll.Requester, voter)
	switch {
	case err != nil:
		return &Problem{Reason: v1alpha1.ReasonIndeterminate, Message: fmt.Sprintf("cannot tell whether you are the requester: %v", err)}
	case same:
		return &Problem{Reason: v1alpha1.ReasonSelfApproval, Message: g.selfApproval(j, poll.Demands(j.Now), poll.Requester, voter)}
	}
	if problem := g.onTheirBehalf(ctx, j, voter); problem != nil {
		return problem
	}
	return g.independent(ctx, j, poll, voter)
}

// lets gives what a Delegation lets a voter do for a principal now, or says why it does not. It may be nil: it is gone.
func (g *Gate) lets(ctx context.Context, j *Judgement, d *v1alpha1.Delegation, voter *v1alpha1.Identity, principal string) (*v1alpha1.VoteDelegation, *Problem) {
	refuse := func(reason, format string, args ...any) (*v1alpha1.VoteDelegation, *Problem) {
		return nil, &Problem{Reason: reason, Message: fmt.Sprintf("you (%s) cannot vote for %s: ", voter.Username, principal) + fmt.Sprintf(format, args...)}
	}
	if d == nil {
		return refuse(v1alpha1.ReasonNotAnApprover, "the Delegation that let you is gone.")
	}
	if g.hands == nil {
		return refuse(v1alpha1.ReasonIndeterminate, "nobody can tell whether the Delegation %s/%s is genuine.", d.Namespace, d.Name)
	}
	hash, err := g.hands.Delegation(d)
	if err != nil {
		said := toldOf(err)
		said.Message = fmt.Sprintf("you (%s) cannot vote for %s: %s.", voter.Username, principal, said.Message)
		return nil, said
	}
	if d.Spec.Principal.Username != principal {
		return refuse(v1alpha1.ReasonNotAnApprover, "the Delegation %s/%s is of %s.", d.Namespace, d.Name, d.Spec.Principal.Username)
	}
	if why := g.outside(j, d, voter); why != "" {
		return refuse(v1alpha1.ReasonNotAnApprover, "%s.", why)
	}
	same, err := g.rules.SamePerson(ctx, d.Spec.Principal, voter)
	switch {
	case err != nil:
		return refuse(v1alpha1.ReasonIndeterminate, "nobody can tell whether you are the same person: %v.", err)
	case same:
		return refuse(v1alpha1.ReasonNotAnApprover, "you are the same person.")
	}
	return &v1alpha1.VoteDelegation{Principal: principal, UID: d.UID, Seal: hash}, nil
}

// told is an error that says by which reason it refuses, and whether another look may find otherwise.
type told interface {
	error
	Code() string
	Passing() bool
}

// toldOf gives what an error of Hands says, as a problem whose message has no full stop.
func toldOf(err error) *Problem {
	if said, ok := err.(told); ok { //nolint:errorlint // Hands gives it as it is
		return &Problem{Reason: said.Code(), Message: said.Error(), Transient: said.Passing()}
	}
	return unjudged(err.Error())
}

// outside says why a Delegation is not about a voter, an Action and a time. Empty: it is.
func (g *Gate) outside(j *Judgement, d *v1alpha1.Delegation, voter *v1alpha1.Identity) string {
	named := d.Namespace + "/" + d.Name
	switch action := j.Action.Object; {
	case d.Namespace != action.Namespace:
		return fmt.Sprintf("the Delegation %s is about Actions in its own namespace only", named)
	case !slices.Contains(d.Spec.To.Users, voter.Username):
		return fmt.Sprintf("the Delegation %s does not name you", named)
	case len(d.Spec.Actions) > 0 && !slices.Contains(d.Spec.Actions, action.Name):
		return fmt.Sprintf("the Delegation %s is not about Action %s", named, action.Name)
	case d.Spec.From != nil && j.Now.Before(d.Spec.From.Time):
		return fmt.Sprintf("the Delegation %s begins %s", named, Time(d.Spec.From.Time, j.Now))
	case !j.Now.Before(d.Spec.Until.Time):
		return fmt.Sprintf("the Delegation %s ended %s", named, Time(d.Spec.Until.Time, j.Now))
	}
	return ""
}

// mayDelegate says why a principal may not let others vote on an Action. Nil: they may.
func (g *Gate) mayDelegate(ctx context.Context, j *Judgement, voter, principal *v1alpha1.Identity) *Problem {
	access := g.access(ctx, &accessRequest{
		snapshot: j.Snapshot, action: j.Action, absent: j.Absent, verb: v1alpha1.VerbDelegate, caller: CountedAs(v1alpha1.VerbDelegate, principal), vars: j.Vars, budget: g.Budget(j.Action.Object.Namespace),
	})
	if access.Permission != nil {
		return nil
	}
	return &Problem{
		Reason: v1alpha1.ReasonNotAnApprover, Transient: slices.ContainsFunc(access.Unmet, func(u Unmet) bool { return Later(u.Err) }),
		Message: fmt.Sprintf("you (%s) cannot vote for %s, who may not let others vote. To %[2]s it would say:\n  %[3]s", voter.Username, principal.Username, access.problem(principal).Message),
	}
}

// Stand gives what lets a voter stand for a principal, by the Delegation that lasts longest. The problem says why none does.
func (g *Gate) Stand(ctx context.Context, j *Judgement, voter *v1alpha1.Identity, principal string) (*v1alpha1.VoteDelegation, *Problem) {
	ref := j.Action.Ref()
	problem := &Problem{Reason: v1alpha1.ReasonNotAnApprover, Message: fmt.Sprintf(
		"you (%s) cannot vote for %s: no Delegation of theirs in namespace %s lets you, for Action %s.\n  Who may read them sees: kubectl get delegations -n %[3]s",
		voter.Username, principal, ref.Namespace, ref.Name)}
	for _, d := range j.Snapshot.DelegatedTo(ref.Namespace, voter.Username) {
		if d.Spec.Principal == nil || d.Spec.Principal.Username != principal {
			continue
		}
		given, why := g.lets(ctx, j, d, voter, principal)
		if why == nil {
			return given, nil
		}
		problem = why
	}
	return nil, problem
}

// StandForSomebody gives what lets a voter, who may not vote in their own name, vote for the first principal for whom they could. Nil: for nobody.
func (g *Gate) StandForSomebody(ctx context.Context, j *Judgement, poll *Poll, voter *v1alpha1.Identity) *v1alpha1.VoteDelegation {
	for _, d := range j.Snapshot.DelegatedTo(j.Action.Object.Namespace, voter.Username) {
		if d.Spec.Principal == nil {
			continue
		}
		given, problem := g.lets(ctx, j, d, voter, d.Spec.Principal.Username)
		if problem == nil && g.EligibleAs(ctx, j, poll, &v1alpha1.Vote{Voter: *voter, Delegation: given}).Problem == nil {
			return given
		}
	}
	return nil
}

// NorInstead adds to the problem of a voter who cannot vote in their own name why the first of the Delegations that name them lets them neither. Where of
// any of these nobody can tell at the moment, nobody can tell of the vote.
func (g *Gate) NorInstead(ctx context.Context, j *Judgement, poll *Poll, vote *v1alpha1.Vote, own *Problem) *Problem {
	out := *own
	if vote.Delegation != nil {
		return &out
	}
	said := false
	for _, d := range j.Snapshot.DelegatedTo(j.Action.Object.Namespace, vote.Voter.Username) {
		if d.Spec.Principal == nil {
			continue
		}
		given, problem := g.lets(ctx, j, d, &vote.Voter, d.Spec.Principal.Username)
		if problem == nil {
			problem = g.EligibleAs(ctx, j, poll, &v1alpha1.Vote{Voter: vote.Voter, Delegation: given}).Problem
		}
		if problem == nil {
			continue
		}
		if !said {
			out.Message += "\n  Nor for somebody else: " + problem.Message
		}
		said, out.Transient = true, out.Transient || problem.Transient
	}
	return &out
}

// principal is the person for whom a vote is given. Empty: for the voter.
func (g *Gate) principal(ctx context.Context, s *snapshot.Snapshot, vote *v1alpha1.Vote) string {
	if vote.Delegation == nil {
		return ""
	}
	who := principalOf(s, vote.Delegation)
	person, err := g.rules.Person(ctx, who)
	if err != nil {
		// Two votes for one principal must not count as two because of this.
		return identity.Fold(who.Username)
	}
	return person
}

// principalOf is for whom a vote is given, as they were when they let others vote, or by name alone where nobody knows that any more.
func principalOf(s *snapshot.Snapshot, given *v1alpha1.VoteDelegation) *v1alpha1.Identity {
	if d := s.Delegation(given.UID); d != nil && d.Spec.Principal != nil {
		return d.Spec.Principal
	}
	return &v1alpha1.Identity{Username: given.Principal}
}

// aliases are the other names of who gave a vote and for whom: the person as it was stamped, by an expression that may have been another one, and the
// login, which is one person whatever an expression says of it. As in SamePerson, any of them is enough to be one.
func aliases(s *snapshot.Snapshot, vote *v1alpha1.Vote) (voter, principal []string) {
	if vote.Delegation != nil {
		principal = namesOf(principalOf(s, vote.Delegation))
	}
	return namesOf(&vote.Voter), principal
}

// namesOf are further names of somebody. No person has this sign in its name, so that what is stamped is compared with what is stamped only.
func namesOf(who *v1alpha1.Identity) []string {
	names := []string{"\x00login " + who.Username}
	if who.Person != "" {
		names = append(names, "\x00stamped "+who.Person)
	}
	return names
}

// DelegationOf finds the Delegation that a vote rests on. Nil: it rests on none, or that is gone.
func (g *Gate) DelegationOf(vote *v1alpha1.Vote) *v1alpha1.Delegation {
	if vote.Delegation == nil {
		return nil
	}
	return g.store.Current().Delegation(vote.Delegation.UID)
}

// Lapses is when the first of the Delegations ends that votes of an Approval rest on. Zero: there is none.
func (g *Gate) Lapses(j *Judgement, approval *v1alpha1.Approval) time.Time {
	var first time.Time
	for i := range approval.Spec.Votes {
		given := approval.Spec.Votes[i].Delegation
		if given == nil {
			continue
		}
		d := j.Snapshot.Delegation(given.UID)
		if d != nil && j.Now.Before(d.Spec.Until.Time) && (first.IsZero() || d.Spec.Until.Time.Before(first)) {
			first = d.Spec.Until.Time
		}
	}
	return first
}
