package snapshot

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func TestGranting(t *testing.T) {
	alice := v1alpha1.Subjects{Users: []string{"alice"}}
	selected := v1alpha1.ActionSelector{Selector: &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"tier": "low"}}}
	twice := role("m", alice, v1alpha1.ActionSelector{Names: []string{"deploy"}}, "approve")
	twice.Spec.Permissions = append(twice.Spec.Permissions, v1alpha1.Permission{Verbs: []v1alpha1.Verb{"approve"}, Actions: selected})
	for name, tc := range map[string]struct {
		reason  string
		objects []any
		labels  map[string]string
		want    []string
	}{
		"NameAndAll": {
			reason: "By name, by * and by label, each Role once, sorted.",
			objects: []any{
				role("z", alice, v1alpha1.ActionSelector{Names: []string{"deploy"}}, "approve"), twice,
				role("a", alice, v1alpha1.ActionSelector{Names: []string{"*"}}, "approve", "request"),
			},
			labels: map[string]string{"tier": "low"},
			want:   []string{"a", "m", "z"},
		},
		"OtherVerb":   {reason: "Another verb is not the verb.", objects: []any{role("r", alice, v1alpha1.ActionSelector{Names: []string{"*"}}, "request")}},
		"OtherAction": {reason: "Another Action is not the Action.", objects: []any{role("r", alice, v1alpha1.ActionSelector{Names: []string{"restart"}}, "approve")}},
		"Selected":    {reason: "By label.", objects: []any{role("r", alice, selected, "approve")}, labels: map[string]string{"tier": "low"}, want: []string{"r"}},
		"NotSelected": {reason: "By another label.", objects: []any{role("r", alice, selected, "approve")}, labels: map[string]string{"tier": "high"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			asked := &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "deploy", Labels: tc.labels}}
			for _, role := range of(tc.objects...).Granting(asked, v1alpha1.VerbApprove) {
				got = append(got, role.Object.Name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}
