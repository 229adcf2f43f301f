package play

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// Frozen puts the world of emergencies in force, with a freeze that lasts for another month, and gives the last day of it.
func (p *Play) Frozen(t testing.TB) time.Time {
	t.Helper()
	last := time.Now().UTC().AddDate(0, 0, 30)
	calendar := fmt.Sprintf(`{"apiVersion":"signoff.dev/v1alpha1","kind":"Calendar","metadata":{"namespace":%q,"name":"em-freeze"},
		"spec":{"timeZone":"UTC","windows":[{"dates":{"from":%q,"through":%q}}]}}`,
		env.SystemNamespace, time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly), last.Format(time.DateOnly))
	if err := p.Cluster.Apply(t.Context(), []byte(calendar)); err != nil {
		t.Fatal(err)
	}
	if err := p.Cluster.ApplyFile(t.Context(), "test/play/testdata/emergency.yaml"); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the freeze is in force", func() (bool, string) {
		err := As(t, p.Users.Alice).Create(t.Context(), Request("em-strict", `{}`), client.DryRunAll)
		mad := As(t, p.Users.Alice).Create(t.Context(), Request("em-mad", `{}`), client.DryRunAll)
		held := As(t, p.Users.Alice).Create(t.Context(), Emergency("em-held"), client.DryRunAll)
		text := fmt.Sprint(err, mad, held)
		return strings.Contains(text, "never ever") && strings.Contains(text, "critical applications are frozen") && mad != nil && held == nil, text
	})
	return last
}

// Emergency is a request that breaks the glass.
func Emergency(action string) *v1alpha1.ActionRequest {
	r := Request(action, `{}`)
	r.Spec.BreakGlass = &v1alpha1.BreakGlass{Reason: "checkout is down"}
	return r
}

// Review finds the open review of a request.
func (p *Play) Review(t testing.TB, r *v1alpha1.ActionRequest) *v1alpha1.Approval {
	t.Helper()
	approval := p.ApprovalsOf(t, r, 1)[0]
	if !approval.Spec.Review || approval.Spec.Stage.Name != "review" {
		t.Fatalf("an emergency opens a review: got stage %s, review %t", approval.Spec.Stage.Name, approval.Spec.Review)
	}
	return &approval
}

// HasReviewed waits for the condition Reviewed of a request.
func (p *Play) HasReviewed(t testing.TB, r *v1alpha1.ActionRequest, status metav1.ConditionStatus, reason string) *metav1.Condition {
	t.Helper()
	var condition *metav1.Condition
	Eventually(t, fmt.Sprintf("condition Reviewed=%s %s of %s", status, reason, r.Name), func() (bool, string) {
		live := &v1alpha1.ActionRequest{}
		err := p.Admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live)
		condition = meta.FindStatusCondition(live.Status.Conditions, v1alpha1.ConditionReviewed)
		return condition != nil && condition.Status == status && condition.Reason == reason, fmt.Sprintf("%v %+v", err, condition)
	})
	return condition
}

// Closes waits until an Approval has a state. That of a review is in the Record after that.
func (p *Play) Closes(t testing.TB, approval *v1alpha1.Approval, state v1alpha1.ApprovalState) *v1alpha1.Approval {
	t.Helper()
	live := &v1alpha1.Approval{}
	Eventually(t, fmt.Sprintf("Approval %s is %s", approval.Name, state), func() (bool, string) {
		err := p.Admin(t).Get(t.Context(), client.ObjectKeyFromObject(approval), live)
		return err == nil && live.Status.State == state, fmt.Sprintf("%v %s", err, live.Status.State)
	})
	if live.Spec.Review && (state == v1alpha1.ApprovalApproved || state == v1alpha1.ApprovalDenied) {
		p.Kept(t, live)
	}
	return live
}

// Kept waits until the Record says how a closed review ended: that is written last.
func (p *Play) Kept(t testing.TB, review *v1alpha1.Approval) {
	t.Helper()
	Eventually(t, "the Record says how "+review.Name+" ended", func() (bool, string) {
		list := &v1alpha1.RecordList{}
		err := p.Admin(t).List(t.Context(), list, client.InNamespace(env.SystemNamespace))
		for i := range list.Items {
			if r := &list.Items[i]; r.Spec.RequestRef.UID == review.Spec.RequestRef.UID && r.Status.Review != nil {
				return r.Status.Review.State == review.Status.State, string(r.Status.Review.State)
			}
		}
		return false, fmt.Sprint("it says nothing ", err)
	})
}

// Orphaned plays an emergency whose review nobody has done when its namespace is deleted. It gives the request, the review beside it, which is gone as well,
// and the one that is asked for again beside the Record. Erin and Alice may vote there, as far as RBAC goes.
func (p *Play) Orphaned(t testing.TB, namespace string) (r *v1alpha1.ActionRequest, first, again *v1alpha1.Approval) {
	t.Helper()
	r = p.EmergencyIn(t, namespace)
	first = p.Review(t, r)
	p.Deserted(t, namespace)
	Eventually(t, "the review is asked for again", func() (bool, string) {
		list := p.Successors(t, r)
		if len(list) == 1 {
			again = &list[0]
		}
		return again != nil, fmt.Sprint(len(list))
	})
	return r, first, again
}

// EmergencyIn plays an emergency in a namespace of its own.
func (p *Play) EmergencyIn(t testing.TB, namespace string) *v1alpha1.ActionRequest {
	t.Helper()
	p.Frozen(t)
	p.Namespace(t, namespace)
	for _, grant := range []struct{ role, namespace string }{{env.RoleRequester, namespace}, {env.RoleApprover, env.SystemNamespace}} {
		if err := p.Cluster.Grant(t.Context(), grant.role, grant.namespace, env.ToUser(p.Users.Alice.Name), env.ToUser(p.Users.Erin.Name)); err != nil {
			t.Fatal(err)
		}
	}
	r := Emergency("em-frozen")
	r.Namespace = namespace
	Ask(t, p.Users.Alice, r)
	p.Reaches(t, r, v1alpha1.PhaseSucceeded)
	return r
}

// Deserted deletes a namespace, and waits until it is gone.
func (p *Play) Deserted(t testing.TB, namespace string) {
	t.Helper()
	if err := As(t, p.Users.Ada).Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the namespace is gone", func() (bool, string) {
		err := p.Admin(t).Get(t.Context(), types.NamespacedName{Name: namespace}, &corev1.Namespace{})
		return apierrors.IsNotFound(err), "it is still there"
	})
}

// Successors are the reviews that are asked for again beside the Record of a request.
func (p *Play) Successors(t testing.TB, r *v1alpha1.ActionRequest) []v1alpha1.Approval {
	t.Helper()
	list := &v1alpha1.ApprovalList{}
	if err := p.Admin(t).List(t.Context(), list, client.InNamespace(env.SystemNamespace), client.MatchingLabels{v1alpha1.LabelRequestUID: string(r.UID)}); err != nil {
		t.Fatal(err)
	}
	return list.Items
}
