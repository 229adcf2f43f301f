package webhooks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/quorum"
)

// TestRoom: whoever votes often, and however many do, what stands can be taken back, and there is room for a denial.
func TestRoom(t *testing.T) {
	w := roomOf(t)
	const approve, withdraw, deny = v1alpha1.DecisionApprove, v1alpha1.DecisionWithdraw, v1alpha1.DecisionDeny
	const tooMany, stillDeny, others = "too many votes", "A denial is still possible", "Somebody else can still deny"
	for name, tc := range map[string]struct {
		reason      string
		own, others int
		last        v1alpha1.Decision
		decision    v1alpha1.Decision
		want        []string
		not         string
	}{
		"First":            {"there is room", 0, 0, approve, approve, nil, ""},
		"Last":             {"as often as anybody", maxVotesOfPerson - 1, 0, approve, approve, nil, ""},
		"OneMore":          {"no more often", maxVotesOfPerson, 0, approve, approve, []string{tooMany, stillDeny}, ""},
		"TakeBackNothing":  {"there is nothing to take back", 0, 9, approve, withdraw, []string{"no vote here"}, ""},
		"TakeBackLast":     {"the last can be taken back", maxVotesOfPerson, 0, approve, withdraw, nil, ""},
		"TakeBackAgain":    {"it is taken back already", maxVotesOfPerson + 1, 0, withdraw, withdraw, []string{tooMany, stillDeny}, ""},
		"DenyAfterAll":     {"and then denied", maxVotesOfPerson + 1, 0, withdraw, deny, nil, ""},
		"TakeBackDenial":   {"no denial stands against the will of who gave it", maxDenied, 0, deny, withdraw, nil, ""},
		"DenyAgain":        {"once", maxDenied, 0, withdraw, deny, []string{tooMany, others}, stillDeny},
		"ApproveAfterAll":  {"nothing is left for this one", maxDenied, 0, deny, approve, []string{tooMany, others}, stillDeny},
		"WithdrawAfterAll": {"nor to say again that it is taken back", maxDenied + 1, 0, withdraw, withdraw, []string{tooMany, others}, stillDeny},
		"Full":             {"everybody's approvals stop early", 0, quorum.MaxApprovals(0), approve, approve, []string{"there are 112 here", stillDeny}, "change their mind"},
		"NotFull":          {"but not earlier", 0, quorum.MaxApprovals(0) - 1, approve, approve, nil, ""},
		"FullWithdraw":     {"so that others take theirs back", 1, quorum.MaxApprovals(0), approve, withdraw, nil, ""},
		"FullDeny":         {"so that somebody can still deny", 0, quorum.MaxApprovals(0), approve, deny, nil, ""},
		"BrimWithdraw":     {"to the last", 1, quorum.MaxVotes - 2, approve, withdraw, nil, ""},
		"Brim":             {"until there is no room at all", 0, quorum.MaxVotes, approve, deny, []string{tooMany}, "still"},
	} {
		t.Run(name, func(t *testing.T) {
			approval := &v1alpha1.Approval{}
			for i := range tc.own {
				given := v1alpha1.Vote{Voter: v1alpha1.Identity{Username: "bob"}, Decision: approve}
				if i == tc.own-1 {
					given.Decision = tc.last
				}
				approval.Spec.Votes = append(approval.Spec.Votes, given)
			}
			for i := range tc.others {
				approval.Spec.Votes = append(approval.Spec.Votes, v1alpha1.Vote{Voter: v1alpha1.Identity{Username: fmt.Sprint("other-", i)}, Decision: approve})
			}
			said := w.told(t, approval, &v1alpha1.Vote{Decision: tc.decision}, "bob")
			if (said == "") != (tc.want == nil) || tc.not != "" && strings.Contains(said, tc.not) {
				t.Errorf("%s: it says %q", tc.reason, said)
			}
			for _, want := range tc.want {
				if !strings.Contains(said, want) {
					t.Errorf("%s: it says %q, want %q", tc.reason, said, want)
				}
			}
		})
	}
}

// roomed are approvals that tell of room only.
type roomed struct{ approvals }

func roomOf(t *testing.T) *roomed {
	t.Helper()
	rules, err := identity.New(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	return &roomed{approvals{&Deps{Identity: rules}}}
}

// told is why there is no room for a vote. Empty: there is.
func (r *roomed) told(t *testing.T, approval *v1alpha1.Approval, vote *v1alpha1.Vote, who string) string {
	t.Helper()
	given := *vote
	given.Voter.Username = who
	next := approval.DeepCopy()
	next.Spec.Votes = append(next.Spec.Votes, given)
	if refused := r.fits(t.Context(), next, approval, &given, &given.Voter); refused != nil {
		return refused.Result.Message
	}
	return ""
}

// TestRoomIsKept: a crowd that votes to the brim, in any way, can take back what stands, and as many as it takes can still deny.
func TestRoomIsKept(t *testing.T) {
	const approve, withdraw, deny = v1alpha1.DecisionApprove, v1alpha1.DecisionWithdraw, v1alpha1.DecisionDeny
	w := roomOf(t)
	large := strings.Repeat("g", 100<<10)
	for name, tc := range map[string]struct {
		voters  int
		pattern []v1alpha1.Decision
		denials int32
		groups  []string
	}{
		"Approving":   {130, []v1alpha1.Decision{approve}, 64, nil},
		"ToAndFro":    {30, []v1alpha1.Decision{approve, withdraw}, 64, nil},
		"DenyingOnce": {30, []v1alpha1.Decision{deny, withdraw}, 64, nil},
		"Mixed":       {40, []v1alpha1.Decision{approve, deny, withdraw}, 2, nil},
		"Large":       {4, []v1alpha1.Decision{approve, withdraw, approve}, 1, []string{large}},
	} {
		t.Run(name, func(t *testing.T) {
			approval := &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{Denials: tc.denials}}
			says := func(who string, decision v1alpha1.Decision) string {
				vote := &v1alpha1.Vote{Decision: decision, Voter: v1alpha1.Identity{Groups: tc.groups}}
				said := w.told(t, approval, vote, who)
				if said == "" {
					vote.Voter.Username = who
					approval.Spec.Votes = append(approval.Spec.Votes, *vote)
				}
				return said
			}
			for round, before := 0, -1; round < 12 && before < len(approval.Spec.Votes); round++ {
				before = len(approval.Spec.Votes)
				for i := range tc.voters {
					says(fmt.Sprint("voter-", i), tc.pattern[round%len(tc.pattern)])
				}
			}
			denied := int32(0)
			for i := range tc.denials {
				if said := says(fmt.Sprint("denier-", i), deny); said == "" {
					denied++
				}
			}
			if name != "DenyingOnce" && denied < tc.denials { // who denied once and took it back has used up room of denials
				t.Errorf("%d denied, of %d that it takes", denied, tc.denials)
			}
			last := map[string]v1alpha1.Decision{}
			for _, vote := range approval.Spec.Votes {
				last[vote.Voter.Username] = vote.Decision
			}
			for who, decision := range last {
				if said := says(who, withdraw); decision != withdraw && said != "" {
					t.Fatalf("%s cannot take back %s: %s", who, decision, said)
				}
			}
			if len(approval.Spec.Votes) > quorum.MaxVotes {
				t.Errorf("%d votes", len(approval.Spec.Votes))
			}
		})
	}
}

// TestRoomOfNobodyKnown: votes of which nobody can tell whose they are take room for an approval, and none for a denial or a withdrawal.
func TestRoomOfNobodyKnown(t *testing.T) {
	cfg := config.Default()
	cfg.Person.Expression = "user.username == 'bob' ? 'bob' : string(user.extra['person'][0])"
	rules, err := identity.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := &approvals{&Deps{Identity: rules}}
	bob := &v1alpha1.Identity{Username: "bob", Person: "bob"}
	approval := &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{Votes: []v1alpha1.Vote{{Voter: *bob}}}}
	for i := range maxDenied {
		approval.Spec.Votes = append(approval.Spec.Votes, v1alpha1.Vote{Voter: v1alpha1.Identity{Username: fmt.Sprint("unknown-", i)}})
	}
	for decision, refused := range map[v1alpha1.Decision]bool{v1alpha1.DecisionApprove: true, v1alpha1.DecisionDeny: false, v1alpha1.DecisionWithdraw: false} {
		vote := &v1alpha1.Vote{Decision: decision, Voter: *bob}
		if got := w.fits(t.Context(), approval, approval, vote, bob); (got != nil) != refused {
			t.Errorf("%s: refused is %v, want %v", decision, got, refused)
		}
	}
}

// TestRoomInstead: however many stand in for one person, they do not fill the list, and it keeps nobody else from voting.
func TestRoomInstead(t *testing.T) {
	w := roomOf(t)
	const approve, withdraw, deny = v1alpha1.DecisionApprove, v1alpha1.DecisionWithdraw, v1alpha1.DecisionDeny
	const tooMany, stillDeny, others = "others have voted", "A denial is still possible", "Somebody else can still deny"
	for name, tc := range map[string]struct {
		reason     string
		before     int
		principals []string
		vote       v1alpha1.Vote
		want       []string
	}{
		"Last":        {"as often as two people", maxVotesInstead - 1, []string{"dave"}, insteadOf("dave", approve), nil},
		"OneMore":     {"no more often, by whoever", maxVotesInstead, []string{"dave"}, insteadOf("dave", approve), []string{tooMany, "for dave", stillDeny}},
		"OtherLogins": {"nor for another login of one person", maxVotesInstead, []string{"dave", "DAVE"}, insteadOf("Dave", approve), []string{tooMany, stillDeny}},
		"ForOthers":   {"it is nobody else's room", maxVotesInstead, []string{"dave"}, insteadOf("erin", approve), nil},
		"Oneself":     {"nor that of who votes for themself", maxVotesInstead, []string{"dave"}, v1alpha1.Vote{Decision: approve}, nil},
		"TakeBack":    {"each can be taken back", maxDeniedInstead, []string{"dave"}, insteadOf("dave", withdraw), nil},
		"Deny":        {"and then denied", 2 * maxVotesInstead, []string{"dave"}, insteadOf("dave", deny), nil},
		"Denied":      {"twice", maxDeniedInstead, []string{"dave"}, insteadOf("dave", deny), []string{tooMany, others}},
	} {
		t.Run(name, func(t *testing.T) {
			approval := &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{Votes: []v1alpha1.Vote{{Voter: v1alpha1.Identity{Username: "bob"}}}}}
			for i := range tc.before {
				cast := insteadOf(tc.principals[i%len(tc.principals)], approve)
				cast.Voter.Username = fmt.Sprint("other-", i)
				approval.Spec.Votes = append(approval.Spec.Votes, cast)
			}
			said := w.told(t, approval, &tc.vote, "bob")
			if (said == "") != (tc.want == nil) {
				t.Errorf("%s: it says %q", tc.reason, said)
			}
			for _, want := range tc.want {
				if !strings.Contains(said, want) {
					t.Errorf("%s: it says %q, want %q", tc.reason, said, want)
				}
			}
		})
	}
}

// insteadOf is a vote for somebody else.
func insteadOf(principal string, decision v1alpha1.Decision) v1alpha1.Vote {
	return v1alpha1.Vote{Decision: decision, Delegation: &v1alpha1.VoteDelegation{Principal: principal}}
}
