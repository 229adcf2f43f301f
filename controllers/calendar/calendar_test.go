package calendar

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestStatus(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		zone   string
		ready  metav1.Condition
	}{
		"Valid": {
			reason: "It says nothing that time alone would change.",
			zone:   "Europe/London",
			ready:  metav1.Condition{Status: "True", Reason: "Ready", Message: "in force"},
		},
		"Invalid": {
			reason: "The schema accepts a zone that does not exist.",
			zone:   "Europe/Atlantis",
			ready: metav1.Condition{
				Status: "False", Reason: "Invalid",
				Message: `spec.timeZone: Invalid value: "Europe/Atlantis": not a known time zone: an IANA name such as "Europe/London" or "UTC" is accepted`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			object := &v1alpha1.Calendar{
				ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "business-hours", Generation: 2},
				Spec: v1alpha1.CalendarSpec{
					TimeZone: tc.zone,
					Windows:  []v1alpha1.Window{{Weekly: &v1alpha1.WeeklyWindow{Days: []v1alpha1.Weekday{v1alpha1.Monday}}}},
				},
			}
			tc.ready.Type, tc.ready.ObservedGeneration, tc.ready.LastTransitionTime = "Ready", 2, metav1.NewTime(noon)
			want := v1alpha1.CalendarStatus{ObservedGeneration: 2, Conditions: []metav1.Condition{tc.ready}}
			if diff := cmp.Diff(want, Status(object, noon)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}
