package gate

import (
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// CheckTimes refuses times of a request that can never be kept.
func CheckTimes(spec *v1alpha1.ActionRequestSpec, now time.Time) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("spec")
	if spec.ExpiresAt != nil && !spec.ExpiresAt.After(now) {
		errs = append(errs, field.Invalid(path.Child("expiresAt"), spec.ExpiresAt.UTC().Format(time.RFC3339), "is in the past: give a later time, or leave it out"))
	}
	if spec.NotBefore != nil && spec.ExpiresAt != nil && !spec.NotBefore.Before(spec.ExpiresAt) {
		errs = append(errs, field.Invalid(path.Child("notBefore"), spec.NotBefore.UTC().Format(time.RFC3339), "is not before expiresAt: the request could never run"))
	}
	if spec.NotBefore != nil && spec.BreakGlass != nil {
		errs = append(errs, field.Forbidden(path.Child("notBefore"), "an emergency does not wait: leave out notBefore, or breakGlass"))
	}
	return errs
}
