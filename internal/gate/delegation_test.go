package gate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/evidence"
)

// delegated is a world in which bob, who votes, is away, and so is dave, whom nobody lets delegate. monday is 23 November 2026.
const delegated = `
kind: Action
metadata: {namespace: platform, name: restart}
spec:
  title: Restart
  default: {effect: RequireApproval, stages: [owners]}
  stages: [{name: owners, count: 1, approvers: {users: [bob, dave]}}]
  execution: {serviceAccountName: restarter, steps: [{name: note, patch: {target: {apiVersion: v1, kind: ConfigMap, namespace: a, name: b}, merge: {a: b}}}]}
---
kind: Role
metadata: {namespace: platform, name: developers}
spec: {members: {users: [alice, bob]}, permissions: [{verbs: [request], actions: {names: ["*"]}}]}
---
kind: Role
metadata: {namespace: platform, name: approvers}
spec: {members: {users: [bob, dave]}, permissions: [{verbs: [approve], actions: {names: ["*"]}}]}
---
kind: Role
metadata: {namespace: platform, name: delegators}
spec: {members: {users: [bob, erin]}, permissions: [{verbs: [delegate], actions: {names: [restart]}}]}
---
kind: Delegation
metadata: {namespace: platform, name: bob, uid: bob}
spec: {principal: {username: bob, person: bob}, to: {users: [alice, carol, bob@laptop, robot]}, actions: [restart], until: "2026-12-01T00:00:00Z"}
---
kind: Delegation
metadata: {namespace: platform, name: soon, uid: soon}
spec: {principal: {username: bob, person: bob}, to: {users: [frank]}, from: "2026-11-24T00:00:00Z", until: "2026-12-01T00:00:00Z"}
---
kind: Delegation
metadata: {namespace: platform, name: over, uid: over}
spec: {principal: {username: bob, person: bob}, to: {users: [grace]}, until: "2026-11-22T00:00:00Z"}
---
kind: Delegation
metadata: {namespace: platform, name: other, uid: other}
spec: {principal: {username: bob, person: bob}, to: {users: [heidi]}, actions: [deploy], until: "2026-12-01T00:00:00Z"}
---
kind: Delegation
metadata: {namespace: elsewhere, name: abroad, uid: abroad}
spec: {principal: {username: bob, person: bob}, to: {users: [ivan]}, until: "2026-12-01T00:00:00Z"}
---
kind: Delegation
metadata: {namespace: platform, name: dave, uid: dave}
spec: {principal: {username: dave, person: dave}, to: {users: [carol]}, until: "2026-12-01T00:00:00Z"}
---
kind: Delegation
metadata: {namespace: platform, name: erin, uid: erin}
spec: {principal: {username: erin, person: erin}, to: {users: [carol]}, until: "2026-12-01T00:00:00Z"}
---
kind: Delegation
metadata: {namespace: platform, name: chain, uid: chain}
spec: {principal: {username: carol, person: carol}, to: {users: [judy]}, until: "2026-12-01T00:00:00Z"}`

// TestDelegation judges votes for others: neither the voter nor the principal may be anybody who could not vote, and no Delegation reaches further
// than it says.
func TestDelegation(t *testing.T) {
	edit := func(who string) []Edit {
		return []Edit{{By: v1alpha1.Identity{Username: who, Person: who}, At: monday.Add(time.Hour), Digest: "now"}}
	}
	for name, tc := range map[string]struct {
		reason, voter, principal, uid string
		requester                     string
		hands                         fakeHands
		refusal, words                string
		again                         bool
	}{
		"ForBob":         {reason: "Bob may vote, and lets carol.", voter: "carol", principal: "bob", uid: "bob"},
		"Requester":      {reason: "Nobody agrees to what they asked for, in whoever's name.", voter: "alice", principal: "bob", uid: "bob", refusal: v1alpha1.ReasonSelfApproval, words: "you cannot approve this: you asked for it"},
		"ForRequester":   {reason: "Nor does whoever stands for who asked.", requester: "bob", voter: "carol", principal: "bob", uid: "bob", refusal: v1alpha1.ReasonSelfApproval, words: "you (carol) cannot vote for bob, who could not vote here either. To bob it would say:\n  you cannot approve this: you asked for it"},
		"Themself":       {reason: "A second login is not somebody else.", voter: "bob@laptop", principal: "bob", uid: "bob", refusal: v1alpha1.ReasonNotAnApprover, words: "you are the same person"},
		"Agent":          {reason: "An agent votes for nobody.", voter: "robot", principal: "bob", uid: "bob", refusal: v1alpha1.ReasonNotAnApprover, words: "is an agent"},
		"Editor":         {reason: "Who changed what runs does not agree to it for others either.", voter: "carol", principal: "bob", uid: "bob", hands: fakeHands{edits: edit("carol")}, refusal: v1alpha1.ReasonNotIndependent, words: "you changed the Action"},
		"ForEditor":      {reason: "Nor somebody for who changed it.", voter: "carol", principal: "bob", uid: "bob", hands: fakeHands{edits: edit("bob")}, refusal: v1alpha1.ReasonNotIndependent, words: "To bob it would say"},
		"Stranger":       {reason: "It names who may.", voter: "mallory", principal: "bob", uid: "bob", refusal: v1alpha1.ReasonNotAnApprover, words: "platform/bob does not name you"},
		"Early":          {reason: "It begins when it says.", voter: "frank", principal: "bob", uid: "soon", refusal: v1alpha1.ReasonNotAnApprover, words: "platform/soon begins Tue 24 Nov 00:00 UTC"},
		"Late":           {reason: "It ends when it says.", voter: "grace", principal: "bob", uid: "over", refusal: v1alpha1.ReasonNotAnApprover, words: "platform/over ended Sun 22 Nov 00:00 UTC"},
		"OtherAction":    {reason: "It is about the Actions that it names.", voter: "heidi", principal: "bob", uid: "other", refusal: v1alpha1.ReasonNotAnApprover, words: "not about Action restart"},
		"OtherCatalog":   {reason: "It holds in its own namespace.", voter: "ivan", principal: "bob", uid: "abroad", refusal: v1alpha1.ReasonNotAnApprover, words: "in its own namespace only"},
		"NotDelegating":  {reason: "It takes the verb delegate.", voter: "carol", principal: "dave", uid: "dave", refusal: v1alpha1.ReasonNotAnApprover, words: `gives "delegate" on restart to dave`},
		"NotApproving":   {reason: "Nobody passes on what they do not have.", voter: "carol", principal: "erin", uid: "erin", refusal: v1alpha1.ReasonNotAnApprover, words: `gives "approve" on restart to erin`},
		"NoChain":        {reason: "What was passed on is not passed on again.", voter: "judy", principal: "carol", uid: "chain", refusal: v1alpha1.ReasonNotAnApprover, words: `gives "approve" on restart to carol`},
		"Gone":           {reason: "What was taken back does not count.", voter: "carol", principal: "bob", uid: "gone", refusal: v1alpha1.ReasonNotAnApprover, words: "the Delegation that let you is gone"},
		"OtherPrincipal": {reason: "The vote names whose Delegation it is.", voter: "carol", principal: "dave", uid: "bob", refusal: v1alpha1.ReasonNotAnApprover, words: "platform/bob is of bob"},
		"Forged":         {reason: "One that nobody sealed never counts.", voter: "carol", principal: "bob", uid: "bob", hands: fakeHands{forged: &evidence.Error{Reason: v1alpha1.ReasonNotStamped, Message: "the Delegation platform/bob was stored while Signoff's admission webhook was absent"}}, refusal: v1alpha1.ReasonNotStamped, words: "was stored while Signoff's admission webhook was absent."},
		"KeyUnknown":     {reason: "Where nobody can tell yet, it is looked at again.", voter: "carol", principal: "bob", uid: "bob", hands: fakeHands{forged: &evidence.Error{Reason: v1alpha1.ReasonIndeterminate, Message: "the key is not known here (yet)", Wait: true}}, refusal: v1alpha1.ReasonIndeterminate, words: "not known here", again: true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Person.Expression = "user.username.split('@')[0]"
			cfg.Requester.Agents.Users = []string{"robot"}
			g := gateOver(t, delegated, cfg, fakeFacts{}, clock.RealClock{}).Asks(&tc.hands)
			subject := asking("alice", "restart", "")
			if tc.requester != "" {
				subject = asking(tc.requester, "restart", "")
			}
			subject.AskedAt, subject.AskedFor = monday, "then"
			j := g.Judge(t.Context(), subject, monday)
			if j.Problem != nil {
				t.Fatal(j.Problem.Message)
			}
			vote := &v1alpha1.Vote{
				Voter:      v1alpha1.Identity{Username: tc.voter, Person: strings.Split(tc.voter, "@")[0]},
				Delegation: &v1alpha1.VoteDelegation{Principal: tc.principal, UID: types.UID(tc.uid), Seal: "seal of " + tc.uid},
			}
			poll := j.Poll(&j.Stages[0], &subject.Requester)
			got := g.EligibleAs(t.Context(), j, poll, vote)
			switch {
			case tc.refusal == "" && (got.Problem != nil || !got.Meets[0]):
				t.Errorf("%s\ngot %+v", tc.reason, got.Problem)
			case tc.refusal != "" && (got.Problem == nil || slices.Contains(got.Meets, true) || got.Problem.Reason != tc.refusal || !strings.Contains(got.Problem.Message, tc.words) || got.Problem.Transient != tc.again):
				t.Errorf("%s\ngot %+v (%v), want %s with %q", tc.reason, got.Problem, got.Meets, tc.refusal, tc.words)
			}
			// What is offered is what would be accepted.
			offered := g.StandForSomebody(t.Context(), j, poll, &vote.Voter)
			if offered != nil && g.EligibleAs(t.Context(), j, poll, &v1alpha1.Vote{Voter: vote.Voter, Delegation: offered}).Problem != nil {
				t.Errorf("%s\noffered is %v", tc.reason, offered)
			}
			if tc.refusal == "" && (offered == nil || *offered != *vote.Delegation) {
				t.Errorf("%s\noffered is %v", tc.reason, offered)
			}
		})
	}
}

// TestNorInstead: of who cannot vote in their own name nobody knows whether they can at all, where nobody can tell of a Delegation at the moment.
func TestNorInstead(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, voter string
		forged        error
		words         string
		again         bool
	}{
		"Never":      {"A Delegation that nobody sealed never counts.", "carol", &evidence.Error{Reason: v1alpha1.ReasonNotStamped, Message: "nobody sealed it"}, "no.\n  Nor for somebody else: you (carol) cannot vote for bob: nobody sealed it.", false},
		"KeyUnknown": {"It may count at the next look.", "carol", &evidence.Error{Reason: v1alpha1.ReasonIndeterminate, Message: "the key is not known", Wait: true}, "no.\n  Nor for somebody else: you (carol) cannot vote for bob: the key is not known.", true},
		"None":       {"No Delegation names them.", "mallory", nil, "no.", false},
	} {
		t.Run(name, func(t *testing.T) {
			g := gateOver(t, delegated, config.Default(), fakeFacts{}, clock.RealClock{}).Asks(&fakeHands{forged: tc.forged})
			subject := asking("alice", "restart", "")
			j := g.Judge(t.Context(), subject, monday)
			vote := &v1alpha1.Vote{Voter: v1alpha1.Identity{Username: tc.voter, Person: tc.voter}}
			own := &Problem{Reason: v1alpha1.ReasonNotAnApprover, Message: "no."}
			got := g.NorInstead(t.Context(), j, j.Poll(&j.Stages[0], &subject.Requester), vote, own)
			if got.Message != tc.words || got.Transient != tc.again || got.Reason != own.Reason || own.Message != "no." {
				t.Errorf("%s\ngot %+v", tc.reason, got)
			}
		})
	}
}
