package catalog

import (
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const policy = `
apiVersion: signoff.dev/v1alpha1
kind: ActionPolicy
metadata: {name: freeze}
spec:
  rules:
  - name: frozen
    effect: Deny
    override: {by: {groups: [commanders]}, review: {approvers: {groups: [security]}, within: 24h}}
`

func TestOverride(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		change func(*v1alpha1.PolicyRule)
		want   map[string]string
	}{
		"Good": {"Commanders pass, security reviews.", func(*v1alpha1.PolicyRule) {}, nil},
		"Hold": {
			"Only a denial needs an override.", func(r *v1alpha1.PolicyRule) { r.Effect = v1alpha1.PolicyHold },
			map[string]string{"spec.rules[0].override": "goes with effect Deny only"},
		},
		"ServiceAccountAsUser": {
			"A ServiceAccount is named as one.", func(r *v1alpha1.PolicyRule) { r.Override.By.Users = []string{"system:serviceaccount:ci:bot"} },
			map[string]string{"spec.rules[0].override.by.users[0]": `as "ci/bot"`},
		},
		"Blank": {
			"Names are compared exactly.", func(r *v1alpha1.PolicyRule) { r.Override.By.Groups = []string{"commanders "} },
			map[string]string{"spec.rules[0].override.by.groups[0]": "blank"},
		},
		"Template": {
			"A fact that cannot be read must not block an emergency.",
			func(r *v1alpha1.PolicyRule) { r.Override.Review.Approvers.Teams = []string{"${request.namespace}"} },
			map[string]string{"spec.rules[0].override.review.approvers.teams[0]": "name the reviewers"},
		},
		"SystemReviewers": {
			"System groups hold identities that are not people.",
			func(r *v1alpha1.PolicyRule) {
				r.Override.Review.Approvers.Groups = []string{"system:authenticated"}
			},
			map[string]string{"spec.rules[0].override.review.approvers.groups[0]": "system groups never approve"},
		},
		"NoReviewers": {
			"Every emergency is reviewed.", func(r *v1alpha1.PolicyRule) { r.Override.Review.Approvers = v1alpha1.Approvers{} },
			map[string]string{"spec.rules[0].override.review.approvers": "names nobody"},
		},
		"AtOnce": {
			"A review that is due at once is overdue at once.", func(r *v1alpha1.PolicyRule) { r.Override.Review.Within = "0s" },
			map[string]string{"spec.rules[0].override.review.within": "longer than zero"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			object := &v1alpha1.ActionPolicy{}
			parse(t, policy, object)
			tc.change(&object.Spec.Rules[0])
			compiled, errs := CompilePolicy(object)
			check(t, tc.reason, errs, tc.want)
			if len(tc.want) > 0 {
				return
			}
			override := compiled.Rules[0].Override
			if override == nil || override.Review.Ref.ID() != "policy/freeze/review" || override.By.Groups[0] != "commanders" || override.Within != "24h" {
				t.Errorf("%s\ngot %+v", tc.reason, override)
			}
		})
	}
}
