package action

import (
	"context"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/conditions"
)

// beside finds the Actions that could name a Calendar: those in its namespace. Which of them do, only compiling would tell, and there are few
// Calendars.
func (r *Reconciler) beside(ctx context.Context, calendar client.Object) []reconcile.Request {
	list := &v1alpha1.ActionList{}
	if r.Client.List(ctx, list, client.InNamespace(calendar.GetNamespace())) != nil {
		return nil
	}
	requests := make([]reconcile.Request, len(list.Items))
	for i := range list.Items {
		requests[i].NamespacedName = client.ObjectKeyFromObject(&list.Items[i])
	}
	return requests
}

// withoutCalendars says in a status that rules name Calendars that cannot be used. Nothing else that is wrong is hidden by it.
func (r *Reconciler) withoutCalendars(ctx context.Context, action *v1alpha1.Action, compiled *catalog.Action, now time.Time) error {
	if compiled == nil || !meta.IsStatusConditionTrue(action.Status.Conditions, v1alpha1.ConditionReady) {
		return nil
	}
	var missing []string
	for _, name := range compiled.Calendars() {
		if _, err := conditions.Calendar(ctx, r.Client, action.Namespace, name); conditions.IsCalendarMissing(err) {
			missing = append(missing, err.Error())
		} else if err != nil {
			return err
		}
	}
	if len(missing) == 0 {
		return nil
	}
	text := "Requests are refused or wait, because a rule of this Action cannot be judged: " + strings.Join(missing, "; ")
	action.Status.Conditions = conditions.With(action.Status.Conditions, now, conditions.NotReady(action.Generation, v1alpha1.ReasonCalendarMissing, text))
	return nil
}
