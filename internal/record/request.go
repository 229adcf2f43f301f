package record

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// RequestOf gives what a Record says of its request, which may be gone: enough to judge who may review it.
func RequestOf(r *v1alpha1.Record) *v1alpha1.ActionRequest {
	ref := &r.Spec.RequestRef
	request := &v1alpha1.ActionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID, CreationTimestamp: r.CreationTimestamp},
		Spec:       v1alpha1.ActionRequestSpec{ActionRef: r.Spec.ActionRef, Requester: r.Spec.Requester.DeepCopy(), OnBehalfOf: r.Spec.OnBehalfOf.DeepCopy()},
	}
	if r.Spec.Review != nil {
		request.Spec.Inputs = r.Spec.Review.Inputs
	}
	return request
}
