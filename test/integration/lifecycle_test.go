package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

func deployment(t *testing.T, namespace string) *appsv1.Deployment {
	t.Helper()
	d := &appsv1.Deployment{}
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "checkout"}, d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAllowedRunsAtOnce(t *testing.T) {
	r := ask(t, users.Alice, request("deploy", `{"service":"checkout","environment":"staging","image":"registry/checkout:allowed"}`))
	done := reaches(t, r, v1alpha1.PhaseSucceeded)

	containers := deployment(t, "staging").Spec.Template.Spec.Containers
	if len(containers) != 2 || containers[0].Image != "registry/checkout:allowed" || len(containers[0].Env) != 1 || len(containers[0].Ports) != 1 {
		t.Errorf("the Deployment must have the new image and keep its sidecar, env and ports; got %+v", containers)
	}
	for kind, want := range map[string]metav1.ConditionStatus{
		v1alpha1.ConditionReady: "True", v1alpha1.ConditionFinished: "True", v1alpha1.ConditionExecuted: "True",
		v1alpha1.ConditionApproved: "True", v1alpha1.ConditionAuthorized: "True",
	} {
		if got := meta.FindStatusCondition(done.Status.Conditions, kind); got == nil || got.Status != want {
			t.Errorf("condition %s: want %s, got %+v", kind, want, got)
		}
	}
	if meta.FindStatusCondition(done.Status.Conditions, v1alpha1.ConditionStalled) != nil {
		t.Error("a request that succeeded must not be Stalled")
	}
	if done.Status.ObservedGeneration != done.Generation {
		t.Errorf("observedGeneration: want %d, got %d", done.Generation, done.Status.ObservedGeneration)
	}
	record := &v1alpha1.Record{}
	if err := as(t, users.Audrey).Get(t.Context(), types.NamespacedName{Namespace: env.SystemNamespace, Name: string(r.UID)}, record); err != nil {
		t.Fatalf("the Record is missing: %v", err)
	}
	if record.Status.Outcome != v1alpha1.OutcomeSucceeded || record.Spec.Requester.Username != "alice" || record.Spec.Digest != done.Status.Digest {
		t.Errorf("the Record does not tell what ran and for whom: %+v", record)
	}
}

func TestApprovalLetsItRun(t *testing.T) {
	r := ask(t, users.Alice, request("deploy", `{"service":"checkout","environment":"production","image":"registry/checkout:approved"}`))
	waiting := reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	if want := "owners: 1 of payments (bob, carol, dave)"; waiting.Status.WaitingFor != want {
		t.Errorf("waitingFor: want %q, got %q", want, waiting.Status.WaitingFor)
	}
	if got := deployment(t, "production").Spec.Template.Spec.Containers[0].Image; got == "registry/checkout:approved" {
		t.Fatal("it ran before anybody approved")
	}
	approval := approvalsOf(t, r, 1)[0]
	checkSummary(t, &approval)

	refused(t, vote(t, users.Alice, &approval, "Approve", ""), metav1.StatusReasonForbidden, "you cannot approve this: you asked for it", "Eligible now: bob, carol, dave (team payments)")
	refused(t, vote(t, users.AliceAgain, &approval, "Approve", ""), metav1.StatusReasonForbidden, "You are alice (as alice@laptop); it was requested by alice (as alice)")
	refused(t, vote(t, users.Erin, &approval, "Approve", ""), metav1.StatusReasonForbidden, `you (erin) cannot approve stage "owners"`, "but are not in team payments")
	refused(t, vote(t, users.Mallory, &approval, "Approve", ""), metav1.StatusReasonForbidden, "mallory")
	if err := vote(t, users.Bob, &approval, "Approve", "ok"); err != nil {
		t.Fatalf("an owner could not approve: %v", err)
	}
	done := reaches(t, r, v1alpha1.PhaseSucceeded)
	if got := deployment(t, "production").Spec.Template.Spec.Containers[0].Image; got != "registry/checkout:approved" {
		t.Errorf("it did not run after the approval: image %s", got)
	}
	if text := strings.Join(done.Status.Summary, "\n"); !strings.Contains(text, "Stage owners: approved by bob") {
		t.Errorf("the summary does not say who agreed:\n%s", text)
	}
	closed := &v1alpha1.Approval{}
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(&approval), closed); err != nil {
		t.Fatal(err)
	}
	if closed.Status.State != v1alpha1.ApprovalApproved || closed.Spec.Vote != nil || len(closed.Spec.Votes) != 1 || closed.Spec.Votes[0].Voter.Username != "bob" {
		t.Errorf("the Approval does not hold exactly the vote of bob: %+v %+v", closed.Spec.Votes, closed.Status)
	}
	refused(t, vote(t, users.Carol, &approval, "Deny", "too late"), metav1.StatusReasonForbidden, `stage "owners" is closed`, "approved by bob")
}

func checkSummary(t *testing.T, approval *v1alpha1.Approval) {
	t.Helper()
	patch := "kubectl patch approval -n payments " + approval.Name + ` --type merge -p '{"spec":{"vote":{"decision":`
	digest := strings.TrimPrefix(approval.Spec.Digest, "sha256:")[:8]
	want := []string{
		`alice asks to run "Deploy a service" (platform/deploy).`,
		"inputs: environment=production image=registry/checkout:approved replicas=1 service=checkout",
		`alice wrote: "a test"`,
		"Why approval: production (production needs an owner).",
		"It will, as platform/deployer:",
		"  patch Deployment production/checkout",
		"    spec.template.spec.containers[app].image: " + deployment(t, "production").Spec.Template.Spec.Containers[0].Image + " → registry/checkout:approved",
		"Who can approve: bob, carol, dave (team payments). Not alice.",
		"Approve: " + patch + `"Approve","digest":"` + digest + `"}}}'`,
		"Deny:    " + patch + `"Deny","comment":"why","digest":"` + digest + `"}}}'`,
	}
	if diff := cmp.Diff(want, approval.Spec.Summary); diff != "" {
		t.Errorf("the summary of the Approval: -want, +got:\n%s", diff)
	}
}

func TestDenialIsFinal(t *testing.T) {
	r := ask(t, users.Alice, request("deploy", `{"service":"checkout","environment":"production","image":"registry/checkout:denied"}`))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	approval := approvalsOf(t, r, 1)[0]
	refused(t, vote(t, users.Bob, &approval, "Deny", ""), metav1.StatusReasonInvalid, "spec.vote.comment", "say why")
	if err := vote(t, users.Bob, &approval, "Deny", "wrong image"); err != nil {
		t.Fatal(err)
	}
	done := reaches(t, r, v1alpha1.PhaseDenied)
	stalled := meta.FindStatusCondition(done.Status.Conditions, v1alpha1.ConditionStalled)
	if stalled == nil || stalled.Status != "True" || stalled.Message != `Denied by bob in stage owners: "wrong image"` {
		t.Errorf("condition Stalled: got %+v", stalled)
	}
	refused(t, vote(t, users.Carol, &approval, "Approve", ""), metav1.StatusReasonForbidden, "is closed", "wrong image")
	if got := deployment(t, "production").Spec.Template.Spec.Containers[0].Image; got == "registry/checkout:denied" {
		t.Error("a denied request ran")
	}
}

func TestStagesAfterEachOther(t *testing.T) {
	r := ask(t, users.Alice, request("two-stages", `{}`))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	owners := approvalsOf(t, r, 1)[0]
	if owners.Spec.Stage.Name != "owners" || owners.Spec.Needs != "2 of payments" {
		t.Fatalf("the first stage must be open alone: %s needs %s", owners.Spec.Stage.Name, owners.Spec.Needs)
	}
	for _, who := range []env.Person{users.Bob, users.Carol} {
		if err := vote(t, who, &owners, "Approve", ""); err != nil {
			t.Fatal(err)
		}
	}
	var security v1alpha1.Approval
	for _, approval := range approvalsOf(t, r, 2) {
		if approval.Spec.Stage.Name == "security" {
			security = approval
		}
	}
	if security.Name == "" {
		t.Fatal("the second stage did not open")
	}
	refused(t, vote(t, users.Dave, &security, "Approve", ""), metav1.StatusReasonForbidden, "are not in team security")
	if err := vote(t, users.Erin, &security, "Approve", ""); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
	note := &corev1.ConfigMap{}
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "staging", Name: "two-stages"}, note); err != nil || note.Data["by"] != string(r.UID) {
		t.Errorf("the step did not run: %v %v", err, note.Data)
	}
}

func TestWithdraw(t *testing.T) {
	r := ask(t, users.Alice, request("two-stages", `{}`))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	owners := approvalsOf(t, r, 1)[0]
	for _, step := range []struct {
		who      env.Person
		decision v1alpha1.Decision
	}{{users.Bob, "Approve"}, {users.Bob, "Withdraw"}, {users.Carol, "Approve"}} {
		if err := vote(t, step.who, &owners, step.decision, ""); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "one approval still missing", func() (bool, string) {
		live := &v1alpha1.Approval{}
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(&owners), live)
		return err == nil && live.Status.WaitingFor == "1 of payments" && live.Status.State == v1alpha1.ApprovalOpen, live.Status.WaitingFor
	})
	refused(t, vote(t, users.Dave, &owners, "Withdraw", ""), metav1.StatusReasonForbidden, "you have no vote here")
}

func TestCancel(t *testing.T) {
	r := ask(t, users.Alice, request("deploy", `{"service":"checkout","environment":"production","image":"registry/checkout:cancelled"}`))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	body := `{"spec":{"cancellation":{"reason":"changed my mind"}}}`
	refused(t, patch(t, users.Erin, r, body), metav1.StatusReasonForbidden, "you (erin) may not cancel")
	if err := patch(t, users.Alice, r, body); err != nil {
		t.Fatal(err)
	}
	done := reaches(t, r, v1alpha1.PhaseCancelled)
	if by := done.Spec.Cancellation.By; by == nil || by.Username != "alice" {
		t.Errorf("the cancellation does not say who: %+v", by)
	}
	approval := approvalsOf(t, r, 1)[0]
	if approval.Status.State != v1alpha1.ApprovalSuperseded {
		t.Errorf("the Approval of a cancelled request must be closed, is %s", approval.Status.State)
	}
	refused(t, patch(t, users.Alice, r, `{"spec":{"cancellation":null}}`), metav1.StatusReasonInvalid)
}

func TestDeleteFinished(t *testing.T) {
	r := ask(t, users.Alice, request("deploy", `{"service":"checkout","environment":"staging","image":"registry/checkout:deleted"}`))
	reaches(t, r, v1alpha1.PhaseSucceeded)
	gone(t, r)
}

func TestDeleteWaiting(t *testing.T) {
	r := ask(t, users.Alice, request("deploy", `{"service":"checkout","environment":"production","image":"registry/checkout:gone"}`))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	approval := approvalsOf(t, r, 1)[0]
	refused(t, as(t, users.Ada).Delete(t.Context(), &approval), metav1.StatusReasonForbidden, "an Approval is the evidence of who agreed to what")
	gone(t, r)
	approvalsOf(t, r, 0)
}

func gone(t *testing.T, r *v1alpha1.ActionRequest) {
	t.Helper()
	if err := as(t, users.Ada).Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	vanishes(t, r)
}

func vanishes(t *testing.T, object client.Object) {
	t.Helper()
	eventually(t, object.GetName()+" is gone", func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(object), object)
		return apierrors.IsNotFound(err), fmt.Sprintf("it is still there: %v, held by %q", err, object.GetFinalizers())
	})
}

func TestNamespaceDeletionEnds(t *testing.T) {
	namespace(t, "doomed")
	if err := cluster.Grant(t.Context(), env.RoleRequester, "doomed", env.ToUser("alice")); err != nil {
		t.Fatal(err)
	}
	r := request("deploy", `{"service":"checkout","environment":"production","image":"registry/checkout:doomed"}`)
	r.Namespace = "doomed"
	ask(t, users.Alice, r)
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "doomed"}}
	if err := as(t, users.Ada).Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace is gone", func() (bool, string) {
		err := admin(t).Get(t.Context(), types.NamespacedName{Name: "doomed"}, object)
		return apierrors.IsNotFound(err), "it is still there"
	})
}

func TestActionChangedWhileWaiting(t *testing.T) {
	ctx := t.Context()
	action := &v1alpha1.Action{}
	if err := admin(t).Get(ctx, types.NamespacedName{Namespace: env.CatalogNamespace, Name: "two-stages"}, action); err != nil {
		t.Fatal(err)
	}
	action.ObjectMeta = metav1.ObjectMeta{Namespace: env.CatalogNamespace, Name: "changing"}
	if err := as(t, users.Frank).Create(ctx, action); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin(t).Delete(context.Background(), action) })
	r := ask(t, users.Alice, request("changing", `{}`))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	old := approvalsOf(t, r, 1)[0]
	if err := vote(t, users.Bob, &old, "Approve", ""); err != nil {
		t.Fatal(err)
	}
	body := `[{"op":"replace","path":"/spec/execution/steps/0/apply/manifests/0","value":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"staging","name":"two-stages"},"data":{"more":"changed"}}}]`
	if err := as(t, users.Frank).Patch(ctx, action, client.RawPatch(types.JSONPatchType, []byte(body))); err != nil {
		t.Fatal(err)
	}
	approvals := approvalsOf(t, r, 2)
	eventually(t, "the old Approval is superseded", func() (bool, string) {
		live := &v1alpha1.Approval{}
		err := admin(t).Get(ctx, client.ObjectKeyFromObject(&old), live)
		text := strings.Join(live.Status.Decided, "\n")
		return err == nil && live.Status.State == v1alpha1.ApprovalSuperseded && strings.Contains(text, "Changed:") && strings.Contains(text, "changed"), text
	})
	refused(t, vote(t, users.Bob, &old, "Approve", ""), metav1.StatusReasonForbidden,
		"this changed since you looked, and stage \"owners\" is closed: This is no longer what will be executed: ", "Action platform/changing was edited by frank at ", "Changed: ", "See what is to be decided now: kubectl get approvals -n payments")
	stillChanged(t, r)
	for i := range approvals {
		if approvals[i].Name == old.Name {
			continue
		}
		refused(t, patch(t, users.Bob, &approvals[i], `{"spec":{"vote":{"decision":"Approve","digest":"`+strings.TrimPrefix(old.Spec.Digest, "sha256:")[:8]+`"}}}`),
			metav1.StatusReasonForbidden, "this is not what you looked at")
	}
}

// stillChanged checks that a request tells whose agreement no longer counts, and goes on telling it.
func stillChanged(t *testing.T, r *v1alpha1.ActionRequest) {
	t.Helper()
	for i := range 2 {
		eventually(t, "it says what changed", func() (bool, string) {
			live := &v1alpha1.ActionRequest{}
			if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil {
				return false, err.Error()
			}
			approved := meta.FindStatusCondition(live.Status.Conditions, v1alpha1.ConditionApproved)
			if approved == nil || approved.Reason != v1alpha1.ReasonPlanChanged {
				return false, fmt.Sprintf("%+v", approved)
			}
			words := []string{"What will be executed changed. Votes of bob (", " no longer count. Action platform/changing was edited by frank at ", "It must be agreed to again. Stage owners: 2 of payments more"}
			return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(approved.Message, w) }), approved.Message
		})
		// What has settled is looked at once more.
		if err := admin(t).Patch(t.Context(), r.DeepCopy(), client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"labels":{"looked":"%d"}}}`, i))); err != nil {
			t.Fatal(err)
		}
		reaches(t, ask(t, users.Alice, request("deploy", `{"service":"checkout","environment":"staging","image":"registry/checkout:looked"}`)), v1alpha1.PhaseSucceeded)
	}
}
