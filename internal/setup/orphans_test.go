package setup

import (
	"testing"

	toolscache "k8s.io/client-go/tools/cache"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestLeavesWork: the Records are looked through for what is gone, and not whenever a request has ended.
func TestLeavesWork(t *testing.T) {
	begun := &v1alpha1.ActionRequest{Status: v1alpha1.ActionRequestStatus{Execution: &v1alpha1.ExecutionClaim{}}}
	over := begun.DeepCopy()
	over.Status.Outcome = v1alpha1.OutcomeFailed
	for name, tc := range map[string]struct {
		reason string
		object any
		ended  bool
		want   bool
	}{
		"Ended":    {"the cache holds open requests only, and this is how it was before its end", begun, true, false},
		"Gone":     {"it was deleted, or somebody else has written an end", begun, false, true},
		"Waiting":  {"nothing was begun", &v1alpha1.ActionRequest{}, false, false},
		"Over":     {"nothing is left", over, false, false},
		"Unseen":   {"nobody saw how it went", toolscache.DeletedFinalStateUnknown{Obj: begun}, true, true},
		"Review":   {"it is still to be done", &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{Review: true}}, false, true},
		"Approval": {"it goes with its request", &v1alpha1.Approval{}, false, false},
	} {
		if got := leavesWork(tc.object, func(*v1alpha1.ActionRequest) bool { return tc.ended }); got != tc.want {
			t.Errorf("%s: %s: got %t", name, tc.reason, got)
		}
	}
}
