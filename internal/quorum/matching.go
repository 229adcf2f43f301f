package quorum

import "slices"

// nobody stands for no requirement.
const nobody = -1

// matching gives each voter at most one requirement, so that together they meet as much as possible (Kuhn's algorithm: a voter
// who is taken is asked to move to another requirement). Requirements are filled one after the other, and what was filled once
// stays filled. So what is missing depends only on who meets what, not on the order of voters: the earlier requirements are
// as full as they can be, and the total is the least possible. leaveTo may then move voters, which keeps the total.
type matching struct {
	meets [][]bool
	// requirementOf is per voter the requirement that the voter meets.
	requirementOf []int
	missing       []int
}

// newMatching matches voters, who are given by what they meet.
func newMatching(requirements []Requirement, voters [][]bool) *matching {
	m := &matching{meets: voters, requirementOf: make([]int, len(voters)), missing: make([]int, len(requirements))}
	for v := range m.requirementOf {
		m.requirementOf[v] = nobody
	}
	for r, requirement := range requirements {
		m.missing[r] = max(requirement.Count, 1)
		for m.missing[r] > 0 && m.fill(r, make([]bool, len(voters))) {
			m.missing[r]--
		}
	}
	return m
}

// fill finds one more voter for a requirement. It asks nobody twice.
func (m *matching) fill(requirement int, asked []bool) bool {
	for v, meets := range m.meets {
		if asked[v] || requirement >= len(meets) || !meets[requirement] {
			continue
		}
		asked[v] = true
		if m.requirementOf[v] == nobody || m.fill(m.requirementOf[v], asked) {
			m.requirementOf[v] = requirement
			return true
		}
	}
	return false
}

// leaveTo moves voters so that what is missing can be met by others, as far as that is possible. Whoever counts goes on to count.
func (m *matching) leaveTo(others [][]bool) {
	// The others come first, so that nobody moves who need not.
	all := &matching{meets: slices.Concat(others, m.meets)}
	for range others {
		all.requirementOf = append(all.requirementOf, nobody)
	}
	all.requirementOf = append(all.requirementOf, m.requirementOf...)
	for r, missing := range m.missing {
		for range missing {
			if !all.fill(r, make([]bool, len(all.meets))) {
				break
			}
		}
	}
	for v, is := range all.requirementOf[len(others):] {
		if was := m.requirementOf[v]; was != is {
			m.missing[was]++
			m.missing[is]--
			m.requirementOf[v] = is
		}
	}
}
