package webhooks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/identity"
)

// TestRoom: whoever votes often, and however many do, there is room for a denial.
func TestRoom(t *testing.T) {
	rules, err := identity.New(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	w := &approvals{&Deps{Identity: rules}}
	const approve, withdraw, deny = v1alpha1.DecisionApprove, v1alpha1.DecisionWithdraw, v1alpha1.DecisionDeny
	const tooMany, stillDeny, others = "too many votes", "A denial is still possible", "Somebody else can still deny"
	for name, tc := range map[string]struct {
		reason      string
		own, others int
		decision    v1alpha1.Decision
		want        []string
		not         string
	}{
		"First":            {"there is room", 0, 0, approve, nil, ""},
		"Last":             {"as often as anybody", maxVotesOfPerson - 1, 0, approve, nil, ""},
		"OneMore":          {"no more often", maxVotesOfPerson, 0, approve, []string{tooMany, stillDeny}, ""},
		"TakeBackNothing":  {"there is nothing to take back", 0, 9, withdraw, []string{"no vote here"}, ""},
		"TakeBackLast":     {"the last can be taken back", maxVotesOfPerson, 0, withdraw, nil, ""},
		"TakeBackAgain":    {"once", maxVotesOfPerson + 1, 0, withdraw, []string{tooMany, stillDeny}, ""},
		"DenyAfterAll":     {"and then denied", maxVotesOfPerson + 1, 0, deny, nil, ""},
		"DenyAgain":        {"once", maxVotesOfPerson + 2, 0, deny, []string{tooMany, others}, stillDeny},
		"ApproveAfterAll":  {"nothing is left for this one", maxVotesOfPerson + 2, 0, approve, []string{tooMany, others}, stillDeny},
		"WithdrawAfterAll": {"nor to take back", maxVotesOfPerson + 2, 0, withdraw, []string{tooMany, others}, stillDeny},
		"FullApprove":      {"nobody can vote any more", 1, maxVotes - 1, approve, []string{tooMany}, "still"},
		"Full":             {"everybody's approvals stop early", 0, maxVotes - reservedVotes, approve, []string{tooMany, stillDeny}, ""},
		"FullWithdraw":     {"so that others take theirs back", 1, maxVotes - reservedVotes, withdraw, nil, ""},
		"FullOfWithdrawal": {"which stop early as well", 1, maxVotes - reservedVotes/2 - 1, withdraw, []string{tooMany, stillDeny}, ""},
		"FullDeny":         {"so that somebody can still deny", 0, maxVotes - 1, deny, nil, ""},
		"Brim":             {"until there is no room at all", 0, maxVotes, deny, []string{tooMany}, stillDeny},
	} {
		t.Run(name, func(t *testing.T) {
			approval := &v1alpha1.Approval{}
			for range tc.own {
				approval.Spec.Votes = append(approval.Spec.Votes, v1alpha1.Vote{Voter: v1alpha1.Identity{Username: "bob"}})
			}
			for i := range tc.others {
				approval.Spec.Votes = append(approval.Spec.Votes, v1alpha1.Vote{Voter: v1alpha1.Identity{Username: fmt.Sprint("other-", i)}})
			}
			said := ""
			if refused := w.room(t.Context(), approval, &v1alpha1.Vote{Decision: tc.decision}, &v1alpha1.Identity{Username: "bob"}); refused != nil {
				said = refused.Result.Message
			}
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
		if got := w.room(t.Context(), approval, &v1alpha1.Vote{Decision: decision}, bob); (got != nil) != refused {
			t.Errorf("%s: refused is %v, want %v", decision, got, refused)
		}
	}
}

// TestRoomInstead: however many stand in for one person, they do not fill the list, and it keeps nobody else from voting.
func TestRoomInstead(t *testing.T) {
	rules, err := identity.New(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	w := &approvals{&Deps{Identity: rules}}
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
		"TakeBack":    {"each can be taken back", 2*maxVotesInstead - 1, []string{"dave"}, insteadOf("dave", withdraw), nil},
		"TakenBack":   {"but not for ever", 2 * maxVotesInstead, []string{"dave"}, insteadOf("dave", withdraw), []string{tooMany, stillDeny}},
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
			said := ""
			if refused := w.room(t.Context(), approval, &tc.vote, &v1alpha1.Identity{Username: "bob"}); refused != nil {
				said = refused.Result.Message
			}
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
