package security

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// statusForgery is what somebody writes past the webhooks into the status of a genuine request that one of two people has agreed to.
type statusForgery struct {
	reason string
	forge  func(*v1alpha1.ActionRequestStatus)
	// then looks what came of it.
	then func(*testing.T, *v1alpha1.ActionRequest)
}

const forgedDigest = "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

// statusForgeries are the parts of a status, each as it would be if the request had come further than it has.
func statusForgeries() map[string]statusForgery {
	says := func(status *v1alpha1.ActionRequestStatus, reason string, conditions ...string) {
		for _, kind := range conditions {
			meta.SetStatusCondition(&status.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: reason, Message: "forged"})
		}
	}
	steps := func() []v1alpha1.StepStatus { return []v1alpha1.StepStatus{{Name: "note", State: v1alpha1.StepDone}} }
	return map[string]statusForgery{
		"Agreed": {"What is shown of the votes is never read back: one is still missing.", func(status *v1alpha1.ActionRequestStatus) {
			status.Phase, status.Approvals, status.WaitingFor = v1alpha1.PhaseApproved, "1/1", ""
			says(status, v1alpha1.ReasonApproved, v1alpha1.ConditionApproved, v1alpha1.ConditionAuthorized)
		}, putRight},
		"Allowed": {"The rules are asked, not what they are said to have answered.", func(status *v1alpha1.ActionRequestStatus) {
			status.Phase, status.Approvals = v1alpha1.PhaseApproved, ""
			status.Verdict.Effect, status.Verdict.Stages, status.Verdict.Rules = v1alpha1.EffectAllow, nil, nil
			says(status, v1alpha1.ReasonNotRequired, v1alpha1.ConditionApproved)
		}, putRight},
		"AnotherPlan": {"People agree to what will run, not to what somebody says will.", func(status *v1alpha1.ActionRequestStatus) {
			status.Digest, status.Summary = forgedDigest, []string{"Changes nothing."}
			status.Plan = []v1alpha1.PlannedChange{{Step: "note", Operation: "patch", Object: "ConfigMap staging/harmless"}}
		}, putRight},
		"Done": {"Only a Record tells what was done, and there is none.", func(status *v1alpha1.ActionRequestStatus) {
			status.Phase, status.Approvals, status.Steps = v1alpha1.PhaseSucceeded, "1/1", steps()
			says(status, v1alpha1.ReasonSucceeded, v1alpha1.ConditionReady, v1alpha1.ConditionFinished, v1alpha1.ConditionExecuted, v1alpha1.ConditionApproved)
		}, putRight},
		"Lent": {"Nothing was lent, so nothing is to be taken back.", func(status *v1alpha1.ActionRequestStatus) {
			status.Phase, status.ActiveUntil = v1alpha1.PhaseActive, &metav1.Time{Time: time.Now().Add(time.Hour).Truncate(time.Second)}
			says(status, v1alpha1.ReasonActive, v1alpha1.ConditionExecuted, v1alpha1.ConditionReady)
		}, putRight},
		"Begun": {"A claim without its Record is one of which nobody can tell what was done: it ends.", func(status *v1alpha1.ActionRequestStatus) {
			status.Phase, status.Approvals, status.Steps = v1alpha1.PhaseExecuting, "1/1", steps()
			status.Execution = &v1alpha1.ExecutionClaim{ID: "forged", StartedAt: metav1.NewTime(time.Now().Truncate(time.Second)), Digest: status.Digest}
		}, func(t *testing.T, r *v1alpha1.ActionRequest) {
			endedBecause(t, r, v1alpha1.ReasonFailed, "The Record of this execution is gone, so nobody can tell what was done. Nothing more is executed.")
			unwritten(t, r)
		}},
		"Over": {"An end is final, whoever wrote it: nothing runs, and nobody can vote any more.", func(status *v1alpha1.ActionRequestStatus) {
			status.Phase, status.Outcome = v1alpha1.PhaseSucceeded, v1alpha1.OutcomeSucceeded
			says(status, v1alpha1.ReasonSucceeded, v1alpha1.ConditionReady, v1alpha1.ConditionFinished)
		}, func(t *testing.T, r *v1alpha1.ActionRequest) {
			eventually(t, "the vote is refused", func() (bool, string) {
				err := vote(t, users.Carol, &approvalsOf(t, r, 1)[0], v1alpha1.DecisionApprove, "")
				return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "is over or gone"), errText(err)
			})
			unwritten(t, r)
		}},
	}
}

// TestCase27StatusForgedPastEverything writes status while neither webhooks nor policies are there. No vote is forged: one of two is missing. Nothing runs by what status
// says; once somebody protects it again it says what is true, or why the request has ended, and the vote that is missing still counts.
func TestCase27StatusForgedPastEverything(t *testing.T) {
	evil, all := as(t, nora(t)), statusForgeries()
	requests := map[string]*v1alpha1.ActionRequest{}
	for name := range all {
		r, approval := opened(t, users.Alice, request("two-engineers", `{}`))
		votes(t, users.Bob, approval, v1alpha1.DecisionApprove)
		eventually(t, "the vote is shown", func() (bool, string) {
			requests[name] = live(t, r)
			status := &requests[name].Status
			return strings.Contains(status.WaitingFor, "1 of engineering") && len(status.Plan) > 0, status.WaitingFor
		})
	}
	unguarded(t, func() {
		for name, tc := range all {
			written(t, func() error {
				now := live(t, requests[name])
				tc.forge(&now.Status)
				return evil.Status().Update(t.Context(), now)
			})
		}
	})
	for name, tc := range all {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			tc.then(t, requests[name])
		})
	}
}

// unwritten looks whether a request was executed, and whether what it writes is there.
func unwritten(t *testing.T, r *v1alpha1.ActionRequest) {
	t.Helper()
	err := admin(t).Get(t.Context(), client.ObjectKey{Namespace: "staging", Name: string(r.UID)}, &corev1.ConfigMap{})
	if executed(t, r) || !apierrors.IsNotFound(err) {
		t.Errorf("%s was executed by its status: %v", r.Name, err)
	}
}

// putRight waits until a request shows what it did before it was forged, and that it still needs the vote that is missing, and no other.
func putRight(t *testing.T, r *v1alpha1.ActionRequest) {
	t.Helper()
	eventually(t, "the status is put right", func() (bool, string) {
		diff := cmp.Diff(showing(r), showing(live(t, r)))
		return diff == "", diff
	})
	unwritten(t, r)
	votes(t, users.Carol, &approvalsOf(t, r, 1)[0], v1alpha1.DecisionApprove)
	reaches(t, r, v1alpha1.PhaseSucceeded)
	if got := recordOf(t, r).Spec.Digest; got != r.Status.Digest {
		t.Errorf("what ran has the digest %s, and %s was agreed to", got, r.Status.Digest)
	}
}

// showing is what a request shows, but for when it came to that.
func showing(r *v1alpha1.ActionRequest) *v1alpha1.ActionRequestStatus {
	status := r.Status.DeepCopy()
	for i := range status.Conditions {
		status.Conditions[i].LastTransitionTime = metav1.Time{}
	}
	if status.Verdict != nil {
		status.Verdict.EvaluatedAt = metav1.Time{}
	}
	return status
}
