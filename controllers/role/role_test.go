package role

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const request = "{members: {users: [bob]}, permissions: [{verbs: [request], actions: {names: [deploy]}}]}"

// family has a Role and others.
func family(t *testing.T, role *v1alpha1.Role, others map[string]string) *catalog.Family {
	t.Helper()
	roles := map[string]*catalog.Role{}
	roles[role.Name], _ = catalog.CompileRole(role)
	for name, spec := range others {
		other := &v1alpha1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: name}}
		if err := yaml.UnmarshalStrict([]byte(spec), &other.Spec); err != nil {
			t.Fatal(err)
		}
		roles[name], _ = catalog.CompileRole(other)
	}
	return catalog.NewFamily(func(name string) *catalog.Role { return roles[name] })
}

func TestStatus(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		spec    string
		others  map[string]string
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
		"Inherits": {
			reason: "What is inherited is shown; over others too, it is in the message.",
			spec: `
members: {users: [alice]}
inherits: [viewer]
permissions: [{verbs: [approve], actions: {names: [deploy]}}]`,
			others:  map[string]string{"viewer": "{members: {users: [bob]}, inherits: [base]}", "base": request},
			members: "user alice",
			gives:   "approve on deploy; inherits viewer",
			ready:   metav1.Condition{Status: "True", Reason: "Ready", Message: "in force, with the permissions of base, viewer"},
		},
		"InheritsNothing": {
			reason:  "A Role that is missing, or not valid, gives nothing; the Role itself is in force.",
			spec:    `{members: {users: [alice]}, inherits: [gone, broken, base]}`,
			others:  map[string]string{"base": request, "broken": `{members: {users: [" bob"]}, inherits: [base]}`},
			members: "user alice",
			gives:   "inherits gone, broken, base",
			ready: metav1.Condition{Status: "True", Reason: "InheritedMissing",
				Message: "in force, with the permissions of base; of spec.inherits, there is no valid Role gone, broken, which gives nothing until there is"},
		},
		"Circle": {
			reason:  "Two writes at the same moment can make a circle; it is said where, and that nothing comes of it.",
			spec:    `{members: {users: [alice]}, inherits: [viewer]}`,
			others:  map[string]string{"viewer": "{members: {users: [bob]}, inherits: [developer]}"},
			members: "user alice",
			gives:   "inherits viewer",
			ready: metav1.Condition{Status: "False", Reason: "Invalid",
				Message: `This Role inherits nothing: spec.inherits[0]: Invalid value: "viewer": Roles would inherit each other in a circle: developer → viewer → developer`},
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
			if diff := cmp.Diff(want, Status(role, family(t, role, tc.others), noon)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}
