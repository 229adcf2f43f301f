package actionrequest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestUnrecorded: what the API server or etcd does not take is certain, and told in words that do not change with each try.
func TestUnrecorded(t *testing.T) {
	invalid := func(fields ...string) error {
		err := &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid, Details: &metav1.StatusDetails{}}}
		for _, field := range fields {
			err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Field: field, Message: "secret"})
		}
		return fmt.Errorf("failed to claim: %w", err)
	}
	five := []string{"spec.e", "spec.d", "spec.c", "spec.b", "spec.a", "spec.b"}
	backwards := slices.Clone(five)
	slices.Reverse(backwards)
	const named = "the API server refuses spec.a, spec.b, spec.c"
	for name, tc := range map[string]struct {
		err       error
		want      string
		uncertain bool
	}{
		"Invalid":   {invalid(five...), named, false},
		"Backwards": {invalid(backwards...), named, false},
		"Unnamed":   {invalid(""), "the API server refuses it", false},
		"Large":     {apierrors.NewRequestEntityTooLargeError("limit is 3145728"), "it is too large", false},
		"Etcd":      {&apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusInternalServerError, Message: "etcdserver: request is too large"}}, "it is too large", false},
		"Lost":      {errors.New("connection reset by peer"), "", true},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if why, is := errors.AsType[*unrecordedError](unrecorded(tc.err)); is {
				got = why.refused()
			}
			if got != tc.want || uncertain(tc.err) != tc.uncertain {
				t.Errorf("got %q, uncertain %t", got, uncertain(tc.err))
			}
		})
	}
}
