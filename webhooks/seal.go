package webhooks

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"unicode/utf8"

	"gomodules.xyz/jsonpatch/v2"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/seal"
)

// unsealed refuses what cannot be sealed.
func unsealed(err error) admission.Response {
	reason := evidence.Of(err)
	return forbidden(reason.Reason, fmt.Sprintf("%s.\n  Nothing was stored.", reason.Message))
}

// The API bounds what others read. It looks after us, and what is far too long could not be sealed.
const (
	maxReason     = 4096
	maxBreakGlass = 1024
	maxClaim      = 256
)

// unsealable refuses, with the place, what could not be sealed because of how it was written.
func unsealable(spec *v1alpha1.ActionRequestSpec) field.ErrorList {
	path := field.NewPath("spec")
	errs := tooLong(path.Child("reason"), spec.Reason, maxReason)
	if spec.OnBehalfOf != nil {
		errs = append(errs, tooLong(path.Child("onBehalfOf", "username"), spec.OnBehalfOf.Username, maxClaim)...)
	}
	if spec.BreakGlass != nil {
		errs = append(errs, tooLong(path.Child("breakGlass", "reason"), spec.BreakGlass.Reason, maxBreakGlass)...)
	}
	if spec.Inputs != nil && len(spec.Inputs.Raw) > 0 && !bytes.HasPrefix(bytes.TrimSpace(spec.Inputs.Raw), []byte("{")) {
		errs = append(errs, field.Invalid(path.Child("inputs"), gate.Cut(string(spec.Inputs.Raw), maxShown), "must be an object with a value for each input"))
	}
	return errs
}

// maxShown is how much of what is wrong is shown.
const maxShown = 40

func tooLong(path *field.Path, text string, most int) field.ErrorList {
	if utf8.RuneCountInString(text) <= most {
		return nil
	}
	return field.ErrorList{field.TooLong(path, "", most)}
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
	now := w.Wall.Now()
	seen := evidence.Seen{UID: action.Object.UID, Digest: digest, Ends: gate.Expires(action.Object, &gate.Subject{Spec: &request.Spec}, now)}
	if err := w.Evidence.SealRequest(request, seen, nonce, now); err != nil {
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
	if request.Spec.Seal == nil {
		// It is not sealed while nobody knows its Action, and may be known by now.
		return ptr(forbidden(v1alpha1.ReasonNotStamped, "there is no seal on the request: its Action became known this very moment, or another webhook removed the seal.\n"+
			"  Nothing was stored. Ask again."))
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
