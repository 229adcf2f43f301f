package action

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/conditions"
	"github.com/signoff-dev/signoff/internal/kinds"
)

// withoutKinds says in a status that an Action reads or writes kinds that the API server does not serve. Nothing else that is wrong is hidden by it.
func (r *Reconciler) withoutKinds(action *v1alpha1.Action, now time.Time) {
	unserved := kinds.Unserved(r.Kinds, &action.Spec)
	if len(unserved) == 0 || !meta.IsStatusConditionTrue(action.Status.Conditions, v1alpha1.ConditionReady) {
		return
	}
	text := fmt.Sprintf("The API server serves no %s. Install its CustomResourceDefinition, or correct the kind. It is looked for again until it is there.",
		strings.Join(unserved, " and no "))
	action.Status.Conditions = conditions.With(action.Status.Conditions, now, conditions.NotReady(action.Generation, v1alpha1.ReasonFactsUnavailable, text))
}
