package security

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/test/play"
)

// What an attacker found, and what must hold since.

// TestCase22DenialOfAStageNoLongerNeeded denies in a stage that facts no longer demand: who was told "final" must be able to rely on it.
func TestCase22DenialOfAStageNoLongerNeeded(t *testing.T) {
	r := ask(t, users.Alice, request("tiered", `{}`))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	var owners, security v1alpha1.Approval
	for _, approval := range approvalsOf(t, r, 2) {
		if approval.Spec.Stage.Name == "owners" {
			owners = approval
		} else {
			security = approval
		}
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "tiered"}}
	silver := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"tier":"silver"}}}`))
	if err := as(t, users.Ada).Patch(t.Context(), namespace, silver); err != nil {
		t.Fatal(err)
	}
	if err := vote(t, users.Dave, &owners, "Deny", "no"); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseDenied)
	refused(t, vote(t, users.Carol, &security, "Approve", ""), metav1.StatusReasonForbidden, "Nothing more can be decided here")
	for _, approval := range approvalsOf(t, r, 2) {
		if approval.Status.State == v1alpha1.ApprovalOpen {
			t.Errorf("the request is over, and Approval %s is still open", approval.Name)
		}
	}
}

// TestCase22NoVoteAfterCancel votes after a cancellation was stored: the vote is refused, and nothing runs.
func TestCase22NoVoteAfterCancel(t *testing.T) {
	t.Parallel()
	for range 5 {
		r := ask(t, users.Alice, request("deploy", play.ProductionInputs))
		reaches(t, r, v1alpha1.PhaseAwaitingApproval)
		approval := approvalsOf(t, r, 1)[0]
		if err := patch(t, users.Alice, r, `{"spec":{"cancellation":{"reason":"stop"}}}`); err != nil {
			t.Fatal(err)
		}
		_ = vote(t, users.Bob, &approval, "Approve", "") // it may come before the cache knows; it must not help
		reaches(t, r, v1alpha1.PhaseCancelled)
	}
}

// TestCase49CancelWhileAStepWaits stops an execution whose step has written its object and waits for what never comes.
func TestCase49CancelWhileAStepWaits(t *testing.T) {
	r := ask(t, users.Alice, request("slow", `{}`))
	reaches(t, r, v1alpha1.PhaseExecuting)
	refused(t, as(t, users.Ada).Delete(t.Context(), r.DeepCopy()), metav1.StatusReasonForbidden, "is executing and cannot be deleted. Cancel it first")
	if err := patch(t, users.Alice, r, `{"spec":{"cancellation":{"reason":"stop"}}}`); err != nil {
		t.Fatal(err)
	}
	done := reaches(t, r, v1alpha1.PhaseCancelled)
	finished := meta.FindStatusCondition(done.Status.Conditions, v1alpha1.ConditionFinished)
	if finished == nil || !strings.Contains(finished.Message, "Step wait had written its objects and was waiting; what it wrote stays.") {
		t.Errorf("it does not say what stays: %+v", finished)
	}
	tellsWhoStopped(t, r, "stop", "alice")
	err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "staging", Name: "slow-more"}, &corev1.ConfigMap{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the step after the cancellation ran: %v", err)
	}
}

// tellsWhoStopped expects one line about a request that was executing, with the seal of who cancelled it, beside the one that says how it ended.
func tellsWhoStopped(t *testing.T, r *v1alpha1.ActionRequest, reason, who string) {
	t.Helper()
	eventually(t, "who stopped it is in the audit log", func() (bool, string) {
		var found []string
		for _, fact := range told(t, audit.TypeCancelled, r.Namespace+"/"+r.Name) {
			if fact.Data.Seals.Cancel != nil && fact.Data.Reason == reason {
				found = append(found, string(fact.Data.Seals.Cancel.Payload))
			}
		}
		return len(found) == 1 && strings.Contains(found[0], `"username":"`+who+`"`), strings.Join(found, "\n")
	})
}

// TestCase51OldValuesAreHidden asks as an agent that may not read the target: the plan must not read it to the agent.
func TestCase51OldValuesAreHidden(t *testing.T) {
	r := ask(t, users.Agent, request("deploy", play.ProductionInputs))
	waiting := reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	fields := strings.Join(waiting.Status.Plan[0].Fields, "\n")
	if want := "spec.template.spec.containers[app].image: (hidden) → registry/checkout:x"; fields != want {
		t.Errorf("plan: want %q, got %q", want, fields)
	}
}

// TestCase59TerminalTricks asks with words that move the cursor and forge lines: an approver's terminal must show them escaped.
func TestCase59TerminalTricks(t *testing.T) {
	r := request("deploy", play.ProductionInputs)
	r.Spec.Reason = "ok\nApprove: kubectl evil\x1b[2J\u202e"
	ask(t, users.Alice, r)
	approval := approvalsOf(t, r, 1)[0]
	shown := approval.Spec.Reason + approval.Spec.For + strings.Join(approval.Spec.Summary, "")
	if strings.ContainsAny(shown, "\n\x1b\u202e") {
		t.Errorf("the Approval holds what a terminal obeys: %q", shown)
	}
	if err := vote(t, users.Bob, &approval, "Deny", "no\x1b[2J"); err != nil {
		t.Fatal(err)
	}
	if comment := approvalsOf(t, r, 1)[0].Spec.Votes[0].Comment; comment != `no\x1b[2J` {
		t.Errorf("the comment is %q", comment)
	}
}

// TestCase62OrphanedApprovals deletes a request and keeps its Approvals, which must not leave anything stuck.
func TestCase62OrphanedApprovals(t *testing.T) {
	r := ask(t, users.Alice, request("deploy", play.ProductionInputs))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	if err := as(t, users.Ada).Delete(t.Context(), r, client.PropagationPolicy(metav1.DeletePropagationOrphan)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the request is gone", func() (bool, string) {
		live := &v1alpha1.ActionRequest{}
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live)
		return apierrors.IsNotFound(err), strings.Join(live.Finalizers, ", ")
	})
}

// TestCase22CancelAndApproveAtOnce cancels and approves at the same moment. Either may win; but a cancellation that was stored before the
// stage was closed, and so before the start, must stop the execution.
func TestCase22CancelAndApproveAtOnce(t *testing.T) {
	t.Parallel()
	for range 8 {
		r := ask(t, users.Alice, request("deploy", play.ProductionInputs))
		reaches(t, r, v1alpha1.PhaseAwaitingApproval)
		approval := approvalsOf(t, r, 1)[0]
		cancelled := r.DeepCopy()
		var both sync.WaitGroup
		both.Go(func() {
			body := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"cancellation":{"reason":"stop"}}}`))
			if err := as(t, users.Alice).Patch(t.Context(), cancelled, body); err != nil {
				cancelled = nil
			}
		})
		both.Go(func() { _ = vote(t, users.Bob, &approval, "Approve", "") })
		both.Wait()
		live := &v1alpha1.ActionRequest{}
		eventually(t, "the end of the request", func() (bool, string) {
			err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live)
			return err == nil && live.Status.Outcome != "", string(live.Status.Phase)
		})
		if live.Status.Outcome != v1alpha1.OutcomeSucceeded || cancelled == nil {
			continue
		}
		closed := approvalsOf(t, r, 1)[0]
		if version(t, cancelled) < version(t, &closed) {
			t.Errorf("%s ran although its cancellation was stored before the stage was closed", r.Name)
		}
	}
}

func version(t *testing.T, object client.Object) uint64 {
	t.Helper()
	v, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
