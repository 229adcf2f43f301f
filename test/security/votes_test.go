package security

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// refusedEach merges every body as bob, and expects that nothing comes of it.
func refusedEach(t *testing.T, approval *v1alpha1.Approval, bodies map[string]string) {
	t.Helper()
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			refused(t, patch(t, users.Bob, approval, body), metav1.StatusReasonInvalid)
		})
	}
	if now := live(t, approval); len(now.Spec.Votes) != 0 || now.Spec.Requirements[0].Count != approval.Spec.Requirements[0].Count {
		t.Errorf("a refused write left something: %+v", now.Spec)
	}
}

// TestCase18VoteWithAnotherChange votes, and changes what is voted on in the same write.
func TestCase18VoteWithAnotherChange(t *testing.T) {
	_, approval := opened(t, users.Alice, request("two-stages", `{}`))
	refusedEach(t, approval, map[string]string{
		"LowerTheCount":    `{"spec":{"vote":{"decision":"Approve"},"requirements":[{"name":"payments","count":1,"approvers":{"teams":["payments"]}}]}}`,
		"OtherApprovers":   `{"spec":{"vote":{"decision":"Approve"},"requirements":[{"name":"payments","count":2,"approvers":{"users":["bob","mallory"]}}]}}`,
		"Summary":          `{"spec":{"vote":{"decision":"Approve"},"summary":["harmless"]}}`,
		"For":              `{"spec":{"vote":{"decision":"Approve"},"for":"harmless"}}`,
		"Later":            `{"spec":{"vote":{"decision":"Approve"},"expiresAt":"2099-01-01T00:00:00Z"}}`,
		"Digest":           `{"spec":{"vote":{"decision":"Approve"},"digest":"sha256:` + strings.Repeat("0", 64) + `"}}`,
		"Owner":            `{"metadata":{"ownerReferences":null},"spec":{"vote":{"decision":"Approve"}}}`,
		"OurLabel":         `{"metadata":{"labels":{"signoff.dev/request-uid":"x"}},"spec":{"vote":{"decision":"Approve"}}}`,
		"Label":            `{"metadata":{"labels":{"mine":"x"}},"spec":{"vote":{"decision":"Approve"}}}`,
		"Annotation":       `{"metadata":{"annotations":{"mine":"x"}},"spec":{"vote":{"decision":"Approve"}}}`,
		"OnlyOurLabel":     `{"metadata":{"labels":{"signoff.dev/request-uid":"x"}}}`,
		"OnlyRequirements": `{"spec":{"requirements":[{"name":"payments","count":1,"approvers":{"teams":["payments"]}}]}}`,
	})
}

// TestCase19VoteForSomebodyElse adds votes that are not the caller's.
func TestCase19VoteForSomebodyElse(t *testing.T) {
	_, approval := opened(t, users.Alice, request("two-stages", `{}`))
	carols, bobs := voteOf(t, approval, "carol"), voteOf(t, approval, "bob")
	refusedEach(t, approval, map[string]string{
		"Forged":      `{"spec":{"votes":[` + carols + `]}}`,
		"VoteAndMore": `{"spec":{"vote":{"decision":"Approve"},"votes":[` + carols + `]}}`,
		"OwnAndOther": `{"spec":{"votes":[` + bobs + `,` + carols + `]}}`,
		"OwnByHand":   `{"spec":{"votes":[` + bobs + `]}}`,
	})
}

// TestCase20OnePersonTwice lets bob agree twice: again, with a second login, in two groups, and many times at the same instant.
func TestCase20OnePersonTwice(t *testing.T) {
	again := engineer(t, "bob@laptop")
	r, approval := opened(t, users.Alice, request("two-engineers", `{}`))
	var both sync.WaitGroup
	for i := range 12 {
		who := []env.Person{users.Bob, again}[i%2]
		c := as(t, who)
		both.Go(func() {
			body := fmt.Sprintf(`{"spec":{"vote":{"decision":"Approve","comment":"%d"}}}`, i)
			_ = c.Patch(t.Context(), approval.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(body)))
		})
	}
	both.Wait()
	eventually(t, "the votes are counted", func() (bool, string) {
		now := live(t, approval)
		counted := now.Status.Seal != nil && len(now.Spec.Votes) > 1 && int(now.Status.Seal.Votes) == len(now.Spec.Votes)
		return counted, fmt.Sprintf("%d votes, %+v", len(now.Spec.Votes), now.Status)
	})
	if now := live(t, approval); now.Status.State != v1alpha1.ApprovalOpen || now.Status.WaitingFor != "1 of engineering" {
		t.Errorf("one person is one vote: %+v", now.Status)
	}
	neverStarts(t, r, v1alpha1.PhaseAwaitingApproval)
	_, hats := opened(t, users.Alice, request("two-hats", `{}`))
	votes(t, users.Bob, hats, v1alpha1.DecisionApprove)
	eventually(t, "one of both demands is met", func() (bool, string) {
		now := live(t, hats)
		return now.Status.State == v1alpha1.ApprovalOpen && strings.HasPrefix(now.Status.WaitingFor, "1 of "), fmt.Sprintf("%+v", now.Status)
	})
	votes(t, users.Carol, hats, v1alpha1.DecisionApprove)
	closes(t, hats, v1alpha1.ApprovalApproved)
}

// staged is an Action with one stage.
func staged(name, stage string) string {
	return `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: ` + name + `}, spec: {title: a, default: {effect: RequireApproval, stages: [a]},
		stages: [` + stage + `], execution: {serviceAccountName: deployer, steps: [{name: note, apply: {conflicts: Take, manifests: [
		{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: "${request.uid}"}, data: {text: a}}]}}]}}}`
}

// TestCase21CountNobodyCanReach demands nobody, fewer than nobody, and more than there are.
func TestCase21CountNobodyCanReach(t *testing.T) {
	for _, count := range []string{"1.5", `"1"`} {
		if err := as(t, users.Frank).Create(t.Context(), object(t, staged("counted", `{name: a, count: `+count+`, approvers: {users: [bob]}}`))); err == nil {
			t.Errorf("%s is no number of people", count)
		}
	}
	for _, count := range []string{"0", "-1", "65"} {
		refused(t, as(t, users.Frank).Create(t.Context(), object(t, staged("counted", `{name: a, count: `+count+`, approvers: {users: [bob]}}`))), metav1.StatusReasonInvalid, "count")
	}
	apply(t, staged("nobody-there", `{name: a, approvers: {teams: [nobody-at-all]}}`))
	eventually(t, "the refusal without a Team", func() (bool, string) {
		err := as(t, users.Alice).Create(t.Context(), request("nobody-there", `{}`))
		return err != nil && strings.Contains(err.Error(), `there is no Team "nobody-at-all". Nobody could agree`), errText(err)
	})
	for name, stage := range map[string]string{
		"more-than-there-are": `{name: a, count: 3, approvers: {users: [bob, carol]}}`,
		"twice-the-same":      `{name: a, count: 2, approvers: {users: [bob, "bob@laptop"]}}`,
		"only-the-requester":  `{name: a, approvers: {users: [alice, "alice@laptop"]}}`,
		"only-machines":       `{name: a, approvers: {serviceAccounts: [agents/bot], users: [assistant]}}`,
		"one-for-both":        `{name: a, requirements: [{name: one, count: 1, approvers: {users: [bob]}}, {name: two, count: 1, approvers: {users: [bob]}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apply(t, staged(name, stage))
			r := neverStarts(t, ask(t, users.Alice, request(name, `{}`)), v1alpha1.PhaseAwaitingApproval)
			approved := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionApproved)
			if approved == nil || approved.Reason != v1alpha1.ReasonUnsatisfiable || !strings.Contains(r.Status.WaitingFor, "UNSATISFIABLE") {
				t.Errorf("it must say so at once: %q, %+v", r.Status.WaitingFor, approved)
			}
		})
	}
}

// TestCase22VoteThatNoLongerCountsIsCastAgain takes the Role away by which somebody voted, and gives it back by another group: what they say again is
// what they said, and this time it counts. Nor is a second login's vote left out because the first said the same.
func TestCase22VoteThatNoLongerCountsIsCastAgain(t *testing.T) {
	role := func(group string) {
		apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: cast-again}, spec: {members: {groups: [`+group+`]},
			permissions: [{verbs: [approve], actions: {names: [cast-again]}}]}}`)
	}
	role("first")
	apply(t, staged("cast-again", `{name: a, count: 2, approvers: {roles: [cast-again]}}`))
	stranger(t, "nina")
	stranger(t, "nina@laptop")
	_, approval := opened(t, users.Alice, request("cast-again", `{}`))
	cast := func(who env.Person, want int) {
		t.Helper()
		eventually(t, fmt.Sprintf("vote %d of %s", want, who.Name), func() (bool, string) {
			err := vote(t, who, approval, v1alpha1.DecisionApprove, "because")
			all := live(t, approval).Spec.Votes
			return err == nil && len(all) == want, fmt.Sprintf("%v, %+v", err, all)
		})
	}
	first := login(t, "nina", "first")
	cast(first, 1)
	cast(first, 1)
	role("second")
	cast(login(t, "nina", "second"), 2)
	cast(login(t, "nina@laptop", "second"), 3)
	eventually(t, "one of two agreed", func() (bool, string) {
		now := live(t, approval)
		return now.Status.State == v1alpha1.ApprovalOpen && strings.HasPrefix(now.Status.WaitingFor, "1 of "), fmt.Sprintf("%+v", now.Status)
	})
}

// TestCase22ApproveAndDenyAtOnce approves and denies, and approves and takes back, at the same instant: a denial that was accepted wins, and of
// one person the vote that is stored last.
func TestCase22ApproveAndDenyAtOnce(t *testing.T) {
	for range 6 {
		r, approval := open(t)
		var approved, denied error
		together(func() { approved = castAs(t, users.Bob, approval, "Approve") }, func() { denied = castAs(t, users.Carol, approval, "Deny") })
		if approved != nil && denied != nil {
			t.Fatalf("one of both must come first: %v, %v", approved, denied)
		}
		phase := v1alpha1.PhaseSucceeded
		if denied == nil {
			phase = v1alpha1.PhaseDenied
		}
		reaches(t, r, phase)
		if executed(t, r) != (phase == v1alpha1.PhaseSucceeded) {
			t.Errorf("%s has a Record although it is %s, or none", r.Name, phase)
		}
	}
	_, approval := opened(t, users.Alice, request("two-stages", `{}`))
	votes(t, users.Bob, approval, v1alpha1.DecisionApprove)
	for range 3 {
		together(func() { _ = castAs(t, users.Bob, approval, "Withdraw") }, func() { _ = castAs(t, users.Bob, approval, "Approve") })
	}
	cast := live(t, approval).Spec.Votes
	want := "1 of payments"
	if cast[len(cast)-1].Decision == v1alpha1.DecisionWithdraw {
		want = "2 of payments"
	}
	eventually(t, want+" after the last vote", func() (bool, string) {
		now := live(t, approval)
		return now.Status.WaitingFor == want && int(now.Status.Seal.Votes) == len(cast), fmt.Sprintf("%+v", now.Status)
	})
}

// castAs votes without waiting for anything, and may be called beside the test.
func castAs(t *testing.T, who env.Person, approval *v1alpha1.Approval, decision string) error {
	body := fmt.Sprintf(`{"spec":{"vote":{"decision":%q,"comment":"because"}}}`, decision)
	return as(t, who).Patch(t.Context(), approval.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(body)))
}

func together(what ...func()) {
	var all sync.WaitGroup
	for _, each := range what {
		all.Go(each)
	}
	all.Wait()
}

// TestCase23ApproverLeaves takes somebody who agreed out of the Team before the start, which makes the vote void. Groups are those of the login
// that voted: nobody can ask an identity provider, and a group that is left later does not take a vote back. Roles and Teams do.
func TestCase23ApproverLeaves(t *testing.T) {
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Team, metadata: {name: leavers}, spec: {members: {users: [bob, carol]}}}`)
	apply(t, staged("leavers", `{name: a, approvers: {teams: [leavers]}}`))
	r, approval, release := agreed(t, request("leavers", `{}`), users.Bob)
	team := &v1alpha1.Team{ObjectMeta: metav1.ObjectMeta{Name: "leavers"}}
	if err := patch(t, users.Grace, team, `{"spec":{"members":{"users":["carol"]}}}`); err != nil {
		t.Fatal(err)
	}
	release()
	neverStarts(t, r, v1alpha1.PhaseAwaitingApproval)
	if now := live(t, approval); len(now.Spec.Votes) != 1 {
		t.Errorf("what was said stays said: %+v", now.Spec.Votes)
	}
	gina := engineer(t, "gina")
	kept, snapshot, release := agreed(t, request("two-engineers", `{}`), users.Bob, gina)
	if cast := live(t, snapshot).Spec.Votes; !slices.Contains(cast[1].Voter.Groups, env.GroupEngineering) {
		t.Errorf("the vote must say as a member of which groups: %+v", cast[1].Voter)
	}
	_, other := opened(t, users.Alice, request("two-engineers", `{}`))
	refused(t, vote(t, login(t, "gina"), other, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden)
	release()
	reaches(t, kept, v1alpha1.PhaseSucceeded)
}

// judgedUnknown is how often admission came to no answer.
func judgedUnknown(t *testing.T) float64 {
	t.Helper()
	count, _ := play.Metric(t, "signoff_judgements_total", map[string]string{"reason": v1alpha1.ReasonIndeterminate})
	return count
}

// TestCase24NothingDecides takes away what decides: nothing is ever approved by that.
func TestCase24NothingDecides(t *testing.T) {
	apply(t, strings.NewReplacer("default: {effect: RequireApproval, stages: [a]},", "", "stages: [],", "").Replace(staged("silent", "")))
	eventually(t, "the refusal without a rule", func() (bool, string) {
		err := as(t, users.Alice).Create(t.Context(), request("silent", `{}`))
		return err != nil && strings.Contains(err.Error(), "no rule of the Action allows this"), errText(err)
	})
	refused(t, as(t, users.Alice).Create(t.Context(), request("no-such-action", `{}`)), metav1.StatusReasonInvalid, "spec.actionRef")
	waiting, approval := opened(t, users.Alice, request("two-engineers", `{}`))
	before := judgedUnknown(t)
	remove := policy(t, "nothing-decides", `{match: {actions: {names: [two-engineers]}}, rules: [{name: unknown, during: {calendar: not-there}, effect: Hold}]}`)
	eventually(t, "the refusal without the Calendar", func() (bool, string) {
		err := as(t, users.Alice).Create(t.Context(), request("two-engineers", `{}`))
		return err != nil && strings.Contains(err.Error(), "nothing-decides") && strings.Contains(err.Error(), "Nothing was stored."), errText(err)
	})
	if after := judgedUnknown(t); after <= before {
		t.Errorf("the metric must count it: %v, then %v", before, after)
	}
	now := neverStarts(t, waiting, v1alpha1.PhasePending)
	if ready := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionReady); ready.Reason != v1alpha1.ReasonIndeterminate || !strings.Contains(ready.Message, "not-there") {
		t.Errorf("it must say why: %+v", ready)
	}
	// Votes are collected meanwhile, and start nothing.
	votes(t, users.Bob, approval, v1alpha1.DecisionApprove)
	votes(t, users.Carol, approval, v1alpha1.DecisionApprove)
	eventually(t, "the votes are counted", func() (bool, string) {
		now := live(t, approval)
		return now.Status.Seal != nil && now.Status.Seal.Votes == 2, fmt.Sprintf("%+v", now.Status)
	})
	neverStarts(t, waiting, v1alpha1.PhasePending)
	remove()
	reaches(t, waiting, v1alpha1.PhaseSucceeded)
}

// TestCase25AllowedWhenAskedAndNoLonger lets the condition that allowed a request go before the start.
func TestCase25AllowedWhenAskedAndNoLonger(t *testing.T) {
	label := func(open string) {
		apply(t, `{apiVersion: v1, kind: Namespace, metadata: {name: gated, labels: {open: "`+open+`"}}}`)
	}
	label("yes")
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: gated}, spec: {title: a, target: {apiVersion: v1, kind: ConfigMap, namespace: gated, name: note},
		rules: [{name: open, when: "namespaceObject.metadata.labels['open'] == 'yes'", effect: Allow}],
		execution: {serviceAccountName: deployer, steps: [{name: note, apply: {manifests: [`+someMap+`]}}]}}}`)
	release := policy(t, "gated", `{match: {actions: {names: [gated]}}, rules: [{name: wait, effect: Hold}]}`)
	r := ask(t, users.Alice, request("gated", `{}`))
	if held := reaches(t, r, v1alpha1.PhaseHeld); held.Status.Verdict.Effect != v1alpha1.EffectHold {
		t.Fatalf("it is allowed but for the hold: %+v", held.Status.Verdict)
	}
	label("no")
	release()
	eventually(t, "the denial", func() (bool, string) {
		now := live(t, r)
		ready := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionReady)
		return ready.Reason == v1alpha1.ReasonDeniedByRule, fmt.Sprintf("%+v", ready)
	})
	neverStarts(t, r, v1alpha1.PhaseHeld)
}

// TestCase26VoteEditedOrRemoved changes and removes a vote, as who cast it, as a colleague, and with every right of RBAC.
func TestCase26VoteEditedOrRemoved(t *testing.T) {
	ctx := t.Context()
	r, approval := opened(t, users.Alice, request("two-stages", `{}`))
	votes(t, users.Bob, approval, v1alpha1.DecisionApprove)
	before := live(t, approval).Spec.Votes
	for _, who := range []env.Person{users.Bob, users.Carol, nora(t), users.Ada} {
		c := as(t, who)
		replaced := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			empty := live(t, approval)
			empty.Spec.Votes = []v1alpha1.Vote{}
			return c.Update(ctx, empty)
		})
		json := func(body string) error {
			return c.Patch(ctx, live(t, approval), client.RawPatch(types.JSONPatchType, []byte(body)))
		}
		for name, err := range map[string]error{
			"Emptied":  patch(t, who, live(t, approval), `{"spec":{"votes":[]}}`),
			"Removed":  json(`[{"op":"remove","path":"/spec/votes/0"}]`),
			"Decision": json(`[{"op":"replace","path":"/spec/votes/0/decision","value":"Deny"}]`),
			"Comment":  json(`[{"op":"replace","path":"/spec/votes/0/comment","value":"never"}]`),
			"Voter":    json(`[{"op":"replace","path":"/spec/votes/0/voter/username","value":"dave"}]`),
			"Seal":     json(`[{"op":"remove","path":"/spec/votes/0/seal"}]`),
			"Doubled":  json(`[{"op":"copy","from":"/spec/votes/0","path":"/spec/votes/-"}]`),
			"Replaced": replaced,
		} {
			reason := metav1.StatusReasonInvalid
			if name == "Doubled" && who == users.Bob {
				reason = metav1.StatusReasonForbidden // it looks like a vote of his, and its seal says that it is none
			}
			t.Run(who.Name+name, func(t *testing.T) { refused(t, err, reason) })
		}
	}
	for name, err := range map[string]error{
		"Bob":   as(t, users.Bob).Delete(ctx, live(t, approval)),
		"Nadia": as(t, users.Nadia).Delete(ctx, live(t, approval)),
		"Nora":  as(t, nora(t)).Delete(ctx, live(t, approval)),
		"Ada":   as(t, users.Ada).Delete(ctx, live(t, approval), client.PropagationPolicy(metav1.DeletePropagationOrphan)),
		"All":   as(t, nora(t)).DeleteAllOf(ctx, &v1alpha1.Approval{}, client.InNamespace(env.WorkNamespace), client.MatchingFields{"metadata.name": approval.Name}),
	} {
		t.Run("DeletedBy"+name, func(t *testing.T) { refused(t, err, metav1.StatusReasonForbidden) })
	}
	votes(t, users.Bob, approval, v1alpha1.DecisionWithdraw)
	after := live(t, approval).Spec.Votes
	if len(before) != 1 || len(after) != 2 || !apiequality.Semantic.DeepEqual(after[0], before[0]) {
		t.Errorf("a withdrawal is a vote more: %+v, %+v", before, after)
	}
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
}
