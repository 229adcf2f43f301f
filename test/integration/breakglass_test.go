package integration

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

func TestFreezeRefusesAndSaysWhoPasses(t *testing.T) {
	last := frozen(t)
	for _, who := range []env.Person{users.Dave, users.Alice} {
		refused(t, as(t, who).Create(t.Context(), request("em-frozen", `{}`)), metav1.StatusReasonForbidden,
			"critical applications are frozen", "ActionPolicy em-freeze, rule frozen", "until "+last.Format("Mon 2 Jan 2006")+" 23:59 UTC",
			"Emergency: alice may set spec.breakGlass.reason; alice, alice@laptop, search reviews it within 8 h.")
	}
	refused(t, as(t, users.Dave).Create(t.Context(), emergency("em-frozen")), metav1.StatusReasonForbidden,
		"you (dave) may not break-glass platform/em-frozen", `gives "break-glass" on em-frozen`, "role em-commander (alice, carol)")
	refused(t, as(t, users.Carol).Create(t.Context(), emergency("em-frozen")), metav1.StatusReasonForbidden,
		"critical applications are frozen", "alice may, and you (carol) are not one of them")
}

func TestReviewDenied(t *testing.T) {
	frozen(t)
	r := ask(t, users.Alice, emergency("em-frozen"))
	reaches(t, r, v1alpha1.PhaseSucceeded)
	open := review(t, r)
	if err := vote(t, users.Erin, open, "Deny", "there was no fire"); err != nil {
		t.Fatal(err)
	}
	closes(t, open, v1alpha1.ApprovalDenied)
	if c := hasReviewed(t, r, metav1.ConditionFalse, v1alpha1.ReasonReviewDenied); !strings.Contains(c.Message, "there was no fire") {
		t.Errorf("the condition does not say why: %q", c.Message)
	}
	if live := reaches(t, r, v1alpha1.PhaseSucceeded); live.Status.Outcome != v1alpha1.OutcomeSucceeded {
		t.Errorf("what ran has run: %s", live.Status.Outcome)
	}
}

func TestBreakGlassDoesNotPass(t *testing.T) {
	frozen(t)
	later := emergency("em-frozen")
	at := metav1.NewTime(time.Now().Add(time.Hour).Truncate(time.Second))
	later.Spec.NotBefore = &at
	for name, tc := range map[string]struct {
		reason  string
		request *v1alpha1.ActionRequest
		status  metav1.StatusReason
		words   []string
	}{
		"OneDenialWithoutOverride": {
			"Every denial must permit it.", emergency("em-strict"), metav1.StatusReasonForbidden,
			[]string{"never ever", "spec.breakGlass does not pass ActionPolicy em-strict, rule never: it has no override, so nobody passes it."},
		},
		"Indeterminate": {
			"No error means yes, also in an emergency.", emergency("em-mad"), metav1.StatusReasonForbidden,
			[]string{"policy/em-mad/mad", "Nothing was stored."},
		},
		"NotBefore": {
			"An emergency does not wait.", later, metav1.StatusReasonInvalid,
			[]string{"spec.notBefore: Forbidden: an emergency does not wait: leave out notBefore, or breakGlass"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			refused(t, as(t, users.Alice).Create(t.Context(), tc.request), tc.status, tc.words...)
		})
	}
}

func TestBreakGlassPassesApprovalAndHold(t *testing.T) {
	frozen(t)
	asked := ask(t, users.Carol, emergency("em-asked"))
	reaches(t, asked, v1alpha1.PhaseSucceeded)
	open := review(t, asked)
	if open.Spec.Needs != "2 of bob, erin" {
		t.Errorf("those who would have had to agree review: needs %q", open.Spec.Needs)
	}
	if err := vote(t, users.Bob, open, "Approve", ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one more is needed", func() (bool, string) {
		live := &v1alpha1.Approval{}
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(open), live)
		return live.Status.WaitingFor == "1 of bob, erin", fmt.Sprint(err, live.Status)
	})
	if err := vote(t, users.Erin, open, "Approve", ""); err != nil {
		t.Fatal(err)
	}
	hasReviewed(t, asked, metav1.ConditionTrue, v1alpha1.ReasonReviewed)

	held := ask(t, users.Carol, emergency("em-held"))
	reaches(t, held, v1alpha1.PhaseSucceeded)
	open = review(t, held)
	if due := time.Until(open.Spec.ExpiresAt.Time); due < 23*time.Hour || due > 24*time.Hour || open.Spec.Needs != "1 of approvers" {
		t.Errorf("whoever may approve reviews within a day: needs %q, due in %s", open.Spec.Needs, due)
	}
}

// TestReviewersAtOnce: one agrees at the moment at which another takes that back. Whatever comes of it, the review, the request and the Record say the same.
func TestReviewersAtOnce(t *testing.T) {
	frozen(t)
	reasons := map[v1alpha1.ApprovalState]string{v1alpha1.ApprovalApproved: v1alpha1.ReasonReviewed, v1alpha1.ApprovalDenied: v1alpha1.ReasonReviewDenied}
	for range 3 {
		r := ask(t, users.Carol, emergency("em-asked"))
		reaches(t, r, v1alpha1.PhaseSucceeded)
		open := review(t, r)
		if err := vote(t, users.Erin, open, "Approve", ""); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		both.Go(func() { _ = vote(t, users.Bob, open, "Approve", "") })
		both.Go(func() { _ = vote(t, users.Erin, open, "Deny", "there was no fire") })
		both.Wait()
		live := &v1alpha1.Approval{}
		eventually(t, "the review is closed", func() (bool, string) {
			err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(open), live)
			return err == nil && reasons[live.Status.State] != "", fmt.Sprint(err, live.Status.State)
		})
		world.Kept(t, live)
		status := metav1.ConditionFalse
		if live.Status.State == v1alpha1.ApprovalApproved {
			status = metav1.ConditionTrue
		}
		hasReviewed(t, r, status, reasons[live.Status.State])
	}
}

// TestReviewFollowsTeams: a vote on a review counts as long as its voter is named, and is looked at when that changes, without another vote.
func TestReviewFollowsTeams(t *testing.T) {
	apply(t, strings.ReplaceAll(`{apiVersion: signoff.dev/v1alpha1, kind: Team, metadata: {name: em-team}, spec: {members: {users: [bob, erin]}}}
---
{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: em-teamed}, spec: {members: {users: [carol]}, permissions: [{verbs: [request, break-glass], actions: {names: [em-teamed]}}]}}
---
{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: em-teamed}, spec: {title: Write a note, default: {effect: RequireApproval, stages: [owners]},
  stages: [{name: owners, approvers: {teams: [em-team]}, count: 2}], execution: {serviceAccountName: deployer, steps: [{name: write, `+merges+`}]}}}`, "NAME", "em-teamed"))
	configMap(t, "em-teamed")
	r := ask(t, users.Carol, emergency("em-teamed"))
	reaches(t, r, v1alpha1.PhaseSucceeded)
	open := review(t, r)
	if err := vote(t, users.Erin, open, "Approve", ""); err != nil {
		t.Fatal(err)
	}
	team := &v1alpha1.Team{ObjectMeta: metav1.ObjectMeta{Name: "em-team"}}
	for _, step := range []struct{ members, want string }{{`"bob","erin"`, "1 of em-team"}, {`"bob","dave"`, "2 of em-team"}, {`"bob","erin"`, "1 of em-team"}} {
		if err := patch(t, env.Person{Config: cluster.Admin}, team, `{"spec":{"members":{"users":[`+step.members+`]}}}`); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it waits for "+step.want, func() (bool, string) {
			live := &v1alpha1.Approval{}
			err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(open), live)
			return live.Status.WaitingFor == step.want, fmt.Sprint(err, live.Status)
		})
	}
}
