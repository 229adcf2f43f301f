package gate

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
)

// fakeHands is who had a hand in a request.
type fakeHands struct {
	edits   []Edit
	since   time.Time
	err     error
	acts    string
	noReply error
	// forged is why a Delegation is not genuine.
	forged error
}

func (f *fakeHands) Delegation(d *v1alpha1.Delegation) (string, error) {
	return "seal of " + d.Name, f.forged
}

func (f *fakeHands) Edits(*v1alpha1.Action, string) ([]Edit, time.Time, error) {
	return f.edits, f.since, f.err
}

func (f *fakeHands) MayActAs(_ context.Context, who *v1alpha1.Identity, account string) (bool, error) {
	return who.Username+" as "+account == f.acts, f.noReply
}

const independent = `
kind: Action
metadata: {namespace: platform, name: restart, uid: now}
spec:
  title: Restart
  default: {effect: RequireApproval}
  execution: {serviceAccountName: restarter, readServiceAccountName: reader, steps: [{name: note, patch: {target: {apiVersion: v1, kind: ConfigMap, namespace: a, name: b}, merge: {a: b}}}]}
---
kind: Role
metadata: {namespace: platform, name: all}
spec:
  members: {users: [alice, bob, bob@laptop], serviceAccounts: [ci/agent, platform/restarter, platform/reader, ci/checker]}
  permissions: [{verbs: [request, approve, request-on-behalf], actions: {names: ["*"]}}]
`

// TestIndependence judges voters who had a hand in what is asked for.
func TestIndependence(t *testing.T) {
	const agent, checker, then, now = "system:serviceaccount:ci:agent", "system:serviceaccount:ci:checker", "then", "now"
	edit := func(who string, after time.Duration, digest string) []Edit {
		return []Edit{{By: v1alpha1.Identity{Username: who, Person: strings.Split(who, "@")[0]}, At: monday.Add(after), Digest: digest}}
	}
	for name, tc := range map[string]struct {
		reason           string
		requester, voter string
		hands            fakeHands
		refusal, words   string
		again            bool
		// action is the uid of the Action that was asked for, and review says that it has run.
		action types.UID
		review bool
		// behalf is for whom it is asked.
		behalf string
	}{
		"MadeAgain":   {reason: "Who changed the Action before it was made again is forgotten.", voter: "bob", action: "before", refusal: v1alpha1.ReasonIndeterminate, words: "deleted and made again meanwhile.\n  It must be asked again", again: true},
		"Same":        {reason: "The Action that was asked for tells.", voter: "bob", action: "now"},
		"Reviewed":    {reason: "What has run must be reviewed, whatever became of its Action.", voter: "bob", action: "before", review: true},
		"ReviewedBy":  {reason: "But not by who has changed the Action since.", voter: "bob", action: "before", review: true, hands: fakeHands{edits: edit("bob", time.Hour, now)}, refusal: v1alpha1.ReasonNotIndependent, words: "you changed the Action"},
		"Nobody":      {reason: "Who had no hand in it may vote.", voter: "bob"},
		"Edited":      {reason: "Who changed what runs would approve their own change.", voter: "bob", hands: fakeHands{edits: edit("bob", time.Hour, now)}, refusal: v1alpha1.ReasonNotIndependent, words: "you changed the Action platform/restart at 13:00 UTC while this request was open."},
		"OtherLogin":  {reason: "Also with another login.", voter: "bob@laptop", hands: fakeHands{edits: edit("bob", time.Hour, now)}, refusal: v1alpha1.ReasonNotIndependent, words: "you changed the Action"},
		"Somebody":    {reason: "Another editor is no reason.", voter: "bob", hands: fakeHands{edits: edit("carol", time.Hour, now)}},
		"Before":      {reason: "Who made the Action that was then asked for may vote.", voter: "bob", hands: fakeHands{edits: edit("bob", -time.Second, then)}},
		"Clocks":      {reason: "Where clocks could disagree, what was asked for decides.", voter: "bob", hands: fakeHands{edits: edit("bob", -time.Second, now)}, refusal: v1alpha1.ReasonNotIndependent, words: "you changed the Action"},
		"LongBefore":  {reason: "An edit of last week was before, whatever came after.", voter: "bob", hands: fakeHands{edits: edit("bob", -time.Hour, "other")}},
		"Unknown":     {reason: "Nobody knows whose edit it is, so it could be anybody's.", voter: "bob", hands: fakeHands{err: errors.New("Action platform/restart was changed without it")}, refusal: v1alpha1.ReasonIndeterminate, words: "kubectl get action -n platform restart -o yaml | kubectl replace -f -", again: true},
		"TooOld":      {reason: "What was before is not known.", voter: "bob", hands: fakeHands{since: monday.Add(time.Minute)}, refusal: v1alpha1.ReasonIndeterminate, words: "It must be asked again", again: true},
		"Since":       {reason: "All since the request is known.", voter: "bob", hands: fakeHands{since: monday.Add(-time.Minute)}},
		"ActsAs":      {reason: "Who could have asked as the ServiceAccount may have.", requester: agent, voter: "bob", hands: fakeHands{acts: "bob as ci/agent"}, refusal: v1alpha1.ReasonNotIndependent, words: "ServiceAccount ci/agent asked for this, and you could act as that"},
		"NotAs":       {reason: "Who could not is independent of it.", requester: agent, voter: "bob", hands: fakeHands{acts: "carol as ci/agent"}},
		"NoReply":     {reason: "An unanswered question is no answer.", requester: agent, voter: "bob", hands: fakeHands{noReply: errors.New("timeout")}, refusal: v1alpha1.ReasonIndeterminate, words: "cannot tell whether bob could act as ServiceAccount ci/agent", again: true},
		"ByAPerson":   {reason: "A person is nobody's to act as, so nobody is asked.", voter: "bob", hands: fakeHands{noReply: errors.New("timeout")}},
		"EditedAs":    {reason: "Who could have changed it as a ServiceAccount may have.", voter: "bob", hands: fakeHands{edits: edit(agent, time.Hour, now), acts: "bob as ci/agent"}, refusal: v1alpha1.ReasonNotIndependent, words: "ServiceAccount ci/agent changed the Action platform/restart at 13:00 UTC while this request was open, and you could act as that"},
		"EditedNot":   {reason: "Who could not is independent of it.", voter: "bob", hands: fakeHands{edits: edit(agent, time.Hour, now), acts: "carol as ci/agent"}},
		"EditBefore":  {reason: "A change of before is no matter, whoever could have made it.", voter: "bob", hands: fakeHands{edits: edit(agent, -time.Hour, then), acts: "bob as ci/agent"}},
		"EditReply":   {reason: "An unanswered question is no answer.", voter: "bob", hands: fakeHands{edits: edit(agent, time.Hour, now), noReply: errors.New("timeout")}, refusal: v1alpha1.ReasonIndeterminate, words: "cannot tell whether bob could act as ServiceAccount ci/agent, which changed the Action", again: true},
		"Executor":    {reason: "What acts does not approve.", voter: "system:serviceaccount:platform:restarter", refusal: v1alpha1.ReasonNotIndependent, words: "the Action platform/restart acts as you"},
		"Reader":      {reason: "Nor what reads its facts.", voter: "system:serviceaccount:platform:reader", refusal: v1alpha1.ReasonNotIndependent, words: "the Action platform/restart acts as you"},
		"Puppet":      {reason: "Who asked could have minted a token of the ServiceAccount that votes.", voter: checker, hands: fakeHands{acts: "alice as ci/checker"}, refusal: v1alpha1.ReasonNotIndependent, words: "alice asked for this, and could act as you"},
		"PuppetOfBot": {reason: "So could an agent that asked.", requester: agent, voter: checker, hands: fakeHands{acts: agent + " as ci/checker"}, refusal: v1alpha1.ReasonNotIndependent, words: agent + " asked for this, and could act as you"},
		"PuppetReply": {reason: "An unanswered question is no answer.", voter: checker, hands: fakeHands{noReply: errors.New("timeout")}, refusal: v1alpha1.ReasonIndeterminate, words: "cannot tell whether alice, who asked for this, could act as ServiceAccount ci/checker", again: true},
		"PuppetEdit":  {reason: "Who changed what runs could be the ServiceAccount that votes.", voter: checker, hands: fakeHands{edits: edit("carol", time.Hour, now), acts: "carol as ci/checker"}, refusal: v1alpha1.ReasonNotIndependent, words: "carol changed the Action platform/restart at 13:00 UTC while this request was open, and could act as you"},
		"PuppetOld":   {reason: "Who changed it before had no hand in this.", voter: checker, hands: fakeHands{edits: edit("carol", -time.Hour, then), acts: "carol as ci/checker"}},
		"PuppetFor":   {reason: "For whom it was asked wanted it, too.", behalf: "carol", voter: checker, hands: fakeHands{acts: "carol as ci/checker"}, refusal: v1alpha1.ReasonNotIndependent, words: "carol had this asked on their behalf, and could act as you"},
		"Checker":     {reason: "A ServiceAccount that is named and has no part in it may.", voter: checker},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Person.Expression = "user.username.split('@')[0]"
			cfg.Approvers.ServiceAccounts = []string{"platform/restarter", "platform/reader", "ci/checker"}
			g := gateOver(t, independent, cfg, fakeFacts{}, clock.RealClock{}).Asks(&tc.hands)
			subject := asking("alice", "restart", "")
			if tc.requester != "" {
				subject.Requester = v1alpha1.Identity{Username: tc.requester, Person: tc.requester}
			}
			subject.AskedAt, subject.AskedFor, subject.ActionUID = monday, then, tc.action
			if tc.behalf != "" {
				subject.Spec.OnBehalfOf = &v1alpha1.OnBehalfOf{Username: tc.behalf}
			}
			j := g.Judge(t.Context(), subject, monday)
			if j.Problem != nil {
				t.Fatal(j.Problem.Message)
			}
			poll := j.Poll(&j.Stages[0], &subject.Requester)
			poll.Review = tc.review
			got := g.Eligible(t.Context(), j, poll, &v1alpha1.Identity{Username: tc.voter})
			switch {
			case tc.refusal == "" && (got.Problem != nil || !got.Meets[0]):
				t.Errorf("%s\ngot %+v", tc.reason, got.Problem)
			case tc.refusal != "" && (got.Problem == nil || got.Meets[0] || got.Problem.Reason != tc.refusal || !strings.Contains(got.Problem.Message, tc.words) || got.Problem.Transient != tc.again):
				t.Errorf("%s\ngot %+v, want %s with %q", tc.reason, got.Problem, tc.refusal, tc.words)
			}
		})
	}
}

// TestReviewOfWhatIsNotValid reviews what an Action did that is not valid any more, as after an upgrade: who changed it while the request was open still
// reviews nothing, and only who approves it may.
func TestReviewOfWhatIsNotValid(t *testing.T) {
	for name, tc := range map[string]struct{ action, voter, refusal string }{
		"Editor":   {"restart", "bob", v1alpha1.ReasonNotIndependent},
		"Another":  {"restart", "carol", ""},
		"NoRole":   {"restart", "zoe", v1alpha1.ReasonNotAnApprover},
		"Executor": {"restart", "system:serviceaccount:platform:restarter", v1alpha1.ReasonNotIndependent},
		"Gone":     {"gone", "bob", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Approvers.ServiceAccounts = []string{"platform/restarter"}
			hands := &fakeHands{edits: []Edit{{By: v1alpha1.Identity{Username: "bob"}, At: monday.Add(time.Hour), Digest: "now"}}}
			objects := strings.NewReplacer("steps: [", "steps: [{name: Not A Name, delete: {}}, ", "users: [", "users: [carol, ").Replace(independent)
			g := gateOver(t, objects, cfg, fakeFacts{}, clock.RealClock{}).Asks(hands)
			subject := asking("alice", tc.action, "")
			subject.AskedAt, subject.AskedFor = monday, "then"
			if _, problem := g.Context(t.Context(), subject, monday); problem == nil {
				t.Fatal("the Action must not be valid, or be gone")
			}
			j, problem := g.ReviewContext(t.Context(), subject, monday)
			if problem != nil {
				t.Fatal(problem.Message)
			}
			poll := &Poll{Requirements: []v1alpha1.Requirement{{Count: 1, Approvers: v1alpha1.Approvers{Roles: []string{AnyRole}}}}, Requester: &subject.Requester, Review: true}
			got := ""
			if problem := g.Eligible(t.Context(), j, poll, &v1alpha1.Identity{Username: tc.voter}).Problem; problem != nil {
				got = problem.Reason
			}
			if got != tc.refusal {
				t.Errorf("got %q, want %q", got, tc.refusal)
			}
		})
	}
}

// TestOneBehindAnAccount: who could act as a ServiceAccount that voted, too, is one with it, whoever of them came first, and nobody else is.
func TestOneBehindAnAccount(t *testing.T) {
	const checker = "system:serviceaccount:ci:checker"
	for name, tc := range map[string]struct {
		reason string
		voters []string
		acts   string
		want   v1alpha1.ApprovalState
		fails  error
	}{
		"Two":      {reason: "A ServiceAccount nobody else here could act as is one more.", voters: []string{"bob", checker}, want: v1alpha1.ApprovalApproved},
		"One":      {reason: "Who could act as it is one with it.", voters: []string{"bob", checker}, acts: "bob as ci/checker", want: v1alpha1.ApprovalOpen},
		"Earlier":  {reason: "Also where it was there first.", voters: []string{checker, "bob"}, acts: "bob as ci/checker", want: v1alpha1.ApprovalOpen},
		"Others":   {reason: "People do not become one because of it.", voters: []string{checker, "bob", "carol"}, acts: "bob as ci/checker", want: v1alpha1.ApprovalApproved},
		"NotAsked": {reason: "Where nobody answers, nothing is counted.", voters: []string{checker, "bob"}, want: v1alpha1.ApprovalOpen, fails: errors.New("timeout")},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Approvers.ServiceAccounts = []string{"ci/checker"}
			hands := &fakeHands{acts: tc.acts}
			objects := strings.Replace(independent, "default: {effect: RequireApproval}", "default: {effect: RequireApproval, stages: [a]}\n  stages: [{name: a, count: 2, approvers: {roles: [all]}}]", 1)
			g := gateOver(t, strings.Replace(objects, "bob@laptop]", "carol]", 1), cfg, fakeFacts{}, clock.RealClock{}).Asks(hands)
			subject := asking("alice", "restart", "")
			subject.AskedAt, subject.AskedFor = monday, "then"
			j := g.Judge(t.Context(), subject, monday)
			if j.Problem != nil {
				t.Fatal(j.Problem.Message)
			}
			poll := j.Poll(&j.Stages[0], &subject.Requester)
			approval := &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{Stage: j.Stages[0].Ref, Requirements: poll.Requirements, Requester: *poll.Requester}}
			for i, voter := range tc.voters {
				approval.Spec.Votes = append(approval.Spec.Votes, v1alpha1.Vote{Voter: v1alpha1.Identity{Username: voter}, Decision: v1alpha1.DecisionApprove, At: metav1.MicroTime{Time: monday.Add(time.Duration(i) * time.Minute)}})
			}
			hands.noReply = tc.fails
			got, err := g.Count(t.Context(), j, approval)
			if got.State != tc.want || (err != nil) != (tc.fails != nil) {
				t.Errorf("%s\ngot %s, %v", tc.reason, got.State, err)
			}
		})
	}
}

// TestEditorsAreNotCounted: a stage whose only approver has changed the Action meanwhile can be met by nobody, and they are not named as somebody who could.
func TestEditorsAreNotCounted(t *testing.T) {
	for name, tc := range map[string]struct {
		by    string
		after time.Duration
		want  bool
	}{
		"Meanwhile": {"bob@laptop", time.Hour, true},
		"Before":    {"bob", -time.Hour, false},
		"Another":   {"carol", time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Person.Expression = "user.username.split('@')[0]"
			hands := &fakeHands{edits: []Edit{{By: v1alpha1.Identity{Username: tc.by}, At: monday.Add(tc.after), Digest: "now"}}}
			only := strings.Replace(independent, "default: {effect: RequireApproval}", "default: {effect: RequireApproval, stages: [a]}\n  stages: [{name: a, approvers: {users: [bob]}}]", 1)
			g := gateOver(t, only, cfg, fakeFacts{}, clock.RealClock{}).Asks(hands)
			subject := asking("alice", "restart", "")
			subject.AskedAt, subject.AskedFor = monday, "then"
			j := g.Judge(t.Context(), subject, monday)
			if j.Problem != nil {
				t.Fatal(j.Problem.Message)
			}
			poll := j.Poll(&j.Stages[0], &subject.Requester)
			if got := g.Unsatisfiable(j, poll); got != tc.want {
				t.Errorf("unsatisfiable: %t", got)
			}
			if who := g.Who(j, poll.Requirements, &subject.Requester); strings.Contains(who, "bob") == tc.want {
				t.Errorf("who can: %q", who)
			}
		})
	}
}

const onBehalf = `
kind: Action
metadata: {namespace: platform, name: restart}
spec:
  title: Restart
  default: {effect: RequireApproval}
  execution: {serviceAccountName: restarter, steps: [{name: note, patch: {target: {apiVersion: v1, kind: ConfigMap, namespace: a, name: b}, merge: {a: b}}}]}
---
kind: Role
metadata: {namespace: platform, name: all}
spec:
  members: {users: [alice, bob, bob@laptop, carol], serviceAccounts: [flux/apps, ci/agent]}
  permissions: [{verbs: [request, approve], actions: {names: ["*"]}}]
---
kind: Role
metadata: {namespace: platform, name: repositories}
spec:
  members: {serviceAccounts: [flux/apps]}
  permissions: [{verbs: [request-on-behalf], actions: {names: ["*"]}}]
`

// TestOnBehalf names a person for whom it is asked: that takes rights away from both, and gives none.
func TestOnBehalf(t *testing.T) {
	const flux, agent = "system:serviceaccount:flux:apps", "system:serviceaccount:ci:agent"
	for name, tc := range map[string]struct {
		reason, requester, claim, voter string
		refusal, words                  string
	}{
		"NoVerb":     {reason: "Who may ask for themself may not name others.", requester: agent, claim: "bob", refusal: v1alpha1.ReasonNotAuthorized, words: `gives "request-on-behalf" on restart to ` + agent},
		"Themself":   {reason: "A voter who is named is not independent.", requester: flux, claim: "bob", voter: "bob", refusal: v1alpha1.ReasonNotIndependent, words: "it was asked on your behalf, as " + flux + " says"},
		"OtherLogin": {reason: "Also with another login.", requester: flux, claim: "bob", voter: "bob@laptop", refusal: v1alpha1.ReasonNotIndependent, words: "on your behalf"},
		"ByLogin":    {reason: "Also where another login is named.", requester: flux, claim: "bob@phone", voter: "bob", refusal: v1alpha1.ReasonNotIndependent, words: "on your behalf"},
		"Loosely":    {reason: "Nobody gains by how it is written.", requester: flux, claim: " BOB ", voter: "bob", refusal: v1alpha1.ReasonNotIndependent, words: "on your behalf"},
		"Another":    {reason: "Everybody else may vote.", requester: flux, claim: "bob", voter: "carol"},
		"Nobody":     {reason: "A claim that names nobody takes nothing away.", requester: flux, claim: "zoe", voter: "bob"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Person.Expression = "user.username.split('@')[0]"
			g := gateOver(t, onBehalf, cfg, fakeFacts{}, clock.RealClock{}).Asks(&fakeHands{})
			subject := asking("alice", "restart", "")
			subject.Requester = v1alpha1.Identity{Username: tc.requester, Person: tc.requester}
			subject.Spec.OnBehalfOf = &v1alpha1.OnBehalfOf{Username: tc.claim}
			j := g.Judge(t.Context(), subject, monday)
			problem := j.Problem
			if tc.voter != "" {
				if problem != nil {
					t.Fatal(problem.Message)
				}
				if who := g.Who(j, j.Stages[0].Requirements, &subject.Requester); strings.Contains(who, "bob") != (tc.claim == "zoe") {
					t.Errorf("who can approve: %q", who)
				}
				problem = g.Eligible(t.Context(), j, j.Poll(&j.Stages[0], &subject.Requester), &v1alpha1.Identity{Username: tc.voter}).Problem
			}
			if tc.refusal == "" && problem != nil || tc.refusal != "" && (problem == nil || problem.Reason != tc.refusal || !strings.Contains(problem.Message, tc.words)) {
				t.Errorf("%s\ngot %+v, want %q %q", tc.reason, problem, tc.refusal, tc.words)
			}
		})
	}
}
