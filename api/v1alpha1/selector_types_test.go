package v1alpha1

import (
	"testing"

	"k8s.io/apimachinery/pkg/labels"
)

func TestLabelSelectorAsSelector(t *testing.T) {
	t.Parallel()
	low := labels.Set{"tier": "low", "team": "web"}
	cases := map[string]struct {
		reason   string
		selector *LabelSelector
		want     bool
	}{
		"Nil":          {reason: "who gives no selector selects nothing", selector: nil, want: false},
		"Label":        {reason: "the label has the value", selector: &LabelSelector{MatchLabels: map[string]LabelValue{"tier": "low"}}, want: true},
		"OtherValue":   {reason: "the label has another value", selector: &LabelSelector{MatchLabels: map[string]LabelValue{"tier": "high"}}},
		"AllLabels":    {reason: "all labels must match", selector: &LabelSelector{MatchLabels: map[string]LabelValue{"tier": "low", "team": "payments"}}},
		"In":           {reason: "the label has one of the values", selector: expression(LabelIn, "tier", "low", "middle"), want: true},
		"NotIn":        {reason: "the label has one of the values", selector: expression(LabelNotIn, "tier", "low")},
		"NotInAbsent":  {reason: "an absent label has none of the values, as in Kubernetes", selector: expression(LabelNotIn, "zone", "a"), want: true},
		"Exists":       {reason: "the label is there", selector: expression(LabelExists, "team"), want: true},
		"DoesNotExist": {reason: "the label is there", selector: expression(LabelDoesNotExist, "team")},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			selector, err := tc.selector.AsSelector()
			if err != nil {
				t.Fatal(err)
			}
			if got := selector.Matches(low); got != tc.want {
				t.Errorf("%s: want %t, got %t", tc.reason, tc.want, got)
			}
		})
	}
}

func TestLabelSelectorRefusesUnknownOperator(t *testing.T) {
	t.Parallel()
	if selector, err := expression("Equals", "tier", "low").AsSelector(); err == nil {
		t.Errorf("want an error for an operator that nobody knows, got %v", selector)
	}
}

func expression(operator LabelOperator, key string, values ...LabelValue) *LabelSelector {
	return &LabelSelector{MatchExpressions: []LabelRequirement{{Key: key, Operator: operator, Values: values}}}
}
