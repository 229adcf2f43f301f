package actionrequest

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

// unrecordedError says that the API server does not take the Record of what is to run as it is, so that trying again mends nothing by itself.
type unrecordedError struct{ cause error }

// unrecorded is an error of creating a Record.
func unrecorded(err error) error {
	if apierrors.IsInvalid(err) || tooLarge(err) {
		return &unrecordedError{err}
	}
	return err
}

func (e *unrecordedError) Error() string { return e.cause.Error() }

func (e *unrecordedError) Unwrap() error { return e.cause }

// maxRefused is how many fields are named.
const maxRefused = 3

// refused says what the API server does not take. Values are not for everybody who may read the request: only fields are named. The API server names them in
// any order, and what is shown must not change with each try.
func (e *unrecordedError) refused() string {
	if tooLarge(e.cause) {
		return "it is too large"
	}
	var fields []string
	if status, ok := errors.AsType[*apierrors.StatusError](e.cause); ok && status.ErrStatus.Details != nil {
		for _, cause := range status.ErrStatus.Details.Causes {
			if cause.Field != "" {
				fields = append(fields, cause.Field)
			}
		}
	}
	slices.Sort(fields)
	fields = slices.Compact(fields)
	fields = fields[:min(len(fields), maxRefused)]
	if len(fields) == 0 {
		return "the API server refuses it"
	}
	return "the API server refuses " + strings.Join(fields, ", ")
}

// unstored keeps a request whose Record is not stored, and says so: nobody would see why it does not start.
func (s *scope) unstored(ctx context.Context, why *unrecordedError) error {
	logr.FromContextOrDiscard(ctx).Error(why, "the Record is not stored", "action", s.request.Spec.ActionRef.String())
	text := "its Record cannot be stored: " + why.refused()
	s.waiting(v1alpha1.PhaseHeld, v1alpha1.ReasonIndeterminate,
		"Held, because "+text+". Nothing runs without a Record. It is tried again by itself; until then change the Action, or cancel and ask otherwise. The log of the operator says more.",
		gate.Cut(text, gate.ColumnWidth))
	s.lookAgain()
	return s.store(ctx)
}
