// Package quorum turns the votes of one stage into its result.
package quorum

import (
	"slices"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// MaxVotes is how many votes an Approval may have in all, and MinDenials for how many first denials there is room where fewer are enough.
const (
	MaxVotes   = 256
	MinDenials = 16
)

// MaxApprovals is how many people can agree in a stage in which so many must deny. Each of those who agree keeps a place to take it back, and so does each
// of those who may still deny for the first time.
func MaxApprovals(denials int) int { return MaxVotes/2 - max(denials, MinDenials) }

// Requirement is a number of people who must agree.
type Requirement struct {
	Name string
	// Count is how many. Less than 1 counts as 1, because nothing is approved by nobody.
	Count int
}

// Vote is one entry of the append-only list of votes.
type Vote struct {
	// Person is who votes, whichever login was used. It is compared exactly.
	Person string
	// Principal is the person for whom the voter votes. Empty: for themself.
	Principal string
	// Aliases are other names of the voter, such as the person as it was stamped when the expression was another one, and PrincipalAliases of the
	// principal. Votes that have a name in common are of people who count once. It depends on Person alone whose vote replaces whose, but whoever takes
	// something back takes it back under every name.
	Aliases, PrincipalAliases []string
	// Behind are the persons of other votes who could have given this one, because it is of a ServiceAccount as which they could act. Where one of them
	// says the same, it is theirs.
	Behind []string
	// By names for people who voted, and for whom. Username is the login.
	By       string
	Username string
	Decision v1alpha1.Decision
	At       time.Time
	Comment  string
	// Meets tells per requirement whether this voter would be accepted for it now.
	Meets []bool
}

// Match says which vote meets which requirement.
type Match struct {
	// Requirement is the name of the requirement.
	Requirement string
	Vote
}

// Result is what the votes of a stage come to.
type Result struct {
	// State is Open, Approved or Denied.
	State v1alpha1.ApprovalState
	// Missing is per requirement how many must still agree. As many as it says for each, of people who have not voted, are enough.
	Missing []int
	// By says which votes meet which requirement, sorted by requirement, then by time. Approvals that are not needed are left
	// out.
	By []Match
	// Denials are the standing denials of different people, the earliest first.
	Denials []Vote
	// DeniedBy is the earliest standing denial, if State is Denied.
	DeniedBy *Vote
}

// Count turns votes into a result.
//
// Of each person the latest vote stands, by its place in the list. The order of votes of different people never matters.
// Nobody counts twice, as a voter or as whoever is voted for: what different people say for one principal, who may be one of them or vote for
// another one, is the voice of one. It denies if any of them does, and else agrees once, by a vote in the voter's own name where there is one.
// It takes denials of so many different people to deny; less than 1 counts as 1. Fewer do not stand in the way of an approval.
//
// Fail closed: a vote that would not be accepted now (no true Meets) never helps a request. It may take back an earlier Approve
// of the same person, never a Deny, which can so stand again. A vote without a Person cannot be told from that of anybody else, so only a Deny of it
// counts, as one of somebody else for each login. Without requirements nothing is ever approved.
func Count(requirements []Requirement, denials int, votes []Vote) Result {
	return CountAmong(requirements, denials, votes, nil)
}

// CountAmong counts as Count does, and knows who else could vote. Where votes can be counted for one requirement or for another, what is
// missing is what somebody is left for: nobody is told to wait for security where all of security has voted.
func CountAmong(requirements []Requirement, denials int, votes []Vote, candidates []Candidate) Result {
	agreed, denied := standing(votes, len(requirements))
	voters := make([][]bool, 0, len(agreed))
	for i := range agreed {
		voters = append(voters, agreed[i].meets(len(requirements)))
	}
	m := newMatching(requirements, voters)
	m.leaveTo(fresh(candidates, agreed, requirements))
	result := Result{State: v1alpha1.ApprovalOpen, Missing: m.missing, By: matches(requirements, m, agreed), Denials: denied}
	switch {
	case len(denied) >= max(denials, 1):
		result.State = v1alpha1.ApprovalDenied
		result.DeniedBy = &denied[0]
	case len(requirements) > 0 && !slices.ContainsFunc(m.missing, isPositive):
		result.State = v1alpha1.ApprovalApproved
	}
	return result
}

// matches lists who meets what. Voters come in order of time.
func matches(requirements []Requirement, m *matching, agreed []voice) []Match {
	var by []Match
	for r := range requirements {
		from := len(by)
		for i := range agreed {
			if m.requirementOf[i] == r {
				by = append(by, Match{Requirement: requirements[r].Name, Vote: agreed[i].of(r)})
			}
		}
		slices.SortFunc(by[from:], func(a, b Match) int { return earlier(a.Vote, b.Vote) })
	}
	return by
}

func isPositive(n int) bool {
	return n > 0
}

// Candidate is somebody who could vote.
type Candidate struct {
	// Person is who could vote, whichever login is used.
	Person string
	// Meets tells per requirement whether this candidate would be accepted for it.
	Meets []bool
	// Unlimited stands for a group whose members nobody can list: any number of people.
	Unlimited bool
}

// Able tells how many different people there are among candidates who could vote at all, and whether that is all of them: the members of a group
// cannot be listed.
func Able(requirements []Requirement, candidates []Candidate) (people int, all bool) {
	persons, unlimited := listed(candidates, len(requirements))
	for _, meets := range persons {
		if slices.Contains(meets, true) {
			people++
		}
	}
	return people, !slices.Contains(unlimited, true)
}

// Reachable tells per requirement how many can never agree, even if every candidate did. All zero: the stage can be approved.
func Reachable(requirements []Requirement, candidates []Candidate) []int {
	persons, unlimited := listed(candidates, len(requirements))
	for _, meets := range persons {
		without(meets, unlimited) // nobody is wasted on what a group meets anyway
	}
	m := newMatching(requirements, persons)
	for i := range m.missing {
		if unlimited[i] {
			m.missing[i] = 0
		}
	}
	return m.missing
}
