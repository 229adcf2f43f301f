package gate

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
)

// Both Actions have a rule whose cost depends on the groups of the requester, and is counted. That of burn is about as dear as a rule can be.
const greedy = `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: hostile, name: burn}
spec:
  title: Burn
  rules:
  - {name: burn, when: "requester.groups.all(a, requester.groups.all(b, requester.groups.all(c, a + b + c != 'x')))", effect: Allow}
  execution: {serviceAccountName: a, steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: web, name: note}}]}}]}
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: deploy}
spec:
  title: Deploy
  rules:
  - {name: pairs, when: "requester.groups.all(a, requester.groups.all(b, a + b != 'x'))", effect: Allow}
  execution: {serviceAccountName: a, steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: web, name: note}}]}}]}
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: hostile, name: all}
spec: {members: {users: [eve, alice]}, permissions: [{verbs: [request], actions: {names: ["*"]}}]}
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: all}
spec: {members: {users: [eve, alice]}, permissions: [{verbs: [request], actions: {names: ["*"]}}]}
`

func greedyRequest(namespace, action string) *Subject {
	s := asking("eve", action, "")
	s.Spec.ActionRef.Namespace = namespace
	for i := range 10 {
		s.Requester.Groups = append(s.Requester.Groups, strings.Repeat("g", i+1))
	}
	return s
}

// TestShareOfANamespace: what one team's expressions cost is bounded all together, and others do not notice.
func TestShareOfANamespace(t *testing.T) {
	clk := clocktesting.NewFakeClock(monday)
	g := gateOver(t, greedy, config.Default(), fakeFacts{}, clk)
	g.shares.atOnce, g.shares.perSecond = 200_000, 100_000
	burn := func() *Judgement { return g.Judge(t.Context(), greedyRequest("hostile", "burn"), monday) }
	if j := burn(); j.Problem != nil || j.Volatile {
		t.Fatalf("the first time there is enough: %+v", j.Problem)
	}
	cost := g.shares.atOnce - g.shares.of("hostile").take(0)
	var all sync.WaitGroup
	answered := make([]bool, 20)
	for i := range answered {
		all.Go(func() { answered[i] = burn().Problem == nil })
	}
	all.Wait()
	if cost <= 0 || cost*20 < g.shares.atOnce {
		t.Fatalf("one judgement costs %v, so that twenty cannot take all of %v: the test proves nothing", cost, g.shares.atOnce)
	}
	if spent := g.shares.atOnce - g.shares.of("hostile").take(0); spent > g.shares.atOnce+cost {
		t.Errorf("many at once spent %v, although there were only %v", spent, g.shares.atOnce)
	}
	// What a judgement costs is measured, so twenty may leave something where the first was slow.
	refused := burn()
	for n := 0; refused.Problem == nil && n < 1000; n++ {
		refused = burn()
	}
	if refused.Problem == nil || refused.Problem.Reason != v1alpha1.ReasonIndeterminate || !refused.Volatile ||
		!strings.Contains(refused.Problem.Message, "for Actions in namespace hostile take too much time") {
		t.Errorf("then nothing can be decided, and that may change by itself; got %+v", refused.Problem)
	}
	if j := g.Judge(t.Context(), greedyRequest("platform", "deploy"), monday); j.Problem != nil || j.Verdict.Effect != v1alpha1.EffectAllow {
		t.Errorf("another team gets its answer; got %+v", j.Problem)
	}
	clk.Step(10 * time.Minute)
	if j := burn(); j.Problem != nil {
		t.Errorf("after a while there is enough again; got %+v", j.Problem)
	}
}

// TestShareOfAPerson: whoever asks again and again, for a dry run or for what is refused, keeps others from nothing.
func TestShareOfAPerson(t *testing.T) {
	clk := clocktesting.NewFakeClock(monday)
	g := gateOver(t, greedy, config.Default(), fakeFacts{}, clk)
	g.shares.atOnce, g.shares.perSecond = 200_000, 100_000
	burn := func(who string) *Judgement {
		request := greedyRequest("hostile", "burn")
		request.Requester.Username, request.Requester.Person = who, who
		return g.Judge(t.Context(), request, monday)
	}
	for range 5 {
		var last *Judgement
		for range 1000 {
			if last = burn("eve"); last.Problem != nil {
				break
			}
		}
		if last.Problem == nil || !last.Volatile {
			t.Fatal("she may ask without end: the test proves nothing")
		}
		clk.Step(2 * time.Second)
	}
	for range 1000 {
		if burn("eve").Problem != nil {
			break
		}
	}
	if j := burn("alice"); j.Problem != nil {
		t.Errorf("somebody else gets no answer: %s", j.Problem.Message)
	}
	if j := burn("eve"); j.Problem == nil || !strings.Contains(j.Problem.Message, "of what one requester gets") {
		t.Errorf("she still has to wait: %+v", j.Problem)
	}
}

// TestRulesOfInputsTakeFromTheShare: what the x-kubernetes-validations of inputs cost counts too.
func TestRulesOfInputsTakeFromTheShare(t *testing.T) {
	const action = `
kind: Action
metadata: {namespace: hostile, name: check}
spec:
  title: Check
  inputs: {openAPIV3Schema: {type: object, properties: {list: {type: array, maxItems: 100, items: {type: string, maxLength: 10},
    x-kubernetes-validations: [{rule: "self.all(a, self.all(b, a + b != 'x'))"}]}}}}
  default: {effect: Allow}
  execution: {serviceAccountName: a, steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: web, name: note}}]}}]}
---
kind: Role
metadata: {namespace: hostile, name: all}
spec: {members: {users: [eve]}, permissions: [{verbs: [request], actions: {names: ["*"]}}]}
`
	g := gateOver(t, action, config.Default(), fakeFacts{}, clocktesting.NewFakeClock(monday))
	g.shares.atOnce = 1_000_000
	subject := asking("eve", "check", `{"list":["`+strings.Repeat(`a","`, 99)+`b"]}`)
	subject.Spec.ActionRef.Namespace = "hostile"
	var last *Judgement
	for range 1000 {
		if last = g.Judge(t.Context(), subject, monday); last.Problem != nil {
			break
		}
	}
	if p := last.Problem; p == nil || p.Reason != v1alpha1.ReasonIndeterminate || !p.Transient || len(p.Fields) > 0 || !strings.Contains(p.Message, "take too much time") {
		t.Errorf("got %+v", p)
	}
}

// TestSharesAreNotPushedOut: nobody gets a new share by asking for Actions that do not exist.
func TestSharesAreNotPushedOut(t *testing.T) {
	g := gateOver(t, greedy, config.Default(), fakeFacts{}, clocktesting.NewFakeClock(monday))
	g.shares.of("hostile").take(2 * g.shares.atOnce)
	for i := range maxShares + 1 {
		g.Judge(t.Context(), greedyRequest(fmt.Sprintf("n%d", i), "burn"), monday)
	}
	if j := g.Judge(t.Context(), greedyRequest("hostile", "burn"), monday); j.Problem == nil {
		t.Error("the share was used up, and is whole again")
	}
}

// TestVotesWaitForTheirTurn: a voter who cannot be judged for want of time is not a voter who may not vote, so that no approval is lost.
func TestVotesWaitForTheirTurn(t *testing.T) {
	const approver = `
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: hostile, name: approvers}
spec:
  members: {users: [bob]}
  permissions: [{verbs: [approve], actions: {names: ["*"]}, when: "requester.groups.all(a, requester.groups.all(b, requester.groups.all(c, a + b + c != 'x')))"}]
`
	clk := clocktesting.NewFakeClock(monday)
	g := gateOver(t, greedy+approver, config.Default(), fakeFacts{}, clk)
	subject := greedyRequest("hostile", "burn")
	j := g.Judge(t.Context(), subject, monday)
	if j.Problem != nil {
		t.Fatal(j.Problem.Message)
	}
	approval := &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{
		Digest: "d", Requester: subject.Requester,
		Requirements: []v1alpha1.Requirement{{Name: "r", Count: 1, Approvers: v1alpha1.Approvers{Users: []string{"bob"}}}},
		Votes:        []v1alpha1.Vote{{Voter: v1alpha1.Identity{Username: "bob", Person: "bob"}, Decision: v1alpha1.DecisionApprove, Digest: "d"}},
	}}
	result, err := g.Count(t.Context(), j, approval)
	if err != nil || result.State != v1alpha1.ApprovalApproved {
		t.Fatalf("bob may vote; got %+v, %v", result, err)
	}
	g.shares.of("hostile").take(2 * g.shares.atOnce)
	if result, err := g.Count(t.Context(), j, approval); err == nil {
		t.Errorf("nobody can tell now; got %+v", result)
	}
	clk.Step(10 * time.Minute)
	if result, err := g.Count(t.Context(), j, approval); err != nil || result.State != v1alpha1.ApprovalApproved {
		t.Errorf("the vote counts again; got %+v, %v", result, err)
	}
}
