package webhooks

import (
	"crypto/rand"
	"fmt"

	"gomodules.xyz/jsonpatch/v2"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/seal"
)

// unsealed refuses what cannot be sealed.
func unsealed(err error) admission.Response {
	reason := evidence.Of(err)
	return forbidden(reason.Reason, fmt.Sprintf("%s.\n  Nothing was stored.", reason.Message))
}

// seal seals a new request. A dry run gives its result away, so nothing is sealed there; what a client wrote is dropped. A request for an
// Action that is not there is refused later, with a better answer.
func (w *actionRequests) seal(req *admission.Request, request *v1alpha1.ActionRequest) ([]jsonpatch.Operation, error) {
	const path = "/spec/seal"
	var dropped []jsonpatch.Operation
	if request.Spec.Seal != nil {
		dropped = append(dropped, jsonpatch.NewOperation("remove", path, nil))
	}
	action, _ := w.Store.Current().Action(request.Spec.ActionRef)
	if isDryRun(req) || action == nil {
		return dropped, nil
	}
	digest, err := action.Digest()
	if err != nil {
		return nil, fmt.Errorf("failed to seal the request: %w", err)
	}
	nonce, err := seal.NewNonce(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("failed to seal the request: %w", err)
	}
	// The API server has not put it there yet, but will.
	request.Namespace = req.Namespace
	if err := w.Evidence.SealRequest(request, evidence.Seen{UID: action.Object.UID, Digest: digest}, nonce, w.Wall.Now()); err != nil {
		return nil, err
	}
	return []jsonpatch.Operation{jsonpatch.NewOperation("add", path, request.Spec.Seal)}, nil
}

// sealed tells whether the final object is what was sealed, whatever other webhooks made of it.
func (w *actionRequests) sealed(req *admission.Request, request *v1alpha1.ActionRequest) *admission.Response {
	if isDryRun(req) {
		if request.Spec.Seal != nil {
			return ptr(forbidden(v1alpha1.ReasonNotStamped, "a dry run is never sealed, and another webhook put a seal on the request"))
		}
		return nil
	}
	_, err := w.Evidence.Request(request)
	if err == nil && w.Wall.Since(request.Spec.Seal.At.Time).Abs() > seal.MaxSkew {
		err = &evidence.Error{Reason: v1alpha1.ReasonReplayed, Message: "the seal of the request is not new"}
	}
	if err != nil {
		return ptr(unsealed(err))
	}
	return nil
}
