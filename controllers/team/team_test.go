package team

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
		reason  string
		spec    v1alpha1.TeamSpec
		above   []string
		missing string
		ready   metav1.Condition
	}{
		"Complete": {
			reason: "Its parent exists and its names can be meant.",
			spec:   v1alpha1.TeamSpec{Parent: "engineering", Members: &v1alpha1.Subjects{Users: []string{"alice"}}},
			above:  []string{"engineering", "company"},
			ready:  metav1.Condition{Status: "True", Reason: "Ready", Message: "in force"},
		},
		"NoParent": {
			reason: "The Team counts, but what was said about the organisation is not so.",
			spec:   v1alpha1.TeamSpec{Parent: "enginering"}, missing: "enginering",
			ready: metav1.Condition{
				Status: "True", Reason: "ParentMissing",
				Message: `in force, but there is no Team "enginering" above it: create it, or correct spec.parent`,
			},
		},
		"GapAbove": {
			reason: "A gap further up is said at the Team that names it.",
			spec:   v1alpha1.TeamSpec{Parent: "engineering"}, above: []string{"engineering"}, missing: "company",
			ready: metav1.Condition{Status: "True", Reason: "Ready", Message: "in force"},
		},
		"Circle": {
			reason: "Two writes at the same moment can make a circle; each Team in it says so.",
			spec:   v1alpha1.TeamSpec{Parent: "engineering"}, above: []string{"engineering", "company", "payments"},
			ready: metav1.Condition{Status: "False", Reason: "Invalid",
				Message: `spec.parent: Invalid value: "engineering": the Teams are above each other in a circle: payments → engineering → company → payments`},
		},
		"BelowCircle": {
			reason: "A Team below a circle is not in it.",
			spec:   v1alpha1.TeamSpec{Parent: "engineering"}, above: []string{"engineering", "company"},
			ready: metav1.Condition{Status: "True", Reason: "Ready", Message: "in force"},
		},
		"Invalid": {
			reason: "Names that mean nobody are worse than a missing parent; those of leads count too.",
			spec: v1alpha1.TeamSpec{
				Parent:  "enginering",
				Members: &v1alpha1.Subjects{Users: []string{"system:serviceaccount:ci:bot"}},
				Leads:   &v1alpha1.Subjects{Groups: []string{"leads "}},
			},
			ready: metav1.Condition{
				Status: "False", Reason: "Invalid",
				Message: `spec.leads.groups[0]: Invalid value: "leads ": must not begin or end with a blank: names are compared exactly; ` +
					`spec.members.users[0]: Invalid value: "system:serviceaccount:ci:bot": a ServiceAccount belongs in serviceAccounts, as "ci/bot"`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			team := &v1alpha1.Team{ObjectMeta: metav1.ObjectMeta{Name: "payments", Generation: 2}, Spec: tc.spec}
			tc.ready.Type, tc.ready.ObservedGeneration, tc.ready.LastTransitionTime = "Ready", 2, metav1.NewTime(noon)
			want := v1alpha1.TeamStatus{ObservedGeneration: 2, Conditions: []metav1.Condition{tc.ready}}
			if diff := cmp.Diff(want, Status(team, tc.above, tc.missing, noon)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}
