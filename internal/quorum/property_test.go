package quorum

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// most tries every way to give each voter a requirement or none, and gives how many places can be filled at most.
func most(free []int, voters [][]bool) int {
	if len(voters) == 0 {
		return 0
	}
	best := most(free, voters[1:])
	for r, meets := range voters[0] {
		if meets && free[r] > 0 {
			free[r]--
			best = max(best, 1+most(free, voters[1:]))
			free[r]++
		}
	}
	return best
}

// missingByForce fills the earlier requirements as far as can be, and gives what is then missing.
func missingByForce(requirements []Requirement, voters [][]bool) []int {
	missing := make([]int, len(requirements))
	filled := make([]int, len(requirements))
	for r := range requirements {
		before := most(slices.Clone(filled), voters)
		filled[r] = requirements[r].Count
		more := most(slices.Clone(filled), voters) - before
		missing[r] = requirements[r].Count - more
		filled[r] = more
	}
	return missing
}

func randomRequirements(random *rand.Rand) []Requirement {
	counts := make([]int, 1+random.IntN(4))
	for i := range counts {
		counts[i] = 1 + random.IntN(2)
	}
	return needs(counts...)
}

func randomMeets(random *rand.Rand, n int) []bool {
	meets := make([]bool, n)
	for i := range meets {
		meets[i] = random.IntN(3) == 0
	}
	return meets
}

func randomVotes(random *rand.Rand, requirements int) []Vote {
	var votes []Vote
	for range random.IntN(9) {
		// Few instants, so that ties are common; few denials, so that most results hang on the matching.
		v := vote(fmt.Sprintf("p%d", random.IntN(7)), approve, random.IntN(3), "")
		v.Username = fmt.Sprintf("u%d", random.IntN(3))
		if n := random.IntN(20); n < 3 {
			v.Decision = []v1alpha1.Decision{deny, withdraw, withdraw}[n]
		}
		if random.IntN(4) == 0 {
			v.Principal = fmt.Sprintf("p%d", random.IntN(7))
		}
		if random.IntN(8) == 0 {
			v.Aliases = []string{fmt.Sprintf("p%d", random.IntN(9))}
		}
		if random.IntN(8) == 0 {
			v.PrincipalAliases = []string{fmt.Sprintf("p%d", random.IntN(9))}
		}
		v.Meets = randomMeets(random, requirements)
		votes = append(votes, v)
	}
	return votes
}

// TestMatchingIsMaximum holds Missing and By against trying everything.
func TestMatchingIsMaximum(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		requirements := randomRequirements(random)
		votes := randomVotes(random, len(requirements))
		voters := voicesByForce(votes, len(requirements))
		got := Count(requirements, 1, votes)
		if diff := cmp.Diff(missingByForce(requirements, voters), got.Missing); diff != "" {
			t.Fatalf("missing of %v with %v (-want +got):\n%s", requirements, votes, diff)
		}
		checkMatches(t, requirements, got)
	}
}

// standingByForce replays the votes of one person after the other, and gives of each the last that stands and says yes or no.
func standingByForce(votes []Vote, requirements int) []Vote {
	var standing []Vote
	for i, somebody := range votes {
		if somebody.Person == "" || slices.ContainsFunc(votes[:i], func(v Vote) bool { return v.Person == somebody.Person }) {
			continue
		}
		var stands Vote
		for _, v := range votes {
			accepted := slices.Contains(v.Meets[:min(len(v.Meets), requirements)], true)
			switch {
			case v.Person != somebody.Person:
			case accepted:
				stands = v
			case stands.Decision == approve && (v.Decision != approve || v.principal() != stands.principal()):
				stands = Vote{}
			}
		}
		for _, v := range votes {
			own := append([]string{v.Person}, v.Aliases...)
			shared := func(name string) bool { return name != "" && slices.Contains(own, name) }
			one := slices.ContainsFunc(append([]string{stands.Person}, stands.Aliases...), shared)
			back := v.Decision == withdraw || v.Decision == deny && !slices.Contains(v.Meets[:min(len(v.Meets), requirements)], true)
			if stands.Decision == approve && one && back && v.Person != stands.Person && !stands.At.After(v.At) {
				stands = Vote{}
			}
		}
		if stands.Decision == approve || stands.Decision == deny {
			standing = append(standing, stands)
		}
	}
	return standing
}

// groupsByForce numbers votes, gives each the least number of those with which it shares a name until none changes, and puts equal numbers together.
func groupsByForce(votes []Vote) [][]Vote {
	number := make([]int, len(votes))
	for i := range number {
		number[i] = i
	}
	for range votes {
		for i := range votes {
			for j := range votes {
				if slices.ContainsFunc(votes[i].names(), func(name string) bool { return slices.Contains(votes[j].names(), name) }) {
					number[i] = min(number[i], number[j])
				}
			}
		}
	}
	var groups [][]Vote
	for n := range votes {
		var group []Vote
		for i := range votes {
			if number[i] == n {
				group = append(group, votes[i])
			}
		}
		if group != nil {
			groups = append(groups, group)
		}
	}
	return groups
}

func denies(v Vote) bool { return v.Decision == deny }

// voicesByForce gives to what each voice agrees in which nobody denies.
func voicesByForce(votes []Vote, requirements int) [][]bool {
	var voices [][]bool
	for _, group := range groupsByForce(standingByForce(votes, requirements)) {
		if slices.ContainsFunc(group, denies) {
			continue
		}
		agreed := make([]bool, requirements)
		for _, v := range group {
			for r, meets := range v.Meets {
				agreed[r] = agreed[r] || meets
			}
		}
		voices = append(voices, agreed)
	}
	return voices
}

// checkMatches shows that By proves Missing: nobody counts twice, as a voter or as whoever is voted for, nor where they deny, and all for something
// that they meet, as often as is not missing.
func checkMatches(t *testing.T, requirements []Requirement, got Result) {
	t.Helper()
	var counted []string
	for _, v := range got.Denials {
		counted = append(counted, v.names()...)
	}
	missing := make([]int, len(requirements))
	for i, r := range requirements {
		missing[i] = r.Count
	}
	for _, m := range got.By {
		r := slices.IndexFunc(requirements, func(r Requirement) bool { return r.Name == m.Requirement })
		again := slices.ContainsFunc(m.names(), func(name string) bool { return slices.Contains(counted, name) })
		if again || !m.Meets[r] || m.Decision != approve {
			t.Fatalf("%+v cannot count in %+v", m, got.By)
		}
		counted = append(counted, m.names()...)
		missing[r]--
	}
	if diff := cmp.Diff(missing, got.Missing); diff != "" {
		t.Fatalf("By does not prove Missing (-by +missing):\n%s", diff)
	}
	complete := !slices.ContainsFunc(missing, func(n int) bool { return n != 0 })
	if want := complete && got.DeniedBy == nil; (got.State == v1alpha1.ApprovalApproved) != want {
		t.Fatalf("state %s with %v missing", got.State, missing)
	}
}

// TestOrderOfPeopleDoesNotMatter mixes votes of different people and keeps the order of those of one person.
func TestOrderOfPeopleDoesNotMatter(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		requirements := randomRequirements(random)
		votes := randomVotes(random, len(requirements))
		denials := random.IntN(4)
		want := Count(requirements, denials, votes)
		mixed := mix(random, votes)
		if diff := cmp.Diff(want, Count(requirements, denials, mixed)); diff != "" {
			t.Fatalf("%v and %v differ (-first +second):\n%s", votes, mixed, diff)
		}
	}
}

// mix draws people at random and takes the next vote of each.
func mix(random *rand.Rand, votes []Vote) []Vote {
	byPerson := map[string][]Vote{}
	people := make([]string, 0, len(votes))
	for _, v := range votes {
		byPerson[v.Person] = append(byPerson[v.Person], v)
		people = append(people, v.Person)
	}
	random.Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
	mixed := make([]Vote, 0, len(votes))
	for _, p := range people {
		mixed = append(mixed, byPerson[p][0])
		byPerson[p] = byPerson[p][1:]
	}
	return mixed
}

// deniersByForce gives how many voices deny in the end, and logins of nobody known.
func deniersByForce(votes []Vote, requirements int) int {
	deniers := 0
	for _, group := range groupsByForce(standingByForce(votes, requirements)) {
		if slices.ContainsFunc(group, denies) {
			deniers++
		}
	}
	var logins []string
	for _, v := range votes {
		accepted := slices.Contains(v.Meets[:min(len(v.Meets), requirements)], true)
		if v.Person == "" && denies(v) && accepted && !slices.Contains(logins, v.Username) {
			logins = append(logins, v.Username)
		}
	}
	return deniers + len(logins)
}

// TestDenialsAreCountedByPerson holds State and Denials against replaying everything, for every threshold.
func TestDenialsAreCountedByPerson(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	seen := map[v1alpha1.ApprovalState]int{}
	for range 3000 {
		requirements := randomRequirements(random)
		votes := randomVotes(random, len(requirements))
		for i := range votes {
			if random.IntN(2) == 0 {
				votes[i].Decision = deny
			}
			if random.IntN(8) == 0 {
				votes[i].Person = ""
			}
		}
		deniers, denials := deniersByForce(votes, len(requirements)), random.IntN(4)
		got := Count(requirements, denials, votes)
		if len(got.Denials) != deniers {
			t.Fatalf("%v: %d deny, got %v", votes, deniers, got.Denials)
		}
		want := v1alpha1.ApprovalOpen
		switch {
		case deniers >= max(denials, 1):
			want = v1alpha1.ApprovalDenied
		case !slices.ContainsFunc(got.Missing, isPositive):
			want = v1alpha1.ApprovalApproved
		}
		if got.State != want || (got.DeniedBy != nil) != (want == v1alpha1.ApprovalDenied) {
			t.Fatalf("%v: %v of %d denials and %v missing gave %s", votes, deniers, denials, got.Missing, got.State)
		}
		seen[want]++
	}
	if len(seen) != 3 {
		t.Errorf("not every state was seen: %v", seen)
	}
}

// TestOneMoreVote shows which way one more vote can move a result: no vote that would not be accepted helps, but where it takes back what tied two
// voices together; an approval by somebody new never harms.
func TestOneMoreVote(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		requirements := randomRequirements(random)
		votes := randomVotes(random, len(requirements))
		denials := random.IntN(4)
		before := Count(requirements, denials, votes)
		powerless := vote(fmt.Sprintf("p%d", random.IntN(7)), []v1alpha1.Decision{approve, deny, withdraw}[random.IntN(3)], 9, "")
		ties := slices.ContainsFunc(standingByForce(votes, len(requirements)), func(v Vote) bool {
			return v.Person == powerless.Person && slices.ContainsFunc(v.names(), func(name string) bool { return name != v.Person })
		})
		if after := Count(requirements, denials, append(slices.Clone(votes), powerless)); !ties && rank(after) > rank(before) {
			t.Fatalf("%v lifted %s to %s: %v", powerless, before.State, after.State, votes)
		}
		somebody := vote("new", approve, 9, "")
		somebody.Meets = randomMeets(random, len(requirements))
		if after := Count(requirements, denials, append(slices.Clone(votes), somebody)); rank(after) < rank(before) {
			t.Fatalf("%v lowered %s to %s: %v", somebody, before.State, after.State, votes)
		}
	}
}

// rank orders results: a denial, then by how much is missing in all.
func rank(r Result) int {
	if r.State == v1alpha1.ApprovalDenied {
		return -1000
	}
	total := 0
	for _, n := range r.Missing {
		total -= n
	}
	return total
}

// TestReachableIsWhatEverybodyCouldDo compares Reachable with the result after every candidate has approved.
func TestReachableIsWhatEverybodyCouldDo(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		requirements := randomRequirements(random)
		var candidates []Candidate
		var votes []Vote
		for p := range random.IntN(8) {
			c := Candidate{Person: fmt.Sprint(p), Meets: randomMeets(random, len(requirements)), Unlimited: random.IntN(6) == 0}
			candidates = append(candidates, c)
			for n := range 8 {
				v := Vote{Person: c.Person, Decision: approve, Meets: c.Meets}
				if c.Unlimited {
					v.Person = fmt.Sprint(p, "-", n)
				}
				votes = append(votes, v)
			}
		}
		want := Count(requirements, 1, votes).Missing
		got := Reachable(requirements, candidates)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%v with %v (-votes +reachable):\n%s", requirements, candidates, diff)
		}
	}
}

// TestWhatIsMissingCanBeSupplied: where all who have not voted could complete the stage together with the votes, what is said to be missing can
// be supplied by them alone. It never demands more than Count does, and who counted goes on to count.
func TestWhatIsMissingCanBeSupplied(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	for range 3000 {
		requirements := randomRequirements(random)
		votes := randomVotes(random, len(requirements))
		var candidates []Candidate
		for p := range random.IntN(9) {
			candidates = append(candidates, Candidate{Person: fmt.Sprintf("p%d", p), Meets: randomMeets(random, len(requirements)), Unlimited: random.IntN(8) == 0})
		}
		before, got := Count(requirements, 1, votes), CountAmong(requirements, 1, votes, candidates)
		if rank(before) != rank(got) || before.State != got.State {
			t.Fatalf("%v: %s with %v missing became %s with %v", votes, before.State, before.Missing, got.State, got.Missing)
		}
		checkMatches(t, requirements, got)
		agreed, _ := standing(votes, len(requirements))
		others := fresh(candidates, agreed, requirements)
		everybody := slices.Clone(others)
		for i := range agreed {
			everybody = append(everybody, agreed[i].meets(len(requirements)))
		}
		complete := !slices.ContainsFunc(newMatching(requirements, everybody).missing, isPositive)
		if complete && most(slices.Clone(got.Missing), others) != -rank(Result{Missing: got.Missing}) {
			t.Fatalf("%v of %v are missing after %v, and %v could not supply them", got.Missing, requirements, votes, candidates)
		}
		random.Shuffle(len(candidates), func(i, j int) { candidates[i], candidates[j] = candidates[j], candidates[i] })
		if diff := cmp.Diff(got, CountAmong(requirements, 1, votes, candidates)); diff != "" {
			t.Fatalf("the order of candidates matters:\n%s", diff)
		}
	}
}
