package quorum

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const (
	approve  = v1alpha1.DecisionApprove
	deny     = v1alpha1.DecisionDeny
	withdraw = v1alpha1.DecisionWithdraw
)

var epoch = time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)

// vote makes a vote at a minute. Each character of meets is a requirement: "x" is met, "-" is not.
func vote(person string, decision v1alpha1.Decision, minute int, meets string) Vote {
	v := Vote{Person: person, Username: person, Decision: decision, At: epoch.Add(time.Duration(minute) * time.Minute)}
	v.Meets = boolsOf(meets)
	return v
}

func boolsOf(text string) []bool {
	var bools []bool
	for _, c := range text {
		bools = append(bools, c == 'x')
	}
	return bools
}

func needs(counts ...int) []Requirement {
	requirements := make([]Requirement, 0, len(counts))
	for i, n := range counts {
		requirements = append(requirements, Requirement{Name: string(rune('a' + i)), Count: n})
	}
	return requirements
}

// outcome is a Result in short: who meets what, by name.
type outcome struct {
	State    v1alpha1.ApprovalState
	Missing  []int
	By       []string
	DeniedBy string
}

func outcomeOf(r Result) outcome {
	o := outcome{State: r.State, Missing: r.Missing}
	for _, m := range r.By {
		o.By = append(o.By, m.Requirement+"="+m.Person)
	}
	if r.DeniedBy != nil {
		o.DeniedBy = r.DeniedBy.Person
	}
	return o
}

func TestCount(t *testing.T) {
	const stateOpen, approved, denied = v1alpha1.ApprovalOpen, v1alpha1.ApprovalApproved, v1alpha1.ApprovalDenied
	cases := map[string]struct {
		reason       string
		requirements []Requirement
		denials      int
		votes        []Vote
		want         outcome
	}{
		"OneDenialOfTwo": {
			reason: "one of two who must deny does not", requirements: needs(1), denials: 2,
			votes: []Vote{vote("bob", deny, 1, "x")},
			want:  outcome{State: stateOpen, Missing: []int{1}},
		},
		"TwoDenialsOfTwo": {
			reason: "the earlier of two is named", requirements: needs(1), denials: 2,
			votes: []Vote{vote("carol", deny, 2, "x"), vote("bob", deny, 1, "x")},
			want:  outcome{State: denied, Missing: []int{1}, DeniedBy: "bob"},
		},
		"OneDenierTwice": {
			reason: "one person denies once, however often", requirements: needs(1), denials: 2,
			votes: []Vote{vote("bob", deny, 1, "x"), {Person: "bob", Username: "bob-admin", Decision: deny, At: epoch, Meets: []bool{true}}},
			want:  outcome{State: stateOpen, Missing: []int{1}},
		},
		"DenialTakenBack": {
			reason: "who changed their mind no longer denies", requirements: needs(1), denials: 2,
			votes: []Vote{vote("bob", deny, 1, "x"), vote("carol", deny, 2, "x"), vote("bob", withdraw, 3, "x")},
			want:  outcome{State: stateOpen, Missing: []int{1}},
		},
		"ApprovedAgainstOneDenial": {
			reason: "too few denials do not stop an approval", requirements: needs(1), denials: 2,
			votes: []Vote{vote("bob", deny, 1, "x"), vote("carol", approve, 2, "x")},
			want:  outcome{State: approved, Missing: []int{0}, By: []string{"a=carol"}},
		},
		"EnoughDenialsWin": {
			reason: "a denial wins over an approval", requirements: needs(1), denials: 2,
			votes: []Vote{vote("bob", deny, 1, "x"), vote("carol", approve, 2, "x"), vote("dave", deny, 3, "x")},
			want:  outcome{State: denied, Missing: []int{0}, By: []string{"a=carol"}, DeniedBy: "bob"},
		},
		"DeniedByLogins": {
			reason: "where persons are not known, each login denies: too many denials only end a request", requirements: needs(1), denials: 2,
			votes: []Vote{{Username: "x", Decision: deny, At: epoch, Meets: []bool{true}}, {Username: "y", Decision: deny, At: epoch, Meets: []bool{true}}},
			want:  outcome{State: denied, Missing: []int{1}},
		},
		"NoVotes": {
			reason: "everything is missing", requirements: needs(1, 2),
			want: outcome{State: stateOpen, Missing: []int{1, 2}},
		},
		"NoRequirements": {
			reason: "nothing demanded is not everything met", requirements: nil,
			votes: []Vote{vote("bob", approve, 1, "")},
			want:  outcome{State: stateOpen, Missing: []int{}},
		},
		"CountBelowOne": {
			reason: "nobody is not enough, even where zero or less are demanded", requirements: needs(0, -1),
			want: outcome{State: stateOpen, Missing: []int{1, 1}},
		},
		"OneOfOne": {
			reason: "one vote is enough", requirements: needs(1), votes: []Vote{vote("bob", approve, 1, "x")},
			want: outcome{State: approved, Missing: []int{0}, By: []string{"a=bob"}},
		},
		"NotEnough": {
			reason: "one of two is missing", requirements: needs(2), votes: []Vote{vote("bob", approve, 1, "x")},
			want: outcome{State: stateOpen, Missing: []int{1}, By: []string{"a=bob"}},
		},
		"OnePersonTwice": {
			reason: "two logins of one person are one person", requirements: needs(2),
			votes: []Vote{vote("bob", approve, 1, "x"), {Person: "bob", Username: "bob-admin", Decision: approve, At: epoch, Meets: []bool{true}}},
			want:  outcome{State: stateOpen, Missing: []int{1}, By: []string{"a=bob"}},
		},
		"PersonComparedExactly": {
			reason: "the caller normalises", requirements: needs(2),
			votes: []Vote{vote("bob", approve, 1, "x"), vote("Bob", approve, 2, "x")},
			want:  outcome{State: approved, Missing: []int{0}, By: []string{"a=bob", "a=Bob"}},
		},
		"InTwoGroups": {
			reason: "dave meets both and came first, but leaves a to erin, who meets nothing else", requirements: needs(1, 1),
			votes: []Vote{vote("dave", approve, 1, "xx"), vote("erin", approve, 2, "x-")},
			want:  outcome{State: approved, Missing: []int{0, 0}, By: []string{"a=erin", "b=dave"}},
		},
		"OnePersonForOneRequirement": {
			reason: "dave meets both, but counts once", requirements: needs(1, 1),
			votes: []Vote{vote("dave", approve, 1, "xx")},
			want:  outcome{State: stateOpen, Missing: []int{0, 1}, By: []string{"a=dave"}},
		},
		"ChainOfMoves": {
			reason: "three people have to move up for the fourth", requirements: needs(1, 1, 1, 1),
			votes: []Vote{vote("p", approve, 1, "xx--"), vote("q", approve, 2, "-xx-"), vote("r", approve, 3, "--xx"), vote("s", approve, 4, "x---")},
			want:  outcome{State: approved, Missing: []int{0, 0, 0, 0}, By: []string{"a=s", "b=p", "c=q", "d=r"}},
		},
		"MoreThanNeeded": {
			reason: "the earliest are named", requirements: needs(1),
			votes: []Vote{vote("bob", approve, 2, "x"), vote("carol", approve, 1, "x")},
			want:  outcome{State: approved, Missing: []int{0}, By: []string{"a=carol"}},
		},
		"DenialStands": {
			reason: "one denial outweighs any number of approvals", requirements: needs(1),
			votes: []Vote{vote("bob", approve, 1, "x"), vote("carol", deny, 2, "x"), vote("dave", deny, 3, "x")},
			want:  outcome{State: denied, Missing: []int{0}, By: []string{"a=bob"}, DeniedBy: "carol"},
		},
		"DenialOfOneRequirement": {
			reason: "who meets any requirement may deny", requirements: needs(1, 1),
			votes: []Vote{vote("carol", deny, 1, "-x")},
			want:  outcome{State: denied, Missing: []int{1, 1}, DeniedBy: "carol"},
		},
		"DenialByAnOutsider": {
			reason: "who meets nothing denies nothing", requirements: needs(1),
			votes: []Vote{vote("eve", deny, 1, "-"), vote("bob", approve, 2, "x")},
			want:  outcome{State: approved, Missing: []int{0}, By: []string{"a=bob"}},
		},
		"MindChanged": {
			reason: "the place in the list counts, not the time", requirements: needs(1),
			votes: []Vote{vote("bob", deny, 9, "x"), vote("bob", approve, 1, "x")},
			want:  outcome{State: approved, Missing: []int{0}, By: []string{"a=bob"}},
		},
		"Withdrawn": {
			reason: "what was taken back does not count", requirements: needs(1),
			votes: []Vote{vote("bob", approve, 1, "x"), vote("bob", withdraw, 2, "x")},
			want:  outcome{State: stateOpen, Missing: []int{1}},
		},
		"DenialWithdrawn": {
			reason: "a denial can be taken back by who would still be accepted", requirements: needs(1),
			votes: []Vote{vote("carol", deny, 1, "x"), vote("carol", withdraw, 2, "x"), vote("bob", approve, 3, "x")},
			want:  outcome{State: approved, Missing: []int{0}, By: []string{"a=bob"}},
		},
		"ApprovedAgain": {
			reason: "after taking it back one may vote again", requirements: needs(1),
			votes: []Vote{vote("bob", approve, 1, "x"), vote("bob", withdraw, 2, "x"), vote("bob", approve, 3, "x")},
			want:  outcome{State: approved, Missing: []int{0}, By: []string{"a=bob"}},
		},
		"NoLongerAccepted": {
			reason: "who left the group does not count any more", requirements: needs(1),
			votes: []Vote{vote("bob", approve, 1, "-")},
			want:  outcome{State: stateOpen, Missing: []int{1}},
		},
		"OtherLoginTakesBack": {
			reason: "a person's no is heard under any login", requirements: needs(1),
			votes: []Vote{vote("bob", approve, 1, "x"), vote("bob", deny, 2, "-")},
			want:  outcome{State: stateOpen, Missing: []int{1}},
		},
		"OtherLoginApprovesNothing": {
			reason: "an approval that is not accepted replaces nothing", requirements: needs(1),
			votes: []Vote{vote("bob", approve, 1, "x"), vote("bob", approve, 2, "-")},
			want:  outcome{State: approved, Missing: []int{0}, By: []string{"a=bob"}},
		},
		"OtherLoginCannotLiftADenial": {
			reason: "a login that is not accepted makes nothing weaker", requirements: needs(1),
			votes: []Vote{vote("carol", deny, 1, "x"), vote("carol", withdraw, 2, "-"), vote("carol", approve, 3, "-")},
			want:  outcome{State: denied, Missing: []int{1}, DeniedBy: "carol"},
		},
		"NoPerson": {
			reason: "an unknown person approves nothing and lifts nothing", requirements: needs(1),
			votes: []Vote{vote("", approve, 1, "x"), vote("", deny, 2, "x"), vote("", withdraw, 3, "x")},
			want:  outcome{State: denied, Missing: []int{1}},
		},
		"UnknownDecision": {
			reason: "what is not understood never helps", requirements: needs(1),
			votes: []Vote{vote("bob", deny, 1, "x"), vote("bob", "Abstain", 2, "x"), vote("carol", "Yes", 3, "x")},
			want:  outcome{State: denied, Missing: []int{1}, DeniedBy: "bob"},
		},
		"MeetsOfOtherLength": {
			reason: "what is not said is not met, and what does not exist is not asked", requirements: needs(1, 1),
			votes: []Vote{vote("bob", approve, 1, "x"), vote("eve", deny, 2, "--x")},
			want:  outcome{State: stateOpen, Missing: []int{0, 1}, By: []string{"a=bob"}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := outcomeOf(Count(tc.requirements, tc.denials, tc.votes))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestReachable(t *testing.T) {
	person := func(name, meets string) Candidate { return Candidate{Person: name, Meets: boolsOf(meets)} }
	group := func(meets string) Candidate { return Candidate{Meets: boolsOf(meets), Unlimited: true} }
	cases := map[string]struct {
		reason       string
		requirements []Requirement
		candidates   []Candidate
		want         []int
	}{
		"Nobody": {reason: "nobody can agree", requirements: needs(1, 2), want: []int{1, 2}},
		"Enough": {
			reason: "two people for two", requirements: needs(2),
			candidates: []Candidate{person("bob", "x"), person("carol", "x")}, want: []int{0},
		},
		"OnePersonTwoLogins": {
			reason: "two logins are one person", requirements: needs(2),
			candidates: []Candidate{person("bob", "x"), person("bob", "x")}, want: []int{1},
		},
		"EitherLogin": {
			reason: "one login meets a, the other b: one person still meets only one of them", requirements: needs(1, 1),
			candidates: []Candidate{person("bob", "x-"), person("bob", "-x")}, want: []int{0, 1},
		},
		"OtherLoginIsNeeded": {
			reason: "carol takes a, so bob's other login can take b", requirements: needs(1, 1),
			candidates: []Candidate{person("bob", "x-"), person("bob", "-x"), person("carol", "x-")}, want: []int{0, 0},
		},
		"Unlimited": {
			reason: "a group that cannot be listed may have as many as it takes", requirements: needs(5, 1),
			candidates: []Candidate{group("x-")}, want: []int{0, 1},
		},
		"UnlimitedFreesPeople": {
			reason: "bob is not needed for what the group meets", requirements: needs(1, 1),
			candidates: []Candidate{person("bob", "xx"), group("x-")}, want: []int{0, 0},
		},
		"NoPerson": {
			reason: "a candidate without a person could never be counted", requirements: needs(1),
			candidates: []Candidate{person("", "x")}, want: []int{1},
		},
		"MeetsOfOtherLength": {
			reason: "what is not said is not met", requirements: needs(1, 1),
			candidates: []Candidate{person("bob", "x"), person("carol", "--x"), group("")}, want: []int{0, 1},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Reachable(tc.requirements, tc.candidates)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestCountAmong(t *testing.T) {
	dave := []Vote{vote("dave", approve, 1, "xx")}
	candidates := func(who ...string) []Candidate {
		var out []Candidate
		for _, text := range who {
			name, meets, _ := strings.Cut(text, "=")
			out = append(out, Candidate{Person: name, Meets: boolsOf(meets), Unlimited: name == "everybody"})
		}
		return out
	}
	for name, tc := range map[string]struct {
		reason       string
		requirements []Requirement
		votes        []Vote
		candidates   []Candidate
		want         []int
	}{
		"NobodyKnown":   {"Without candidates the earlier requirement is filled first.", needs(1, 1), dave, nil, []int{0, 1}},
		"OnlyMember":    {"Dave is the only one who meets b, so a is missing.", needs(1, 1), dave, candidates("dave=xx", "erin=x-"), []int{1, 0}},
		"OthersForBoth": {"Where others could do either, nothing changes.", needs(1, 1), dave, candidates("erin=x-", "bob=-x"), []int{0, 1}},
		"Group":         {"A group whose members nobody can list has members left.", needs(1, 1), dave, candidates("everybody=x-"), []int{1, 0}},
		"GroupTwice":    {"Also two of them.", needs(2, 1), dave, candidates("everybody=x-"), []int{2, 0}},
		"Unsatisfiable": {"Where nobody is left, the total is still the least.", needs(1, 1), dave, candidates("dave=xx"), []int{0, 1}},
		"ChainOfMoves": {
			"Two people have to move so that erin is asked for what she can do.", needs(1, 1, 1),
			[]Vote{vote("p", approve, 1, "xx-"), vote("q", approve, 2, "-xx")}, candidates("erin=x--"), []int{1, 0, 0},
		},
		"AgreedAlready": {"Who has agreed cannot do it again.", needs(2), []Vote{vote("dave", approve, 1, "x")}, candidates("dave=x"), []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, CountAmong(tc.requirements, 1, tc.votes, tc.candidates).Missing); diff != "" {
				t.Errorf("%s\nMissing: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// forBob makes a vote of somebody one for bob.
func forBob(v Vote) Vote { return forWhom("bob", v) }

// forWhom makes a vote of somebody one for somebody else.
func forWhom(principal string, v Vote) Vote {
	v.Principal = principal
	return v
}

// knownAsRobert gives another name by which whoever votes is known.
func knownAsRobert(v Vote) Vote {
	v.Aliases = append(v.Aliases, "robert")
	return v
}

func TestVotesForOthers(t *testing.T) {
	const stateOpen, approved, denied = v1alpha1.ApprovalOpen, v1alpha1.ApprovalApproved, v1alpha1.ApprovalDenied
	for name, tc := range map[string]struct {
		reason  string
		denials int
		votes   []Vote
		want    outcome
	}{
		"ForSomebody": {
			reason: "whoever votes for somebody counts as one", votes: []Vote{forBob(vote("carol", approve, 1, "x"))},
			want: outcome{State: stateOpen, Missing: []int{1}, By: []string{"a=carol"}},
		},
		"OwnAndForSomebody": {
			reason: "one person has one vote, in whoever's name",
			votes:  []Vote{vote("carol", approve, 1, "x"), forBob(vote("carol", approve, 2, "x"))},
			want:   outcome{State: stateOpen, Missing: []int{1}, By: []string{"a=carol"}},
		},
		"TwoForOne": {
			reason: "two people who vote for one are one voice",
			votes:  []Vote{forBob(vote("carol", approve, 1, "x")), forBob(vote("dave", approve, 2, "x"))},
			want:   outcome{State: stateOpen, Missing: []int{1}, By: []string{"a=carol"}},
		},
		"PrincipalToo": {
			reason: "the principal's own vote is the one that counts",
			votes:  []Vote{forBob(vote("carol", approve, 1, "x")), vote("bob", approve, 2, "x")},
			want:   outcome{State: stateOpen, Missing: []int{1}, By: []string{"a=bob"}},
		},
		"TwoVoices": {
			reason: "two people in two names are two",
			votes:  []Vote{forBob(vote("carol", approve, 1, "x")), vote("dave", approve, 2, "x")},
			want:   outcome{State: approved, Missing: []int{0}, By: []string{"a=carol", "a=dave"}},
		},
		"PrincipalDenies": {
			reason: "who says no is not outvoted by who votes for them", denials: 2,
			votes: []Vote{forBob(vote("carol", approve, 1, "x")), vote("bob", deny, 2, "x"), vote("dave", approve, 3, "x")},
			want:  outcome{State: stateOpen, Missing: []int{1}, By: []string{"a=dave"}},
		},
		"DeniedInOneName": {
			reason: "two denials in one name are one", denials: 2,
			votes: []Vote{forBob(vote("carol", deny, 1, "x")), vote("bob", deny, 2, "x")},
			want:  outcome{State: stateOpen, Missing: []int{2}},
		},
		"DeniedForSomebody": {
			reason: "a denial in somebody's name denies", votes: []Vote{forBob(vote("carol", deny, 1, "x"))},
			want: outcome{State: denied, Missing: []int{2}, DeniedBy: "carol"},
		},
		"TakenBack": {
			reason: "what was said in a name is left when another takes theirs back",
			votes: []Vote{
				forBob(vote("carol", approve, 1, "x")), forBob(vote("dave", approve, 2, "x")), vote("carol", withdraw, 3, ""),
			},
			want: outcome{State: stateOpen, Missing: []int{1}, By: []string{"a=dave"}},
		},
		"NotRevived": {
			reason: "whoever agreed in another name since does not agree in the first any more", votes: []Vote{vote("carol", approve, 1, "x"), forBob(vote("carol", approve, 2, "-"))},
			want: outcome{State: stateOpen, Missing: []int{2}},
		},
		"Chain": {
			reason: "who votes for somebody and is voted for is one of both", votes: []Vote{forBob(vote("carol", approve, 1, "x")), forWhom("dave", vote("bob", approve, 2, "x"))},
			want: outcome{State: stateOpen, Missing: []int{1}, By: []string{"a=carol"}},
		},
		"ChainBackwards": {
			reason: "in whichever order", votes: []Vote{forWhom("dave", vote("bob", approve, 1, "x")), forBob(vote("carol", approve, 2, "x"))},
			want: outcome{State: stateOpen, Missing: []int{1}, By: []string{"a=bob"}},
		},
		"LongChain": {
			reason: "and so is whoever is in the middle", votes: []Vote{
				forWhom("erin", vote("frank", approve, 1, "x")), forBob(vote("carol", approve, 2, "x")), forWhom("erin", vote("bob", approve, 3, "x")),
			},
			want: outcome{State: stateOpen, Missing: []int{1}, By: []string{"a=frank"}},
		},
		"ChainDenied": {
			reason: "a denial by anybody of them is one of all", denials: 2, votes: []Vote{forBob(vote("carol", approve, 1, "x")), forWhom("dave", vote("bob", deny, 2, "x"))},
			want: outcome{State: stateOpen, Missing: []int{2}},
		},
		"ChainTakenBack": {
			reason: "what was taken back ties nobody together", votes: []Vote{
				forBob(vote("carol", approve, 1, "x")), forWhom("dave", vote("bob", approve, 2, "x")), forWhom("dave", vote("bob", withdraw, 3, "x")), vote("dave", approve, 4, "x"),
			},
			want: outcome{State: approved, Missing: []int{0}, By: []string{"a=carol", "a=dave"}},
		},
		"OtherNames": {
			reason: "two logins that were one person once are one", votes: []Vote{knownAsRobert(vote("bob", approve, 1, "x")), knownAsRobert(vote("bobby", approve, 2, "x"))},
			want: outcome{State: stateOpen, Missing: []int{1}, By: []string{"a=bob"}},
		},
		"OtherNameOfOne": {
			reason: "also where the name of one is the other's now", votes: []Vote{vote("robert", approve, 1, "x"), knownAsRobert(vote("bob", approve, 2, "x"))},
			want: outcome{State: stateOpen, Missing: []int{1}, By: []string{"a=robert"}},
		},
		"OtherNameWithdraws": {
			reason: "what one name took back stays taken back, also by a vote that would not be accepted now", votes: []Vote{knownAsRobert(vote("bob", approve, 1, "x")), knownAsRobert(vote("bobby", withdraw, 2, ""))},
			want: outcome{State: stateOpen, Missing: []int{2}},
		},
		"OtherNameWithdrewBefore": {
			reason: "and who agrees after that has agreed", votes: []Vote{knownAsRobert(vote("bobby", withdraw, 1, "x")), knownAsRobert(vote("bob", approve, 2, "x"))},
			want: outcome{State: stateOpen, Missing: []int{1}, By: []string{"a=bob"}},
		},
		"OtherNameDenies": {
			reason: "and no agreement of one replaces what the other denies", votes: []Vote{knownAsRobert(vote("bob", deny, 1, "x")), knownAsRobert(vote("bobby", approve, 2, "x"))},
			want: outcome{State: denied, Missing: []int{2}, DeniedBy: "bob"},
		},
		"NoLonger": {
			reason: "a vote that would not be accepted now does not count", votes: []Vote{forBob(vote("carol", approve, 1, "-"))},
			want: outcome{State: stateOpen, Missing: []int{2}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, outcomeOf(Count(needs(2), tc.denials, tc.votes))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestBehind counts votes of ServiceAccounts of which others could have given the vote.
func TestBehind(t *testing.T) {
	behind := func(v Vote, who ...string) Vote { v.Behind = who; return v }
	for name, tc := range map[string]struct {
		reason string
		votes  []Vote
		want   int
		denied int
	}{
		"Alone":     {"Who did not vote took nothing.", []Vote{behind(vote("gate", approve, 0, "x"), "ann")}, 1, 0},
		"Theirs":    {"Who agreed, too, is one with it.", []Vote{vote("ann", approve, 0, "x"), behind(vote("gate", approve, 1, "x"), "ann")}, 1, 0},
		"OneOfTwo":  {"It is of one of them only, and both count.", []Vote{vote("ann", approve, 0, "x"), behind(vote("gate", approve, 1, "x"), "ann", "ben"), vote("ben", approve, 2, "x")}, 2, 0},
		"Both":      {"Two ServiceAccounts of one person are that person.", []Vote{behind(vote("a", approve, 0, "x"), "b", "ann"), behind(vote("b", approve, 1, "x"), "a", "ann"), vote("ann", approve, 2, "x")}, 1, 0},
		"Through":   {"So is one behind which there is another one.", []Vote{behind(vote("a", approve, 0, "x"), "b"), behind(vote("b", approve, 1, "x"), "ann"), vote("ann", approve, 2, "x")}, 1, 0},
		"Differ":    {"Who says something else has not said it twice.", []Vote{behind(vote("gate", approve, 0, "x"), "ann"), vote("ann", deny, 1, "x")}, 1, 1},
		"TakenBack": {"What was taken back leaves the other one.", []Vote{vote("ann", approve, 0, "x"), behind(vote("gate", approve, 1, "x"), "ann"), vote("ann", withdraw, 2, "x")}, 1, 0},
		"Denials":   {"Nor does anybody deny twice.", []Vote{vote("ann", deny, 0, "x"), behind(vote("gate", deny, 1, "x"), "ann")}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := Count(needs(3), 3, tc.votes)
			if len(got.By) != tc.want || len(got.Denials) != tc.denied {
				t.Errorf("%s\ngot %d agreeing, %d denying", tc.reason, len(got.By), len(got.Denials))
			}
		})
	}
}
