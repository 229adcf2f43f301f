// Package quorum turns the votes of one stage into its result. It is a pure function of requirements and votes, and the order
// in which different people voted never changes it.
package quorum

import (
	"slices"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Requirement is one demand of a stage: so many different people.
type Requirement struct {
	Name  string
	Count int
}

// Vote is one vote. Votes are given in the order in which they were cast.
type Vote struct {
	// Person is who stands behind the login. One person counts once.
	Person string
	// Username is the login.
	Username string
	Decision v1alpha1.Decision
	At       time.Time
	Comment  string
	// Meets tells, for each requirement, whether the voter would be accepted for it now. None: the vote does not count.
	Meets []bool
}

// Match says which vote meets a requirement.
type Match struct {
	Requirement string
	Vote
}

// Result is the result of a stage.
type Result struct {
	// State is Open, Approved or Denied.
	State v1alpha1.ApprovalState
	// Missing is how many people each requirement still needs.
	Missing []int
	// By are the votes that meet requirements, by requirement and then in the order in which they were cast.
	By []Match
	// DeniedBy is the first standing denial; nil where there is none.
	DeniedBy *Vote
}

// Count counts. The last vote of a person stands; a withdrawal takes it back. A standing denial by somebody who may vote
// denies. Otherwise as many requirements as possible are met, each person for one of them, so that somebody who could meet
// two never blocks either. Without requirements nothing is ever approved.
func Count(requirements []Requirement, votes []Vote) Result {
	standing := standing(votes)
	result := Result{State: v1alpha1.ApprovalOpen, Missing: make([]int, len(requirements))}
	for i := range standing {
		if standing[i].Decision == v1alpha1.DecisionDeny {
			denial := standing[i]
			result.State, result.DeniedBy = v1alpha1.ApprovalDenied, &denial
			break
		}
	}
	approvals := slices.DeleteFunc(standing, func(v Vote) bool { return v.Decision != v1alpha1.DecisionApprove })
	slices.SortStableFunc(approvals, func(a, b Vote) int { return a.At.Compare(b.At) })
	met := match(requirements, len(approvals), func(person, requirement int) bool { return approvals[person].Meets[requirement] })
	missing := 0
	for i := range requirements {
		result.Missing[i] = max(requirements[i].Count, 1) - len(met[i])
		missing += result.Missing[i]
		for _, person := range met[i] {
			result.By = append(result.By, Match{Requirement: requirements[i].Name, Vote: approvals[person]})
		}
	}
	if result.State == v1alpha1.ApprovalOpen && missing == 0 && len(requirements) > 0 {
		result.State = v1alpha1.ApprovalApproved
	}
	return result
}

// standing gives the votes that stand: the last of each person, without withdrawals and without those that do not count.
func standing(votes []Vote) []Vote {
	last := map[string]int{}
	for i := range votes {
		last[votes[i].Person] = i
	}
	var out []Vote
	for i := range votes {
		counts := slices.Contains(votes[i].Meets, true)
		if last[votes[i].Person] == i && counts && votes[i].Decision != v1alpha1.DecisionWithdraw {
			out = append(out, votes[i])
		}
	}
	return out
}

// Candidate is somebody who could vote.
type Candidate struct {
	Person string
	// Meets tells, for each requirement, whether the candidate could meet it.
	Meets []bool
	// Unlimited stands for any number of people whom nobody can list, such as the members of a group.
	Unlimited bool
}

// Reachable says for each requirement how many people too few exist for all requirements to be met at once.
func Reachable(requirements []Requirement, candidates []Candidate) []int {
	open := make([]bool, len(requirements))
	var people []Candidate
	for _, candidate := range candidates {
		if !candidate.Unlimited {
			people = append(people, candidate)
			continue
		}
		for i, meets := range candidate.Meets {
			open[i] = open[i] || meets
		}
	}
	slices.SortFunc(people, func(a, b Candidate) int {
		if a.Person < b.Person {
			return -1
		}
		return 1
	})
	// A requirement that a group can meet takes nobody from the others.
	met := match(requirements, len(people), func(person, requirement int) bool { return !open[requirement] && people[person].Meets[requirement] })
	lacking := make([]int, len(requirements))
	for i := range requirements {
		if !open[i] {
			lacking[i] = max(requirements[i].Count, 1) - len(met[i])
		}
	}
	return lacking
}

// match gives each person to at most one requirement, so that as many places as possible are filled. It is the augmenting
// path algorithm for maximum bipartite matching, with as many places for a requirement as it counts.
func match(requirements []Requirement, people int, meets func(person, requirement int) bool) [][]int {
	met := make([][]int, len(requirements))
	for person := range people {
		place(person, requirements, met, meets, make([]bool, len(requirements)))
	}
	for i := range met {
		slices.Sort(met[i])
	}
	return met
}

// place finds a requirement for a person, moving others to another one where needed.
func place(person int, requirements []Requirement, met [][]int, meets func(person, requirement int) bool, tried []bool) bool {
	for i := range requirements {
		if tried[i] || !meets(person, i) {
			continue
		}
		tried[i] = true
		if len(met[i]) < max(requirements[i].Count, 1) {
			met[i] = append(met[i], person)
			return true
		}
		for at, other := range met[i] {
			if place(other, requirements, met, meets, tried) {
				met[i][at] = person
				return true
			}
		}
	}
	return false
}
