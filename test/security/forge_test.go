package security

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// identity is the stamp of a user, as our webhook would write it.
func identity(who string, groups ...string) *v1alpha1.Identity {
	return &v1alpha1.Identity{Username: who, Groups: append(groups, "system:authenticated"), Person: who}
}

// copied makes a request of another one's content under another name, with its stamp.
func copied(r *v1alpha1.ActionRequest, name string) *v1alpha1.ActionRequest {
	out := &v1alpha1.ActionRequest{Spec: *r.Spec.DeepCopy()}
	out.Namespace, out.Name, out.Finalizers, out.Annotations = r.Namespace, name, r.Finalizers, r.Annotations
	return out
}

// forgedVote writes a vote of somebody into an Approval, past spec.vote.
func forgedVote(t *testing.T, who env.Person, approval *v1alpha1.Approval, voters ...*v1alpha1.Identity) error {
	t.Helper()
	votes := approval.Spec.Votes
	for _, voter := range voters {
		votes = append(votes, v1alpha1.Vote{Decision: v1alpha1.DecisionApprove, Voter: *voter, At: metav1.NowMicro(), Digest: approval.Spec.Digest})
	}
	body, err := json.Marshal(map[string]any{"spec": map[string]any{"votes": votes}})
	if err != nil {
		t.Fatal(err)
	}
	return patch(t, who, approval, string(body))
}

func patchStatus(t *testing.T, who env.Person, object client.Object, body string) error {
	t.Helper()
	return as(t, who).Status().Patch(t.Context(), object.DeepCopyObject().(client.Object), client.RawPatch(types.MergePatchType, []byte(body)))
}

func newApproval(r *v1alpha1.ActionRequest, like *v1alpha1.Approval) *v1alpha1.Approval {
	forged := &v1alpha1.Approval{Spec: *like.Spec.DeepCopy()}
	forged.Namespace, forged.Name, forged.Labels = r.Namespace, "forged", like.Labels
	forged.Spec.RequestRef = v1alpha1.RequestReference{Name: r.Name, UID: r.UID}
	forged.Spec.Votes = []v1alpha1.Vote{}
	return forged
}

// forgeries are what somebody tries who may write anything that RBAC lets write. Each gives what it made, or the refusal.
func forgeries(r *v1alpha1.ActionRequest, approval *v1alpha1.Approval) map[string]func(*testing.T, env.Person) (*v1alpha1.ActionRequest, error) {
	create := func(t *testing.T, who env.Person, forged *v1alpha1.ActionRequest) (*v1alpha1.ActionRequest, error) {
		t.Helper()
		return forged, as(t, who).Create(t.Context(), forged)
	}
	status := func(body string) func(*testing.T, env.Person) (*v1alpha1.ActionRequest, error) {
		return func(t *testing.T, who env.Person) (*v1alpha1.ActionRequest, error) {
			return nil, patchStatus(t, who, r, body)
		}
	}
	return map[string]func(*testing.T, env.Person) (*v1alpha1.ActionRequest, error){
		"RequestOfAlice": func(t *testing.T, who env.Person) (*v1alpha1.ActionRequest, error) {
			forged := request("deploy", play.StagingInputs)
			forged.GenerateName, forged.Name, forged.Finalizers = "", "forged", []string{v1alpha1.RequestFinalizer}
			forged.Spec.Requester = identity("alice", env.GroupEngineering)
			return create(t, who, forged)
		},
		"RequestWithForeignGroups": func(t *testing.T, who env.Person) (*v1alpha1.ActionRequest, error) {
			forged := request("deploy", play.StagingInputs)
			forged.GenerateName, forged.Name, forged.Finalizers = "", "forged-groups", []string{v1alpha1.RequestFinalizer}
			forged.Spec.Requester = identity(who.Name, env.GroupEngineering)
			return create(t, who, forged)
		},
		"Copy": func(t *testing.T, who env.Person) (*v1alpha1.ActionRequest, error) {
			return create(t, who, copied(r, "forged-copy"))
		},
		"ApprovalMade": func(t *testing.T, who env.Person) (*v1alpha1.ActionRequest, error) {
			return nil, as(t, who).Create(t.Context(), newApproval(r, approval))
		},
		"VoteOfBob": func(t *testing.T, who env.Person) (*v1alpha1.ActionRequest, error) {
			return nil, forgedVote(t, who, approval, identity("bob", env.GroupEngineering, env.GroupPayments))
		},
		"ApprovalClosed": func(t *testing.T, who env.Person) (*v1alpha1.ActionRequest, error) {
			return nil, patchStatus(t, who, approval, `{"status":{"state":"Approved"}}`)
		},
		"StatusApproved": status(`{"status":{"phase":"Approved","approvals":"1/1"}}`),
		"ClaimForged":    status(fmt.Sprintf(`{"status":{"execution":{"id":"forged","startedAt":"2026-01-01T00:00:00Z","digest":%q}}}`, approval.Spec.Digest)),
		"OutcomeForged":  status(`{"status":{"outcome":"Succeeded"}}`),
	}
}

// reasonOf is how a forgery is refused: a vote could be made right.
func reasonOf(forgery string) metav1.StatusReason {
	if forgery == "VoteOfBob" {
		return metav1.StatusReasonInvalid
	}
	return metav1.StatusReasonForbidden
}

// TestCase27SecondLineWithoutWebhooks: with the webhooks gone, the second line refuses forgeries, with words.
func TestCase27SecondLineWithoutWebhooks(t *testing.T) {
	guarded(t)
	eve := nora(t)
	r, approval := open(t)
	back := without(t, protection(t, play.WebhookKinds...)...)
	notInForce(t, "MutatingWebhookConfiguration signoff is missing")
	for name, forge := range forgeries(r, approval) {
		t.Run(name, func(t *testing.T) {
			_, err := forge(t, eve)
			refused(t, err, reasonOf(name), "ValidatingAdmissionPolicy '")
		})
	}
	for name, tc := range map[string]struct {
		do     func() error
		status metav1.StatusReason
		word   string
	}{
		"TwoVotes": {func() error {
			return forgedVote(t, users.Bob, approval, identity("bob", env.GroupEngineering, env.GroupPayments), identity("bob"))
		}, metav1.StatusReasonInvalid, "one vote at a time"},
		"Owner":   {func() error { return patch(t, eve, approval, `{"metadata":{"ownerReferences":null}}`) }, metav1.StatusReasonInvalid, "belongs to its request for ever"},
		"Deleted": {func() error { return as(t, eve).Delete(t.Context(), approval.DeepCopy()) }, metav1.StatusReasonForbidden, "it goes with its request " + r.Name + ", never before"},
		"NobodyAsks": {func() error {
			return as(t, users.Alice).Create(t.Context(), request("deploy", play.StagingInputs))
		}, metav1.StatusReasonForbidden, "the admission webhook of Signoff did not see it. Nothing was stored."},
	} {
		t.Run(name, func(t *testing.T) { refused(t, tc.do(), tc.status, tc.word) })
	}
	// A vote through spec.vote, as people vote, is refused by the schema: nobody is told that it counts.
	refused(t, vote(t, users.Bob, approval, "Approve", ""), metav1.StatusReasonInvalid, "nothing was recorded")
	showsMissing(t, r, v1alpha1.PhaseHeld, "MutatingWebhookConfiguration signoff is missing")

	back()
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	if err := vote(t, users.Bob, approval, "Approve", ""); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
}

// TestCase33NothingStartsWithoutProtection is about 32 and 34 too: with webhooks and policies gone everything can be written, and nothing of it
// starts.
func TestCase33NothingStartsWithoutProtection(t *testing.T) {
	guarded(t)
	eve := nora(t)
	r, approval := open(t)
	objects := protection(t, append(play.PolicyKinds, play.WebhookKinds...)...)
	guardRings(t, false)
	back := without(t, objects...)
	notInForce(t, "MutatingWebhookConfiguration signoff is missing")
	guardRings(t, true)
	var made []*v1alpha1.ActionRequest
	all := forgeries(r, approval)
	// Sorted, so that the Approval is closed before it gets a vote: an open one with a vote without a seal ends the request at once.
	for _, name := range slices.Sorted(maps.Keys(all)) {
		forge := all[name]
		if name == "OutcomeForged" || name == "ClaimForged" {
			continue // these end the request; see below
		}
		eventually(t, name, func() (bool, string) {
			forged, err := forge(t, eve)
			if err == nil && forged != nil {
				made = append(made, forged)
			}
			return err == nil, fmt.Sprint(err)
		})
	}
	showsMissing(t, r, v1alpha1.PhaseHeld, "MutatingWebhookConfiguration signoff is missing")
	// A claim that has no Record, and an outcome, start nothing: they end the request.
	claimed := copied(r, "forged-claim")
	if err := as(t, eve).Create(t.Context(), claimed); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"ClaimForged", "OutcomeForged"} {
		if _, err := forgeries(claimed, approval)[key](t, eve); err != nil && !apierrors.IsInvalid(err) {
			t.Errorf("%s: %v", key, err)
		}
	}
	for _, each := range append(made, r, claimed) {
		if executed(t, each) {
			t.Errorf("%s was executed without a guard", each.Name)
		}
	}
	back()
	guardRings(t, false)
	for _, forged := range made {
		reason := v1alpha1.ReasonNotStamped
		if forged.Spec.Seal != nil {
			reason = v1alpha1.ReasonSealInvalid
		}
		neverRan(t, forged, reason, "without Signoff's admission webhook", "Signoff's admission webhook was absent")
	}
	neverRan(t, r, v1alpha1.ReasonNotStamped, "webhook was absent")
	for _, each := range append(made, r, claimed) {
		if executed(t, each) {
			t.Errorf("%s was executed once the guard was back", each.Name)
		}
	}
}

// guardRings tells whether the alert on the guard would ring.
func guardRings(t *testing.T, want bool) {
	t.Helper()
	const alert = "SignoffGuardMissing"
	if got := play.Rings(t, alert); got != want {
		t.Errorf("%s rings: %t, want %t", alert, got, want)
	}
}

// TestCase33ExecutionStopsWithoutGuard: what began goes no further than the step that waits, and goes on by itself.
func TestCase33ExecutionStopsWithoutGuard(t *testing.T) {
	guarded(t)
	r := ask(t, users.Alice, request("slow", `{}`))
	reaches(t, r, v1alpha1.PhaseExecuting)
	t.Cleanup(func() { unslow(t) })
	back := without(t, protection(t, "ValidatingWebhookConfiguration")...)
	notInForce(t, "ValidatingWebhookConfiguration signoff is missing")
	// The first step now has what it waits for.
	waited := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "staging", Name: "slow"}}
	if err := admin(t).Patch(t.Context(), waited, client.RawPatch(types.MergePatchType, []byte(`{"data":{"never":"at last"}}`))); err != nil {
		t.Fatal(err)
	}
	showsMissing(t, r, v1alpha1.PhaseExecuting, "ValidatingWebhookConfiguration signoff is missing")
	second := types.NamespacedName{Namespace: "staging", Name: "slow-more"}
	if err := admin(t).Get(t.Context(), second, &corev1.ConfigMap{}); !apierrors.IsNotFound(err) {
		t.Errorf("the second step ran without a guard: %v", err)
	}
	back()
	reaches(t, r, v1alpha1.PhaseSucceeded)
	if err := admin(t).Get(t.Context(), second, &corev1.ConfigMap{}); err != nil {
		t.Errorf("the second step did not run: %v", err)
	}
}

// unslow removes what the Action slow wrote, so that it waits again for others.
func unslow(t *testing.T) {
	t.Helper()
	for _, name := range []string{"slow", "slow-more"} {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "staging", Name: name}}
		if err := client.IgnoreNotFound(admin(t).Delete(context.WithoutCancel(t.Context()), object)); err != nil {
			t.Error(err)
		}
	}
}
