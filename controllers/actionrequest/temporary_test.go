package actionrequest

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/execution"
)

// TestDecisionCounts is about when it counts that somebody decided that what is left may stay.
func TestDecisionCounts(t *testing.T) {
	began := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		reason    string
		given     time.Time
		transient int
		foresees  bool
		want      time.Time
	}{
		"AtOnce":  {"what they saw cannot be taken back", began.Add(time.Minute), 0, false, time.Time{}},
		"Later":   {"the API server did not answer just now, and they have not seen that", began.Add(time.Minute), 1, false, began.Add(6 * time.Minute)},
		"Started": {"a Record holds whole seconds", began.Add(time.Millisecond), 0, false, time.Time{}},
		"Before":  {"nobody knew what would be left", began.Add(-time.Millisecond), 0, true, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			given := &v1alpha1.Resolution{Seal: &v1alpha1.Seal{At: metav1.NewMicroTime(tc.given)}}
			if got := foresees(given, &v1alpha1.Revert{StartedAt: metav1.NewTime(began)}); got != tc.foresees {
				t.Errorf("%s: given before: %t", tc.reason, got)
			}
			reverted := &execution.Reverted{Left: []string{"a", "b"}, Transient: tc.transient}
			if got := countsFrom(given, reverted); !got.Equal(tc.want) {
				t.Errorf("%s: it counts from %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

// TestShowStayed: the Record alone tells that something was left, whenever it is found.
func TestShowStayed(t *testing.T) {
	given := &v1alpha1.Resolution{NewResolution: v1alpha1.NewResolution{Comment: "as agreed"}, By: v1alpha1.Identity{Username: "carol"}}
	nothing, something := &execution.Reverted{}, &execution.Reverted{Left: []string{"ConfigMap a/b is left: it is immutable"}}
	long := strings.Repeat("long ", 300)
	for name, tc := range map[string]struct {
		revert  *v1alpha1.Revert
		message string
		want    string
	}{
		"it was not temporary":   {nil, "step a: it failed", ""},
		"all is taken back":      {&v1alpha1.Revert{Message: "Its time of 2h was over."}, backText(&v1alpha1.Record{Status: v1alpha1.RecordStatus{Revert: &v1alpha1.Revert{Message: "Its time of 2h was over."}}}, nothing), ""},
		"why is long":            {&v1alpha1.Revert{Message: long[:1024]}, long[:1020] + "…", ""},
		"somebody let it stay":   {&v1alpha1.Revert{Message: "Its time of 2h was over."}, leftText(given, something) + " Its time of 2h was over. The rest is taken back.", "carol decided"},
		"somebody let long stay": {&v1alpha1.Revert{Message: long[:1024]}, leftText(given, something) + " " + long[:500], "ConfigMap a/b is left: it is immutable"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scope{request: &v1alpha1.ActionRequest{}}
			s.showStayed(&v1alpha1.Record{Status: v1alpha1.RecordStatus{Revert: tc.revert, Message: tc.message}})
			got := meta.FindStatusCondition(s.request.Status.Conditions, v1alpha1.ConditionReverted)
			switch {
			case tc.want == "" && got != nil:
				t.Errorf("nothing is left: %+v", got)
			case tc.want != "" && (got == nil || got.Status != metav1.ConditionFalse || got.Reason != v1alpha1.ReasonRevertFailed || !strings.Contains(got.Message, tc.want)):
				t.Errorf("want False with %q, got %+v", tc.want, got)
			}
		})
	}
}
