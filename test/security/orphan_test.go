package security

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// TestCase57ReviewOutlivesItsNamespace: who broke the glass cannot escape the review by deleting everything around it. The Record
// demands it, and it is asked for again beside the Record.
func TestCase57ReviewOutlivesItsNamespace(t *testing.T) {
	t.Parallel()
	r, first, again := world.Orphaned(t, "escaping")
	if text := strings.Join(again.Spec.Summary, "\n"); !strings.Contains(text, "is gone") || !strings.Contains(text, "checkout is down") || strings.Contains(text, first.Name) ||
		!strings.Contains(text, "-n "+env.SystemNamespace+" "+again.Name) {
		t.Errorf("the successor does not say all that the review said:\n%s", text)
	}
	refused(t, as(t, users.Ada).Delete(t.Context(), again.DeepCopy()), metav1.StatusReasonForbidden, "evidence")
	refused(t, vote(t, users.Alice, again, "Approve", ""), metav1.StatusReasonForbidden, "you cannot approve this: you asked for it")
	if err := vote(t, users.Erin, again, "Deny", "nobody needed that"); err != nil {
		t.Fatal(err)
	}
	closes(t, again, v1alpha1.ApprovalDenied)
	record := &v1alpha1.Record{}
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: env.SystemNamespace, Name: string(r.UID)}, record); err != nil {
		t.Fatal(err)
	}
	if got := record.Status.Review; got == nil || got.State != v1alpha1.ApprovalDenied || !strings.Contains(strings.Join(got.Decided, " "), "nobody needed that") {
		t.Errorf("the Record does not tell how the review ended: %+v", got)
	}
	toldInOrder(t, r, "request.requested", "review.opened", "execution.started", "execution.step note Started", "execution.step note Done", "execution.succeeded",
		"review.opened", "stage.voted", "review.done Denied")
}

// TestCase57ReviewWaitsForTheGuard: a vote on a review counts no more than any other while nobody knows who was asked, and a review that is gone is not
// asked for again then. Both come by themselves once the guard is back.
func TestCase57ReviewWaitsForTheGuard(t *testing.T) {
	frozen(t)
	guarded(t)
	r := ask(t, users.Alice, emergency("em-frozen"))
	reaches(t, r, v1alpha1.PhaseSucceeded)
	open := review(t, r)
	hasReviewed(t, r, metav1.ConditionFalse, v1alpha1.ReasonAwaitingReview)
	deserted := world.EmergencyIn(t, "deserted")
	review(t, deserted)
	binding := slices.DeleteFunc(protection(t, "ValidatingAdmissionPolicyBinding"), func(o *unstructured.Unstructured) bool { return o.GetName() != "records.signoff.dev" })
	back := without(t, binding...)
	notInForce(t, "ValidatingAdmissionPolicyBinding records.signoff.dev is missing")
	if said := hasReviewed(t, r, metav1.ConditionFalse, v1alpha1.ReasonGuardMissing); !strings.Contains(said.Message, "records.signoff.dev is missing") {
		t.Errorf("nobody reads why: %s", said.Message)
	}
	// The webhooks are still asked, so the vote is a good one.
	if err := vote(t, users.Erin, open, "Approve", "it was right"); err != nil {
		t.Fatal(err)
	}
	world.Deserted(t, deserted.Namespace)
	for range 10 {
		if now := live(t, open); now.Status.State != v1alpha1.ApprovalOpen || len(now.Status.Decided) > 0 {
			t.Fatalf("a vote was counted without a guard: %+v", now.Status)
		}
		if list := world.Successors(t, deserted); len(list) > 0 {
			t.Fatalf("a review was asked for again without a guard: %s", list[0].Name)
		}
		<-time.After(100 * time.Millisecond)
	}
	back()
	closes(t, open, v1alpha1.ApprovalApproved)
	hasReviewed(t, r, metav1.ConditionTrue, v1alpha1.ReasonReviewed)
	eventually(t, "the other one is asked for again", func() (bool, string) { return len(world.Successors(t, deserted)) == 1, "it is not" })
}

// toldInOrder expects the audit log to hold exactly these facts about a request, with votes that hang together.
func toldInOrder(t *testing.T, r *v1alpha1.ActionRequest, want ...string) {
	t.Helper()
	raw, err := os.ReadFile(evidence)
	if err != nil {
		t.Fatal(err)
	}
	// Other tests go on writing.
	raw = raw[:bytes.LastIndexByte(raw, '\n')+1]
	if diff := cmp.Diff(want, play.FactsOf(t, raw, r)); diff != "" {
		t.Errorf("facts about %s (-want +got):\n%s", r.Name, diff)
	}
	ring, err := play.PublicKeys(admin(t))
	if err != nil {
		t.Fatal(err)
	}
	report, err := audit.Verify(bytes.NewReader(raw), ring)
	if err != nil || report.Gap != nil || report.Unlinked > 0 {
		t.Errorf("the audit log does not hold: %v %+v", err, report)
	}
}
