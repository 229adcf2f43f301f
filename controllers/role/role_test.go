package role

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestStatus(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		spec    string
		members string
		gives   string
		ready   metav1.Condition
	}{
		"Plain": {
			reason: "Each name says what it is the name of.",
			spec: `
members: {users: [alice], groups: [developers], teams: [payments], serviceAccounts: [ci/bot]}
permissions: [{verbs: [request, cancel], actions: {names: [deploy]}}]`,
			members: "user alice, group developers, team payments +1",
			gives:   "request, cancel on deploy",
			ready:   metav1.Condition{Status: "True", Reason: "Ready", Message: "in force"},
		},
		"Several": {
			reason: "A condition is mentioned, a selector is written as kubectl -l takes it.",
			spec: `
members: {users: [alice]}
permissions:
- {verbs: [request], actions: {names: ["*"]}, when: "inputs.environment == 'staging'"}
- {verbs: [approve], actions: {selector: {matchLabels: {tier: low}}}}`,
			members: "user alice",
			gives:   "request on * (conditional); approve on Actions with tier=low",
			ready:   metav1.Condition{Status: "True", Reason: "Ready", Message: "in force"},
		},
		"Invalid": {
			reason: "What is written is shown all the same, because Ready says that it is not in force.",
			spec: `
members: {users: [" alice"]}
permissions: [{verbs: [request], actions: {names: [deploy]}}]`,
			members: "user  alice",
			gives:   "request on deploy",
			ready: metav1.Condition{
				Status: "False", Reason: "Invalid",
				Message: `This Role gives nobody anything: spec.members.users[0]: Invalid value: " alice": must not begin or end with a blank: names are compared exactly`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			role := &v1alpha1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "developer", Generation: 4}}
			if err := yaml.UnmarshalStrict([]byte(tc.spec), &role.Spec); err != nil {
				t.Fatal(err)
			}
			tc.ready.Type, tc.ready.ObservedGeneration, tc.ready.LastTransitionTime = "Ready", 4, metav1.NewTime(noon)
			want := v1alpha1.RoleStatus{
				ObservedGeneration: 4, Members: tc.members, Permissions: tc.gives, Conditions: []metav1.Condition{tc.ready},
			}
			if diff := cmp.Diff(want, Status(role, noon)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}
