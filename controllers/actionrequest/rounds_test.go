package actionrequest

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/gate"
)

// TestAskedTooOften: that people agreed often enough in vain asks nobody again, and ends no request.
func TestAskedTooOften(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	asked := 0
	c := fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(_ context.Context, _ client.WithWatch, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
			asked++
			approval := object.(*v1alpha1.Approval)
			approval.Name, approval.Spec.Digest, approval.Status.State = key.Name, "digest", v1alpha1.ApprovalSuperseded
			approval.Spec.RequestRef.UID = "uid"
			return nil
		},
	}).Build()
	request := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "often", UID: "uid", CreationTimestamp: metav1.Now()}}
	request.Status.Phase = v1alpha1.PhaseAwaitingApproval
	request.Spec.Seal = &v1alpha1.RequestSeal{}
	request.Spec.Requester = &v1alpha1.Identity{Username: "alice"}
	s := &scope{Reconciler: &Reconciler{Client: c, Reader: c}, request: request, plan: &preparation{digest: "digest"}, now: time.Now(), orphan: true}
	stop, err := s.stage(t.Context(), &stageState{Stage: &gate.Stage{Stage: &catalog.Stage{Ref: v1alpha1.StageReference{Name: "owners"}}}})
	if err != nil || !stop || asked != maxRounds {
		t.Errorf("it goes on: %t, %v, after %d", stop, err, asked)
	}
	approved := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionApproved)
	if request.Status.Outcome != "" || request.Status.Phase != v1alpha1.PhaseAwaitingApproval || meta.IsStatusConditionTrue(request.Status.Conditions, v1alpha1.ConditionFinished) {
		t.Errorf("only people and time end a request: %+v", request.Status)
	}
	if approved == nil || approved.Reason != v1alpha1.ReasonUnsatisfiable || !strings.Contains(approved.Message, "Nobody is asked again for the same") ||
		!strings.Contains(approved.Message, `"cancellation"`) {
		t.Errorf("it says why, and what can be done: %+v", approved)
	}
}
