package gate

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
)

// later asks bob, and from some time on carol too.
const later = `
kind: Action
metadata: {namespace: platform, name: two}
spec:
  title: Two
  default: {effect: RequireApproval, stages: [owners]}
  stages:
  - {name: owners, count: 2, denials: 2, approvers: {users: [bob]}, escalation: {after: 2h, approvers: {users: [carol]}}}
  execution: {serviceAccountName: a, steps: [{name: note, patch: {target: {apiVersion: v1, kind: ConfigMap, namespace: a, name: b}, merge: {a: b}}}]}
---
kind: Action
metadata: {namespace: platform, name: empty}
spec:
  title: Empty
  default: {effect: RequireApproval, stages: [owners]}
  stages:
  - {name: owners, approvers: {users: [bob]}, escalation: {after: 2h, approvers: {expression: "[request.name].filter(n, n == 'x')"}}}
  execution: {serviceAccountName: a, steps: [{name: note, patch: {target: {apiVersion: v1, kind: ConfigMap, namespace: a, name: b}, merge: {a: b}}}]}
---
kind: Role
metadata: {namespace: platform, name: all}
spec: {members: {users: [alice, bob, carol]}, permissions: [{verbs: [request, approve], actions: {names: ["*"]}}]}
`

// TestEscalationIsAFunctionOfTime judges voters of one Approval at different times.
func TestEscalationIsAFunctionOfTime(t *testing.T) {
	g := gateOver(t, later, config.Default(), fakeFacts{}, clock.RealClock{})
	subject := asking("alice", "two", "")
	j := g.Judge(t.Context(), subject, monday)
	if j.Problem != nil {
		t.Fatal(j.Problem.Message)
	}
	approval := &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{
		Digest: "d", Requester: subject.Requester, Requirements: j.Stages[0].Requirements, Denials: j.Stages[0].Denials,
		Escalation: j.Stages[0].Escalation(monday, monday.Add(24*time.Hour)),
	}}
	poll := PollOf(approval)
	if g.Unsatisfiable(j, poll) {
		t.Error("with those who are asked later there are two")
	}
	if alone := *poll; true {
		alone.Escalation = nil
		if !g.Unsatisfiable(j, &alone) {
			t.Error("bob alone is not two")
		}
	}
	for _, name := range []string{"bob", "carol"} {
		approval.Spec.Votes = append(approval.Spec.Votes, v1alpha1.Vote{
			Voter: v1alpha1.Identity{Username: name, Person: name}, Decision: v1alpha1.DecisionApprove, Digest: "d", At: metav1.NewMicroTime(monday),
		})
	}
	for name, tc := range map[string]struct {
		reason  string
		at      time.Duration
		state   v1alpha1.ApprovalState
		missing []int
		denials int
	}{
		"Before": {"Carol is not asked yet, and only one person could deny.", 2*time.Hour - time.Millisecond, v1alpha1.ApprovalOpen, []int{1}, 1},
		"At":     {"From then on she is, also where her vote was there before.", 2 * time.Hour, v1alpha1.ApprovalApproved, []int{0}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			at := *j
			at.Now = monday.Add(tc.at)
			got, err := g.Count(t.Context(), &at, approval)
			if err != nil || got.State != tc.state || !cmp.Equal(got.Missing, tc.missing) || g.Denials(&at, poll) != tc.denials {
				t.Errorf("%s\ngot %+v with %d denials, %v", tc.reason, got, g.Denials(&at, poll), err)
			}
		})
	}
}

// TestEscalationThatNamesNobody: that nobody can be asked later is no reason not to ask the others now.
func TestEscalationThatNamesNobody(t *testing.T) {
	g := gateOver(t, later, config.Default(), fakeFacts{}, clock.RealClock{})
	j := g.Judge(t.Context(), asking("alice", "empty", ""), monday)
	if j.Problem != nil || j.Stages[0].Escalation(monday, monday.Add(24*time.Hour)) != nil {
		t.Errorf("got %+v, %+v", j.Problem, j.Stages)
	}
	j = g.Judge(t.Context(), asking("alice", "two", ""), monday)
	if j.Stages[0].Escalation(monday, monday.Add(2*time.Hour)) != nil {
		t.Error("a request that is over by then is not escalated")
	}
}
