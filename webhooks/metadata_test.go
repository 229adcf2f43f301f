package webhooks

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestFinalizersOfAnApproval: whatever holds an Approval that is being deleted can let go of it, and nothing new can hold it.
func TestFinalizersOfAnApproval(t *testing.T) {
	const foreground, hold = metav1.FinalizerDeleteDependents, "example.com/hold"
	for name, tc := range map[string]struct {
		reason        string
		deleted       bool
		before, after []string
		refused       bool
	}{
		"None":         {"there are none", false, nil, []string{}, false},
		"Added":        {"nobody can keep it from going", false, nil, []string{hold}, true},
		"Removed":      {"nor is anything taken from it while it is to stay", false, []string{hold}, nil, true},
		"LetGo":        {"the garbage collector takes off what the API server put on it", true, []string{foreground}, nil, false},
		"OneOfTwo":     {"one at a time, too", true, []string{foreground, hold}, []string{hold}, false},
		"AddedLate":    {"nobody can keep what goes already", true, []string{foreground}, []string{foreground, hold}, true},
		"ReplacedLate": {"nor by another", true, []string{foreground}, []string{hold}, true},
	} {
		t.Run(name, func(t *testing.T) {
			old, next := &v1alpha1.Approval{}, &v1alpha1.Approval{}
			old.Finalizers, next.Finalizers = tc.before, tc.after
			if tc.deleted {
				at := metav1.NewTime(time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC))
				old.DeletionTimestamp, next.DeletionTimestamp = &at, &at
			}
			if errs := ownMetadata(next, old); (len(errs) > 0) != tc.refused {
				t.Errorf("%s: %v", tc.reason, errs)
			}
		})
	}
}
