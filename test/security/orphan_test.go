package security

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// TestCase57ReviewOutlivesItsNamespace: who broke the glass cannot escape the review by deleting everything around it. The Record
// demands it, and it is asked for again beside the Record.
func TestCase57ReviewOutlivesItsNamespace(t *testing.T) {
	t.Parallel()
	frozen(t)
	namespace(t, "escaping")
	for _, who := range []string{"alice", "erin"} {
		if err := cluster.Grant(t.Context(), env.RoleRequester, "escaping", env.ToUser(who)); err != nil {
			t.Fatal(err)
		}
	}
	if err := cluster.Grant(t.Context(), env.RoleApprover, env.SystemNamespace, env.ToUser("erin"), env.ToUser("alice")); err != nil {
		t.Fatal(err)
	}
	r := emergency("em-frozen")
	r.Namespace = "escaping"
	ask(t, users.Alice, r)
	reaches(t, r, v1alpha1.PhaseSucceeded)
	first := review(t, r)
	if err := as(t, users.Ada).Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "escaping"}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace is gone", func() (bool, string) {
		err := admin(t).Get(t.Context(), types.NamespacedName{Name: "escaping"}, &corev1.Namespace{})
		return apierrors.IsNotFound(err), "it is still there"
	})
	again := successorOf(t, r)
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
}

// successorOf waits for the review beside the Record.
func successorOf(t *testing.T, r *v1alpha1.ActionRequest) *v1alpha1.Approval {
	t.Helper()
	list := &v1alpha1.ApprovalList{}
	eventually(t, "the review is asked for again", func() (bool, string) {
		err := admin(t).List(t.Context(), list, client.InNamespace(env.SystemNamespace), client.MatchingLabels{v1alpha1.LabelRequestUID: string(r.UID)})
		return err == nil && len(list.Items) == 1, fmt.Sprintf("%d, %v", len(list.Items), err)
	})
	return &list.Items[0]
}
