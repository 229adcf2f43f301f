package play

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// Closes waits until a review has a state.
func (p *Play) Closes(t testing.TB, approval *v1alpha1.Approval, state v1alpha1.ApprovalState) *v1alpha1.Approval {
	t.Helper()
	live := &v1alpha1.Approval{}
	Eventually(t, fmt.Sprintf("Approval %s is %s", approval.Name, state), func() (bool, string) {
		err := p.Admin(t).Get(t.Context(), client.ObjectKeyFromObject(approval), live)
		return err == nil && live.Status.State == state, fmt.Sprintf("%v %s", err, live.Status.State)
	})
	return live
}
