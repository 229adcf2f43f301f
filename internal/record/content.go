package record

import (
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/canonical"
)

const (
	// contentPrefix begins the name of the Record of a request that is executed once, however often it is made. No uid begins like that.
	contentPrefix = "content-"
	// contentDigits is how many hexadecimal digits of the hash are in the name: enough that nobody finds two contents with the same ones.
	contentDigits = 48
)

// content is where a request is and what it says, without what Signoff writes to it and what comes later.
type content struct {
	Namespace  string                   `json:"namespace"`
	Name       string                   `json:"name"`
	ActionRef  v1alpha1.ActionReference `json:"actionRef"`
	Inputs     json.RawMessage          `json:"inputs,omitempty"`
	Reason     string                   `json:"reason,omitempty"`
	NotBefore  *metav1.Time             `json:"notBefore,omitempty"`
	ExpiresAt  *metav1.Time             `json:"expiresAt,omitempty"`
	Duration   v1alpha1.Duration        `json:"duration,omitempty"`
	BreakGlass *v1alpha1.BreakGlass     `json:"breakGlass,omitempty"`
	OnBehalfOf *v1alpha1.OnBehalfOf     `json:"onBehalfOf,omitempty"`
}

// Name is the name of the Record of a request, which can be created once. It is the uid of the request. For one that says until when it may run
// (expiresAt) it is made of where the request is and what it says, so that the same request, made again, finds it.
func Name(request *v1alpha1.ActionRequest) (string, error) {
	spec := &request.Spec
	if spec.ExpiresAt == nil {
		return string(request.UID), nil
	}
	c := content{
		Namespace: request.Namespace, Name: request.Name, ActionRef: spec.ActionRef, Reason: spec.Reason,
		NotBefore: spec.NotBefore, ExpiresAt: spec.ExpiresAt, Duration: spec.Duration, BreakGlass: spec.BreakGlass, OnBehalfOf: spec.OnBehalfOf,
	}
	if spec.Inputs != nil {
		c.Inputs = spec.Inputs.Raw
	}
	sum, err := canonical.SumOf(c)
	if err != nil {
		return "", fmt.Errorf("failed to name the Record of request %s/%s: %w", request.Namespace, request.Name, err)
	}
	_, digits, _ := strings.Cut(sum, ":")
	return contentPrefix + digits[:contentDigits], nil
}

// NameFor is the name of the Record that an Approval beside it belongs to: a review of a request that is gone.
func NameFor(review *v1alpha1.Approval) string {
	if name := OwnerOf(review); name != "" {
		return name
	}
	return string(review.Spec.RequestRef.UID)
}

// OwnerOf is the name of the Record that owns an Approval: a review that was asked for again. Empty: none does.
func OwnerOf(approval *v1alpha1.Approval) string {
	for _, owner := range approval.OwnerReferences {
		if owner.Kind == "Record" && owner.APIVersion == v1alpha1.GroupVersion.String() {
			return owner.Name
		}
	}
	return ""
}
