package conditions

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/calendar"
)

// errCalendarMissing says that a Calendar cannot be used, which is no failure of the controller.
type errCalendarMissing struct{ text string }

// Error says which Calendar, and what is wrong with it.
func (e errCalendarMissing) Error() string { return e.text }

// IsCalendarMissing tells the error of a Calendar that is not there or not valid from one that another try may mend.
func IsCalendarMissing(err error) bool {
	_, is := errors.AsType[errCalendarMissing](err)
	return is
}

// Calendar reads a Calendar that rules name.
func Calendar(ctx context.Context, c client.Reader, namespace, name string) (*calendar.Calendar, error) {
	object := &v1alpha1.Calendar{}
	if err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, object); apierrors.IsNotFound(err) {
		return nil, errCalendarMissing{fmt.Sprintf("there is no Calendar %q in namespace %s", name, namespace)}
	} else if err != nil {
		return nil, fmt.Errorf("failed to get Calendar %s/%s: %w", namespace, name, err)
	}
	compiled, errs := calendar.Compile(&object.Spec, field.NewPath("spec"))
	if len(errs) > 0 {
		return nil, errCalendarMissing{fmt.Sprintf("Calendar %s/%s is not valid", namespace, name)}
	}
	return compiled, nil
}
