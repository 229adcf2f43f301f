package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// frozen puts the world of emergencies in force, with a freeze that lasts for another month, and gives the last day of it.
func frozen(t *testing.T) time.Time {
	t.Helper()
	last := time.Now().UTC().AddDate(0, 0, 30)
	calendar := fmt.Sprintf(`{"apiVersion":"signoff.dev/v1alpha1","kind":"Calendar","metadata":{"namespace":%q,"name":"em-freeze"},
		"spec":{"timeZone":"UTC","windows":[{"dates":{"from":%q,"through":%q}}]}}`,
		env.SystemNamespace, time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly), last.Format(time.DateOnly))
	if err := cluster.Apply(t.Context(), []byte(calendar)); err != nil {
		t.Fatal(err)
	}
	if err := cluster.ApplyFile(t.Context(), "test/integration/testdata/emergency.yaml"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the freeze is in force", func() (bool, string) {
		err := as(t, users.Alice).Create(t.Context(), request("em-strict", `{}`), client.DryRunAll)
		mad := as(t, users.Alice).Create(t.Context(), request("em-mad", `{}`), client.DryRunAll)
		held := as(t, users.Alice).Create(t.Context(), emergency("em-held"), client.DryRunAll)
		text := fmt.Sprint(err, mad, held)
		return strings.Contains(text, "never ever") && strings.Contains(text, "critical applications are frozen") && mad != nil && held == nil, text
	})
	return last
}

// emergency is a request that breaks the glass.
func emergency(action string) *v1alpha1.ActionRequest {
	r := request(action, `{}`)
	r.Spec.BreakGlass = &v1alpha1.BreakGlass{Reason: "checkout is down"}
	return r
}

// review finds the open review of a request.
func review(t *testing.T, r *v1alpha1.ActionRequest) *v1alpha1.Approval {
	t.Helper()
	approval := approvalsOf(t, r, 1)[0]
	if !approval.Spec.Review || approval.Spec.Stage.Name != "review" {
		t.Fatalf("an emergency opens a review: got stage %s, review %t", approval.Spec.Stage.Name, approval.Spec.Review)
	}
	return &approval
}

// hasReviewed waits for the condition Reviewed of a request.
func hasReviewed(t *testing.T, r *v1alpha1.ActionRequest, status metav1.ConditionStatus, reason string) *metav1.Condition {
	t.Helper()
	var condition *metav1.Condition
	eventually(t, fmt.Sprintf("condition Reviewed=%s %s of %s", status, reason, r.Name), func() (bool, string) {
		live := &v1alpha1.ActionRequest{}
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live)
		condition = meta.FindStatusCondition(live.Status.Conditions, v1alpha1.ConditionReviewed)
		return condition != nil && condition.Status == status && condition.Reason == reason, fmt.Sprintf("%v %+v", err, condition)
	})
	return condition
}

// closes waits until a review has a state.
func closes(t *testing.T, approval *v1alpha1.Approval, state v1alpha1.ApprovalState) *v1alpha1.Approval {
	t.Helper()
	live := &v1alpha1.Approval{}
	eventually(t, fmt.Sprintf("Approval %s is %s", approval.Name, state), func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(approval), live)
		return err == nil && live.Status.State == state, fmt.Sprintf("%v %s", err, live.Status.State)
	})
	return live
}

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

func TestBreakGlassRunsAtOnceAndIsReviewed(t *testing.T) {
	frozen(t)
	r := ask(t, users.Alice, emergency("em-frozen"))
	done := reaches(t, r, v1alpha1.PhaseSucceeded)
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "emergency", Name: string(r.UID)}, &corev1.ConfigMap{}); err != nil {
		t.Fatalf("it did not run: %v", err)
	}
	hasReviewed(t, r, metav1.ConditionFalse, v1alpha1.ReasonAwaitingReview)
	checkOverridden(t, done)
	open := review(t, r)
	checkReview(t, done, open)

	refused(t, vote(t, users.Alice, open, "Approve", ""), metav1.StatusReasonForbidden, "you cannot approve this: you asked for it")
	refused(t, vote(t, users.AliceAgain, open, "Approve", ""), metav1.StatusReasonForbidden, "You are alice (as alice@laptop)")
	refused(t, vote(t, users.Bob, open, "Approve", ""), metav1.StatusReasonForbidden, `you (bob) cannot approve stage "review"`)
	refused(t, as(t, users.Ada).Delete(t.Context(), done), metav1.StatusReasonForbidden, "broke the glass and cannot be deleted before it is reviewed", "kubectl describe approval -n payments "+open.Name)
	refused(t, as(t, users.Ada).Delete(t.Context(), open), metav1.StatusReasonForbidden, "an Approval is the evidence")
	if err := vote(t, users.Erin, open, "Approve", "was right"); err != nil {
		t.Fatalf("a reviewer could not review: %v", err)
	}
	closed := closes(t, open, v1alpha1.ApprovalApproved)
	if text := strings.Join(closed.Status.Decided, " "); !strings.Contains(text, "approved by erin") {
		t.Errorf("decided: %q", text)
	}
	if c := hasReviewed(t, r, metav1.ConditionTrue, v1alpha1.ReasonReviewed); !strings.Contains(c.Message, "approved by erin") {
		t.Errorf("the condition does not say who reviewed: %q", c.Message)
	}
	if err := as(t, users.Ada).Delete(t.Context(), done); err != nil {
		t.Errorf("a request that is reviewed can be deleted: %v", err)
	}
}

func checkOverridden(t *testing.T, r *v1alpha1.ActionRequest) {
	t.Helper()
	for _, rule := range r.Status.Verdict.Rules {
		if rule.Name == "policy/em-freeze/frozen" && rule.Answer == v1alpha1.RuleOverridden {
			return
		}
	}
	t.Errorf("the verdict must mark the rule as Overridden: %+v", r.Status.Verdict.Rules)
}

func checkReview(t *testing.T, r *v1alpha1.ActionRequest, open *v1alpha1.Approval) {
	t.Helper()
	if due := open.Spec.ExpiresAt.Sub(r.Status.Execution.StartedAt.Time); due < 8*time.Hour-time.Minute || due > 8*time.Hour {
		t.Errorf("the review is due 8h after the start, got %s", due)
	}
	if open.Spec.Digest != r.Status.Digest || open.Spec.For != "checkout is down" {
		t.Errorf("the review must be about what ran, and why: %s, %q", open.Spec.Digest, open.Spec.For)
	}
	for _, words := range []string{"alice broke the glass", `"checkout is down"`, "ActionPolicy em-freeze, rule frozen", "Not alice."} {
		if text := strings.Join(open.Spec.Summary, "\n"); !strings.Contains(text, words) {
			t.Errorf("a reviewer does not read %q:\n%s", words, text)
		}
	}
	eventually(t, "a loud Event", func() (bool, string) {
		list := &eventsv1.EventList{}
		err := admin(t).List(t.Context(), list, client.InNamespace(r.Namespace))
		for i := range list.Items {
			if e := &list.Items[i]; e.Reason == v1alpha1.ReasonBreakGlass && e.Regarding.UID == r.UID && e.Type == corev1.EventTypeWarning {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%d Events, %v", len(list.Items), err)
	})
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

// TestHitAndRun deletes an emergency the moment it is made: either the deletion is refused because the review is open, or nothing ran.
func TestHitAndRun(t *testing.T) {
	frozen(t)
	for range 10 {
		r := ask(t, users.Alice, emergency("em-frozen"))
		err := as(t, users.Ada).Delete(t.Context(), r.DeepCopy())
		if err != nil {
			refused(t, err, metav1.StatusReasonForbidden, "cannot be deleted")
			reaches(t, r, v1alpha1.PhaseSucceeded)
			review(t, r)
			continue
		}
		eventually(t, "the request is gone", func() (bool, string) {
			err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), &v1alpha1.ActionRequest{})
			return apierrors.IsNotFound(err), fmt.Sprint(err)
		})
		err = admin(t).Get(t.Context(), types.NamespacedName{Namespace: "emergency", Name: string(r.UID)}, &corev1.ConfigMap{})
		if !apierrors.IsNotFound(err) {
			t.Fatalf("an emergency ran, and its review is gone with the request: %v", err)
		}
	}
}
