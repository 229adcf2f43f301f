package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// LabelSelector selects objects by their labels: everything in it must hold. It reads as the label selector of Kubernetes does,
// but is bounded, and an empty one is refused instead of meaning everything.
// +structType=atomic
// +kubebuilder:validation:XValidation:rule="(has(self.matchLabels) && size(self.matchLabels) > 0) || (has(self.matchExpressions) && size(self.matchExpressions) > 0)",message="selector is empty: it needs matchLabels or matchExpressions"
type LabelSelector struct {
	// matchLabels are labels that the object must carry with exactly these values. Unset: matchExpressions decides alone.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(key, size(key) <= 317)",message="the key of a label has at most 317 characters"
	MatchLabels map[string]LabelValue `json:"matchLabels,omitempty"`

	// matchExpressions are demands on labels, all to be met. Unset: matchLabels decides alone.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	MatchExpressions []LabelRequirement `json:"matchExpressions,omitempty"`
}

// LabelValue is the value of a label.
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$`
type LabelValue string

// LabelOperator is how a label is compared.
// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist
type LabelOperator string

const (
	// LabelIn demands that the label is there with one of values.
	LabelIn LabelOperator = "In"
	// LabelNotIn demands that the label is absent or has none of values.
	LabelNotIn LabelOperator = "NotIn"
	// LabelExists demands that the label is there.
	LabelExists LabelOperator = "Exists"
	// LabelDoesNotExist demands that the label is absent.
	LabelDoesNotExist LabelOperator = "DoesNotExist"
)

// LabelRequirement is a demand on one label.
// +kubebuilder:validation:XValidation:rule="(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",message="values are needed with operators In and NotIn, and go with no other"
type LabelRequirement struct {
	// key is the key of the label.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	Key string `json:"key"`

	// operator is how the label is compared.
	// +required
	Operator LabelOperator `json:"operator"`

	// values are what the label is compared with. With operators In and NotIn only, and needed there.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Values []LabelValue `json:"values,omitempty"`
}

// AsSelector compiles the selector. A nil one selects nothing.
func (s *LabelSelector) AsSelector() (labels.Selector, error) {
	if s == nil {
		return labels.Nothing(), nil
	}
	out := metav1.LabelSelector{MatchLabels: make(map[string]string, len(s.MatchLabels))}
	for key, value := range s.MatchLabels {
		out.MatchLabels[key] = string(value)
	}
	for _, r := range s.MatchExpressions {
		values := make([]string, 0, len(r.Values))
		for _, value := range r.Values {
			values = append(values, string(value))
		}
		out.MatchExpressions = append(out.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: r.Key, Operator: metav1.LabelSelectorOperator(r.Operator), Values: values,
		})
	}
	return metav1.LabelSelectorAsSelector(&out)
}
