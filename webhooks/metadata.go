package webhooks

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// maxLabels bounds what people hang on objects of ours. The API server bounds annotations, but not labels.
const maxLabels = 64

const (
	// maxHolders bounds the finalizers, and the owners, of a request, which the API server does not.
	maxHolders = 16
	// maxRequest is how many bytes the review of a new request may have. etcd takes one and a half times as many, so that the status fits beside it.
	maxRequest = 1 << 20
)

// overgrown refuses a new request that leaves its status no room: it would be executed, and nobody could be told.
func overgrown(size int, request *v1alpha1.ActionRequest) field.ErrorList {
	meta := &request.ObjectMeta
	path := field.NewPath("metadata")
	errs := tooManyLabels(meta.Labels, nil)
	if len(meta.Finalizers) > maxHolders {
		errs = append(errs, field.TooMany(path.Child("finalizers"), len(meta.Finalizers), maxHolders))
	}
	if len(meta.OwnerReferences) > maxHolders {
		errs = append(errs, field.TooMany(path.Child("ownerReferences"), len(meta.OwnerReferences), maxHolders))
	}
	// Inputs have a bound of their own, which is about them.
	if inputs := request.Spec.Inputs; size > maxRequest && (inputs == nil || len(inputs.Raw) <= maxRequest/2) {
		errs = append(errs, field.Forbidden(path, fmt.Sprintf("the whole request has %d bytes, and its status fits beside %d at most: shorten annotations and inputs", size, maxRequest)))
	}
	return errs
}

// requestMetadata refuses changes of metadata by which whoever may patch a request could remove it without the right to: the
// garbage collector removes what names an owner that does not exist, and a finalizer that nobody removes blocks a namespace.
// Removing them is allowed, because the garbage collector does.
func requestMetadata(next, old *metav1.ObjectMeta) field.ErrorList {
	path := field.NewPath("metadata")
	var errs field.ErrorList
	for i := range next.OwnerReferences {
		if !slices.ContainsFunc(old.OwnerReferences, func(known metav1.OwnerReference) bool { return sameOwner(&known, &next.OwnerReferences[i]) }) {
			errs = append(errs, field.Forbidden(path.Child("ownerReferences").Index(i), "an owner can be given when the request is made, and not later"))
		}
	}
	for i, finalizer := range next.Finalizers {
		if !slices.Contains(old.Finalizers, finalizer) {
			errs = append(errs, field.Forbidden(path.Child("finalizers").Index(i), "a finalizer can be given when the request is made, and not later"))
		}
	}
	return append(errs, tooManyLabels(next.Labels, old.Labels)...)
}

func sameOwner(a, b *metav1.OwnerReference) bool {
	return a.UID == b.UID && a.APIVersion == b.APIVersion && a.Kind == b.Kind && a.Name == b.Name
}

// tooManyLabels refuses to make an object so large that its status no longer fits.
func tooManyLabels(next, old map[string]string) field.ErrorList {
	if len(next) <= maxLabels || len(next) <= len(old) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("metadata", "labels"), len(next), fmt.Sprintf("so many labels: at most %d are kept", maxLabels))}
}
