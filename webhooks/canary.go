package webhooks

import (
	"errors"
	"maps"
	"net/http"
	"slices"

	"gomodules.xyz/jsonpatch/v2"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/guard/canary"
)

// stampCanary is the mutating pass of a canary: the stamp of every request, and a proof. Nothing is judged.
func (w *actionRequests) stampCanary(req *admission.Request, request *v1alpha1.ActionRequest, caller v1alpha1.Identity) admission.Response {
	if refused := w.notOurCanary(req, request); refused != nil {
		return *refused
	}
	if w.Canary == nil {
		return admission.Errored(http.StatusInternalServerError, errNoProver)
	}
	stamp, err := canary.Stamp(w.Canary, request)
	if err != nil {
		return unproved(err)
	}
	annotations := maps.Clone(request.Annotations)
	annotations[canary.AnnotationStamp] = stamp
	return patched([]jsonpatch.Operation{
		jsonpatch.NewOperation("add", "/spec/requester", caller),
		jsonpatch.NewOperation("add", "/metadata/finalizers", []string{v1alpha1.RequestFinalizer}),
		jsonpatch.NewOperation("add", "/metadata/annotations", annotations),
	})
}

// refuseCanary is the validating pass of a canary. It refuses always, also where somebody stored a canary without a dry run. Whoever is
// not the operator learns no proof: an answer that everybody can have made would prove nothing.
func (w *actionRequests) refuseCanary(req *admission.Request, request *v1alpha1.ActionRequest) admission.Response {
	if refused := w.notOurCanary(req, request); refused != nil {
		return *refused
	}
	if w.Canary == nil {
		return admission.Errored(http.StatusInternalServerError, errNoProver)
	}
	if !slices.Contains(request.Finalizers, v1alpha1.RequestFinalizer) || request.Spec.Requester == nil || request.Spec.Requester.Username != req.UserInfo.Username {
		return forbidden(v1alpha1.ReasonNotStamped, "the canary was not stamped by Signoff, or another webhook changed the stamp. Nothing was stored.")
	}
	status, err := canary.Refusal(w.Canary, request)
	if err != nil {
		return unproved(err)
	}
	response := admission.Denied("")
	response.Result = status
	return response
}

// unproved says why there is no proof. That there is no key until a person acts is an answer, so that the controllers need not wait for another one.
func unproved(err error) admission.Response {
	why := evidence.Of(err)
	if !why.Lasting {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	response := admission.Denied("")
	response.Result = canary.Unable(why.Message)
	return response
}

var errNoProver = errors.New("this process has nothing to prove by that it is Signoff's admission")

func (w *actionRequests) notOurCanary(req *admission.Request, request *v1alpha1.ActionRequest) *admission.Response {
	if w.isOperator(req) && req.Namespace == w.OperatorNamespace && request.Annotations[canary.Annotation] != "" {
		return nil
	}
	path := field.NewPath("metadata", "annotations")
	var errs field.ErrorList
	for _, key := range []string{canary.Annotation, canary.AnnotationStamp} {
		if _, has := request.Annotations[key]; has {
			errs = append(errs, field.Forbidden(path.Key(key), "by this Signoff proves to itself that its webhooks are asked: leave it out"))
		}
	}
	return ptr(invalid(req, displayName(request), errs))
}
