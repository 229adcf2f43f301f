package action

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/digest"
	"github.com/signoff-dev/signoff/internal/evidence"
)

// tell writes into the audit log who changed an Action, where that was not done yet, and gives when the last change was that the log has. A change
// that nobody sealed, made while the webhooks were away, has no author that could be told; no vote counts then, and that is said elsewhere.
func (r *Reconciler) tell(action *v1alpha1.Action) (*metav1.MicroTime, error) {
	known := action.Status.Edited
	if last := evidence.LastEdit(action); r.Audit == nil || last == nil || known != nil && known.Equal(last) {
		return known, nil
	}
	is, err := digest.OfAction(action)
	if err != nil {
		return known, nil //nolint:nilerr // nobody can tell who changed what has no digest
	}
	edits, envelope, err := r.Evidence.Edited(action, is)
	switch {
	case err != nil && evidence.Of(err).Wait:
		return known, fmt.Errorf("cannot tell yet who changed Action %s/%s: %w", action.Namespace, action.Name, err)
	case err != nil:
		return known, nil //nolint:nilerr // see above
	}
	last := evidence.Instant(edits.List[len(edits.List)-1].At)
	if err := r.Audit.Write(audit.ActionEdited(action, edits, envelope)); err != nil {
		return known, fmt.Errorf("failed to write into the audit log who changed Action %s/%s: %w", action.Namespace, action.Name, err)
	}
	return &last, nil
}
