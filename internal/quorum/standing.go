package quorum

import (
	"cmp"
	"maps"
	"slices"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// voice is what was said by or in the name of people of whom nobody counts twice: a person, whoever votes for them, and whoever that person votes
// for. It agrees once, for one requirement.
type voice struct {
	// people are all whom it names. Nobody is in two voices.
	people map[string]bool
	// approvals are the votes that agree, those in the voter's own name first, then in order of time.
	approvals []Vote
	// denial is the earliest vote that denies. Nil: none does.
	denial *Vote
}

// principal is the person in whose name a vote is.
func (v *Vote) principal() string { return cmp.Or(v.Principal, v.Person) }

// names are all by which the people of a vote are known.
func (v *Vote) names() []string {
	return slices.Concat([]string{v.Person, v.principal()}, v.Aliases, v.PrincipalAliases)
}

// byOne tells whether two votes are of one voter, by any name.
func byOne(a, b *Vote) bool {
	return slices.ContainsFunc(append([]string{a.Person}, a.Aliases...), func(name string) bool {
		return name != "" && (name == b.Person || slices.Contains(b.Aliases, name))
	})
}

// voiceOf is the voice of one vote that agrees or denies.
func voiceOf(v Vote) *voice {
	one := &voice{people: map[string]bool{}}
	for _, name := range v.names() {
		one.people[name] = true
	}
	if v.Decision == v1alpha1.DecisionDeny {
		one.denial = &v
	} else {
		one.approvals = []Vote{v}
	}
	return one
}

// join takes in another voice, if the two name somebody in common, and tells whether they did.
func (o *voice) join(other *voice) bool {
	shared := false
	for name := range other.people {
		shared = shared || o.people[name]
	}
	if !shared {
		return false
	}
	maps.Copy(o.people, other.people)
	o.approvals = append(o.approvals, other.approvals...)
	if o.denial == nil || other.denial != nil && earlier(*other.denial, *o.denial) < 0 {
		o.denial = other.denial
	}
	return true
}

// voices puts together what names somebody in common. It does not matter in which order.
func voices(latest map[string]Vote) []*voice {
	var all []*voice
	for _, v := range latest {
		if v.Decision == v1alpha1.DecisionWithdraw {
			continue
		}
		one := voiceOf(v)
		all = append(slices.DeleteFunc(all, one.join), one)
	}
	return all
}

// meets tells per requirement whether one of the votes would be accepted for it.
func (o *voice) meets(requirements int) []bool {
	all := make([]bool, requirements)
	for i := range o.approvals {
		merge(all, o.approvals[i].Meets)
	}
	return all
}

// of gives the vote that stands for a requirement.
func (o *voice) of(requirement int) Vote {
	return o.approvals[slices.IndexFunc(o.approvals, func(v Vote) bool { return requirement < len(v.Meets) && v.Meets[requirement] })]
}

// standing gives the voices that agree, and the denials that count, each in order of time. No person is in two of them.
func standing(votes []Vote, requirements int) (agreed []voice, denials []Vote) {
	latest, nameless := latestVotes(votes, requirements)
	latest = attributed(latest)
	denials = slices.Collect(maps.Values(nameless))
	for _, one := range voices(latest) {
		if one.denial != nil {
			denials = append(denials, *one.denial)
			continue
		}
		slices.SortFunc(one.approvals, ownFirst)
		agreed = append(agreed, *one)
	}
	slices.SortFunc(agreed, func(a, b voice) int { return earlier(a.approvals[0], b.approvals[0]) })
	slices.SortFunc(denials, earlier)
	return agreed, denials
}

// attributed gives each vote that others could have given a name of who may have: of the first of them who says the same, because any one of them is
// enough, and nobody else shall count for less. Of those of whom others could have given the vote, too, each is one: they may all be one person's.
func attributed(latest map[string]Vote) map[string]Vote {
	out := make(map[string]Vote, len(latest))
	for person, v := range latest {
		var first *Vote
		aliases := slices.Clone(v.Aliases)
		for _, name := range v.Behind {
			other, ok := latest[name]
			switch {
			case !ok || other.Decision != v.Decision:
			case len(other.Behind) > 0:
				aliases = append(aliases, name)
			case first == nil || earlier(other, *first) < 0:
				first = &other
			}
		}
		if first != nil {
			aliases = append(aliases, first.Person)
		}
		v.Aliases = aliases
		out[person] = v
	}
	return out
}

func ownFirst(a, b Vote) int {
	if own := a.Principal == ""; own != (b.Principal == "") {
		if own {
			return -1
		}
		return 1
	}
	return earlier(a, b)
}

// latestVotes gives the vote of each person that stands, and the earliest denial of each login of which the person is not known: these may
// be one person, but a denial that is counted too often only makes a request end, and one too few would let it run.
func latestVotes(votes []Vote, requirements int) (latest, nameless map[string]Vote) {
	latest, nameless = map[string]Vote{}, map[string]Vote{}
	for _, v := range votes {
		meets := accepted(v, requirements)
		switch {
		case v.Person == "":
			if meets && v.Decision == v1alpha1.DecisionDeny {
				if known, ok := nameless[v.Username]; !ok || earlier(v, known) < 0 {
					nameless[v.Username] = v
				}
			}
		case meets:
			latest[v.Person] = v
		case takesBack(&v, latest):
			delete(latest, v.Person)
		}
	}
	maps.DeleteFunc(latest, func(_ string, stands Vote) bool {
		return stands.Decision == v1alpha1.DecisionApprove && slices.ContainsFunc(votes, func(v Vote) bool { return takenBackBy(&stands, &v, requirements) })
	})
	return latest, nameless
}

// takenBackBy tells whether a vote takes back, under another name of the same person, what one agreed to before or at the same time.
func takenBackBy(stands, v *Vote, requirements int) bool {
	takes := v.Decision == v1alpha1.DecisionWithdraw || v.Decision == v1alpha1.DecisionDeny && !accepted(*v, requirements)
	return takes && v.Person != stands.Person && !v.At.Before(stands.At) && byOne(v, stands)
}

// takesBack tells whether a vote that would not be accepted now leaves nothing of what its person agreed to before: it said something else, or the
// same in another name.
func takesBack(v *Vote, latest map[string]Vote) bool {
	before := latest[v.Person]
	return before.Decision == v1alpha1.DecisionApprove && (v.Decision != v1alpha1.DecisionApprove || v.principal() != before.principal())
}

// Decisions are those that are known. Any other could not help a request.
var Decisions = []v1alpha1.Decision{v1alpha1.DecisionApprove, v1alpha1.DecisionDeny, v1alpha1.DecisionWithdraw}

// accepted tells whether a vote would be accepted now, for any of the requirements.
func accepted(v Vote, requirements int) bool {
	return slices.Contains(Decisions, v.Decision) &&
		slices.Contains(v.Meets[:min(len(v.Meets), requirements)], true)
}

// earlier orders votes by time. What is written at one time is ordered by what it says, so that the order is always the same.
func earlier(a, b Vote) int {
	return cmp.Or(
		a.At.Compare(b.At),
		cmp.Compare(a.Person, b.Person),
		cmp.Compare(a.Username, b.Username),
		cmp.Compare(a.Comment, b.Comment),
	)
}

// listed merges the candidates who are one person, and tells per requirement whether an unlimited group meets it. A person
// may meet one requirement under one login and another under another.
func listed(candidates []Candidate, requirements int) (persons [][]bool, unlimited []bool) {
	byName := map[string][]bool{}
	unlimited = make([]bool, requirements)
	for _, c := range candidates {
		switch {
		case c.Unlimited:
			merge(unlimited, c.Meets)
		case c.Person != "":
			if byName[c.Person] == nil {
				byName[c.Person] = make([]bool, requirements)
			}
			merge(byName[c.Person], c.Meets)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		persons = append(persons, byName[name])
	}
	return persons, unlimited
}

// fresh are the candidates who have not agreed, given by what they meet, always in the same order. Of a group whose members nobody can list
// there are as many as can be needed.
func fresh(candidates []Candidate, agreed []voice, requirements []Requirement) [][]bool {
	taken := map[string]bool{}
	for i := range agreed {
		maps.Copy(taken, agreed[i].people)
	}
	left := slices.DeleteFunc(slices.Clone(candidates), func(c Candidate) bool { return taken[c.Person] })
	persons, unlimited := listed(left, len(requirements))
	for r := range requirements {
		for n := 0; unlimited[r] && n < max(requirements[r].Count, 1); n++ {
			meets := make([]bool, len(requirements))
			meets[r] = true
			persons = append(persons, meets)
		}
	}
	return persons
}

func merge(into, from []bool) {
	for i := range min(len(into), len(from)) {
		into[i] = into[i] || from[i]
	}
}

func without(from, taken []bool) {
	for i := range from {
		from[i] = from[i] && !taken[i]
	}
}
