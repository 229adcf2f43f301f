package setup

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestLeavesWork: the Records are looked through for what is gone, and not whenever a request has ended.
func TestLeavesWork(t *testing.T) {
	request := func(change func(*v1alpha1.ActionRequest)) *v1alpha1.ActionRequest {
		r := &v1alpha1.ActionRequest{Status: v1alpha1.ActionRequestStatus{Execution: &v1alpha1.ExecutionClaim{}}}
		r.Finalizers = []string{v1alpha1.RequestFinalizer}
		change(r)
		return r
	}
	now := metav1.Now()
	for name, tc := range map[string]struct {
		reason string
		object any
		want   bool
	}{
		"Ended":     {"the cache holds open requests only, and this is how it was before its end", request(func(*v1alpha1.ActionRequest) {}), false},
		"Deleted":   {"somebody has taken our finalizer off while it was deleted", request(func(r *v1alpha1.ActionRequest) { r.DeletionTimestamp = &now }), true},
		"Unguarded": {"somebody had taken our finalizer off before", request(func(r *v1alpha1.ActionRequest) { r.Finalizers = nil }), true},
		"Waiting":   {"nothing was begun", request(func(r *v1alpha1.ActionRequest) { r.Finalizers, r.Status.Execution = nil, nil }), false},
		"Over":      {"nothing is left", request(func(r *v1alpha1.ActionRequest) { r.Finalizers, r.Status.Outcome = nil, v1alpha1.OutcomeFailed }), false},
		"Unseen":    {"nobody saw how it went", toolscache.DeletedFinalStateUnknown{Obj: request(func(*v1alpha1.ActionRequest) {})}, true},
		"Review":    {"it is still to be done", &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{Review: true}}, true},
		"Approval":  {"it goes with its request", &v1alpha1.Approval{}, false},
	} {
		if got := leavesWork(tc.object); got != tc.want {
			t.Errorf("%s: %s: got %t", name, tc.reason, got)
		}
	}
}
