package catalog

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func grantsIn(t *testing.T, permissions string) []Grant {
	t.Helper()
	object := &v1alpha1.Role{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: v1alpha1.RoleSpec{Members: v1alpha1.Subjects{Users: []string{"alice"}}}}
	if err := yaml.UnmarshalStrict([]byte(permissions), &object.Spec.Permissions); err != nil {
		t.Fatal(err)
	}
	role, errs := CompileRole(object)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	return GrantsOf(role.Permissions)
}

func TestBeyond(t *testing.T) {
	const deploy = "[{verbs: [approve], actions: {names: [deploy]}}]"
	for name, tc := range map[string]struct {
		reason     string
		gives, has string
		want       []string
	}{
		"Same":    {reason: "Who holds it can give it.", gives: deploy, has: deploy},
		"Nothing": {reason: "Who holds nothing gives nothing.", gives: deploy, has: "[]", want: []string{`"approve" on deploy`}},
		"Every":   {reason: "Every Action includes this one.", gives: deploy, has: "[{verbs: [approve], actions: {names: ['*']}}]"},
		"ToEvery": {
			reason: "One Action is not every Action.", has: deploy,
			gives: "[{verbs: [approve], actions: {names: ['*']}}]", want: []string{`"approve" on every Action`},
		},
		"OtherVerb": {reason: "Whoever may ask may not agree.", gives: deploy, has: "[{verbs: [request, cancel], actions: {names: ['*']}}]", want: []string{`"approve" on deploy`}},
		"InParts": {
			reason: "What is held in two parts is held.",
			gives:  "[{verbs: [request, approve], actions: {names: [a, b]}}]",
			has:    "[{verbs: [approve], actions: {names: [b, a]}}, {verbs: [request], actions: {names: ['*']}}]",
		},
		"OnePartLacks": {
			reason: "What lacks is named, and nothing else.",
			gives:  "[{verbs: [request, approve], actions: {names: [a, b]}}]",
			has:    "[{verbs: [approve], actions: {names: [b]}}, {verbs: [request], actions: {names: ['*']}}]",
			want:   []string{`"approve" on a`},
		},
		"Narrower":      {reason: "A condition may be added.", gives: "[{verbs: [approve], actions: {names: [deploy]}, when: 'requester.isAgent'}]", has: deploy},
		"SameCondition": {reason: "The same condition binds those who get it as well.", gives: "[{verbs: [approve], actions: {names: [deploy]}, when: 'requester.isAgent'}]", has: "[{verbs: [approve], actions: {names: ['*']}, when: 'requester.isAgent'}]"},
		"WithoutCondition": {
			reason: "Who holds it under a condition cannot give it without.", gives: deploy,
			has: "[{verbs: [approve], actions: {names: [deploy]}, when: 'requester.isAgent'}]", want: []string{`"approve" on deploy`},
		},
		"OtherCondition": {
			reason: "Nobody compares conditions.", gives: "[{verbs: [approve], actions: {names: [deploy]}, when: 'true || requester.isAgent'}]",
			has: "[{verbs: [approve], actions: {names: [deploy]}, when: 'requester.isAgent'}]", want: []string{`"approve" on deploy when true || requester.isAgent`},
		},
		"Selector": {
			reason: "Selectors are compared as they are written, not as they are meant.",
			gives:  "[{verbs: [approve], actions: {selector: {matchLabels: {tier: low}}}}]",
			has:    "[{verbs: [approve], actions: {selector: {matchExpressions: [{key: tier, operator: In, values: [low]}]}}}]",
			want:   []string{`"approve" on Actions with tier=low`},
		},
		"EqualSelector":  {reason: "A selector is held by itself.", gives: "[{verbs: [approve], actions: {selector: {matchLabels: {b: x, a: y}}}}]", has: "[{verbs: [approve], actions: {selector: {matchLabels: {a: y, b: x}}}}]"},
		"SelectorOfAll":  {reason: "Every Action includes those with a label.", gives: "[{verbs: [approve], actions: {selector: {matchLabels: {tier: low}}}}]", has: "[{verbs: [approve], actions: {names: ['*']}}]"},
		"NameBySelector": {reason: "Labels change, so a name is not held by a label.", gives: deploy, has: "[{verbs: [approve], actions: {selector: {matchLabels: {tier: low}}}}]", want: []string{`"approve" on deploy`}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, grant := range Beyond(grantsIn(t, tc.gives), grantsIn(t, tc.has)) {
				got = append(got, grant.String())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}
