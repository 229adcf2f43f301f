package webhooks

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/guard/canary"
)

// nameSuffix is the length of the random end of a generated name. The API server does not try again on a collision.
const nameSuffix = 8

type actionRequests struct{ *Deps }

// mutate stamps the requester, names the request and adds our finalizer. It decides nothing.
func (w *actionRequests) mutate(ctx context.Context, req admission.Request, request, old *v1alpha1.ActionRequest) admission.Response {
	if req.SubResource != "" || req.Operation == admissionv1.Delete {
		return admission.Allowed("")
	}
	caller, refused := w.stamp(ctx, &req.UserInfo)
	if refused != nil {
		return *refused
	}
	if req.Operation == admissionv1.Update {
		return w.restore(&req, request, old, caller)
	}
	if canary.Is(request) {
		return w.stampCanary(&req, request, caller)
	}
	if refused := w.exhausted(&req, asking, &caller); refused != nil {
		return *refused
	}
	if errs := unstampable(&request.Spec, &caller); len(errs) > 0 {
		return invalid(&req, displayName(request), errs)
	}
	ops := w.fill(ctx, &req, request, caller)
	if request.Name == "" {
		return patched(ops) // the API server demands a name next
	}
	sealed, err := w.seal(&req, request)
	if err != nil {
		return unsealed(err)
	}
	return patched(append(ops, sealed...))
}

// unstampable says what keeps a new request from being stamped. The first is told alone: without it, nothing else matters.
func unstampable(spec *v1alpha1.ActionRequestSpec, caller *v1alpha1.Identity) field.ErrorList {
	path := field.NewPath("spec")
	if spec.ActionRef == (v1alpha1.ActionReference{}) {
		return field.ErrorList{field.Required(path.Child("actionRef"), "name the Action: namespace and name; see what there is: kubectl get actions -A")}
	}
	if given := spec.Requester; given != nil && !apiequality.Semantic.DeepEqual(*given, *caller) {
		return field.ErrorList{field.Forbidden(path.Child("requester"), fmt.Sprintf("Signoff writes who asked, from your login (%s): leave it out", caller.Username))}
	}
	return append(unsealable(spec), unresolvable(spec)...)
}

// fill completes a new request.
func (w *actionRequests) fill(ctx context.Context, req *admission.Request, request *v1alpha1.ActionRequest, caller v1alpha1.Identity) []jsonpatch.Operation {
	ops := []jsonpatch.Operation{jsonpatch.NewOperation("add", "/spec/requester", caller)}
	if request.Name == "" && request.GenerateName != "" {
		request.Name = generateName(request.GenerateName)
		ops = append(ops, jsonpatch.NewOperation("add", "/metadata/name", request.Name))
	}
	if !slices.Contains(request.Finalizers, v1alpha1.RequestFinalizer) {
		ops = append(ops, jsonpatch.NewOperation("add", "/metadata/finalizers", append(request.Finalizers, v1alpha1.RequestFinalizer)))
	}
	if request.Spec.Cancellation != nil {
		ops = append(ops, jsonpatch.NewOperation("add", "/spec/cancellation/by", caller))
		if request.Spec.Cancellation.Seal != nil {
			ops = append(ops, jsonpatch.NewOperation("remove", "/spec/cancellation/seal", nil))
		}
	}
	request.Spec.Requester = &caller
	return append(ops, w.verdictAnnotation(ctx, req, request)...)
}

// verdictAnnotation puts the whole verdict on the result of a dry run, and removes whatever a client wrote there.
func (w *actionRequests) verdictAnnotation(ctx context.Context, req *admission.Request, request *v1alpha1.ActionRequest) []jsonpatch.Operation {
	const path = "/metadata/annotations"
	annotations, room := make(map[string]string, len(request.Annotations)+1), validation.TotalAnnotationSizeLimitB-len(v1alpha1.AnnotationVerdict)
	for key, value := range request.Annotations {
		if key != v1alpha1.AnnotationVerdict {
			annotations[key] = value
			room -= len(key) + len(value)
		}
	}
	if isDryRun(req) {
		if text := w.explained(ctx, request).Text(room); text != "" {
			annotations[v1alpha1.AnnotationVerdict] = text
		}
	}
	if len(annotations) == len(request.Annotations) && annotations[v1alpha1.AnnotationVerdict] == request.Annotations[v1alpha1.AnnotationVerdict] {
		return nil
	}
	return []jsonpatch.Operation{jsonpatch.NewOperation("add", path, annotations)}
}

// restore keeps what a client cannot change, so that re-applying a manifest without it is no change.
func (w *actionRequests) restore(req *admission.Request, request, old *v1alpha1.ActionRequest, caller v1alpha1.Identity) admission.Response {
	ops := w.kept(req, request, old)
	if saysNew(request, old) {
		if refused := w.exhausted(req, changing, &caller); refused != nil {
			return *refused
		}
	}
	if errs := wordless(request.Spec.Resolution); len(errs) > 0 {
		return invalid(req, request.Name, errs)
	}
	said, err := w.said(req, request, old, caller)
	if err != nil {
		return unsealed(err)
	}
	return patched(append(ops, said...))
}

// kept puts back what only Signoff writes.
func (w *actionRequests) kept(req *admission.Request, request, old *v1alpha1.ActionRequest) []jsonpatch.Operation {
	var ops []jsonpatch.Operation
	if old.Spec.Seal != nil && !apiequality.Semantic.DeepEqual(request.Spec.Seal, old.Spec.Seal) {
		ops = append(ops, jsonpatch.NewOperation("add", "/spec/seal", old.Spec.Seal))
	}
	if old.Spec.Requester != nil && !apiequality.Semantic.DeepEqual(request.Spec.Requester, old.Spec.Requester) {
		ops = append(ops, jsonpatch.NewOperation("add", "/spec/requester", old.Spec.Requester))
	}
	if !w.isOperator(req) && lost(old, request) {
		ops = append(ops, jsonpatch.NewOperation("add", "/metadata/finalizers", append(request.Finalizers, v1alpha1.RequestFinalizer)))
	}
	if verdict := request.Annotations[v1alpha1.AnnotationVerdict]; verdict != "" && !w.isOperator(req) {
		ops = append(ops, jsonpatch.NewOperation("remove", "/metadata/annotations/signoff.dev~1verdict", nil))
	}
	return ops
}

// saysNew tells whether an update of a request cancels it, or decides about a step. What it only sends again costs nothing.
func saysNew(request, old *v1alpha1.ActionRequest) bool {
	return request.Spec.Cancellation != nil && old.Spec.Cancellation == nil || request.Spec.Resolution != nil
}

// said stamps and seals what somebody says about a request that is there.
func (w *actionRequests) said(req *admission.Request, request, old *v1alpha1.ActionRequest, caller v1alpha1.Identity) ([]jsonpatch.Operation, error) {
	cancelled, err := w.cancellation(req, request, old, caller)
	if err != nil {
		return nil, err
	}
	resolved, err := w.resolution(req, request, old, &caller)
	return append(cancelled, resolved...), err
}

// cancellation stamps and seals a new cancellation, and keeps the stamp of an old one.
func (w *actionRequests) cancellation(req *admission.Request, request, old *v1alpha1.ActionRequest, caller v1alpha1.Identity) ([]jsonpatch.Operation, error) {
	const path = "/spec/cancellation"
	given, known := request.Spec.Cancellation, old.Spec.Cancellation
	if given == nil {
		return nil, nil
	}
	if known != nil {
		kept := v1alpha1.Cancellation{Reason: given.Reason, By: known.By, Seal: known.Seal}
		if apiequality.Semantic.DeepEqual(*given, kept) {
			return nil, nil
		}
		return []jsonpatch.Operation{jsonpatch.NewOperation("add", path, kept)}, nil
	}
	stamped := request.DeepCopy()
	stamped.Spec.Cancellation = &v1alpha1.Cancellation{Reason: given.Reason, By: &caller}
	if !isDryRun(req) {
		if err := w.Evidence.SealCancellation(stamped, w.Clock.Now()); err != nil {
			return nil, fmt.Errorf("failed to seal the cancellation: %w", err)
		}
	}
	return []jsonpatch.Operation{jsonpatch.NewOperation("add", path, stamped.Spec.Cancellation)}, nil
}

// lost tells whether an update drops our finalizer.
func lost(old, request *v1alpha1.ActionRequest) bool {
	return slices.Contains(old.Finalizers, v1alpha1.RequestFinalizer) && !slices.Contains(request.Finalizers, v1alpha1.RequestFinalizer)
}

func generateName(prefix string) string {
	const maxName = 253
	if len(prefix) > maxName-nameSuffix {
		prefix = prefix[:maxName-nameSuffix]
	}
	return prefix + rand.String(nameSuffix)
}

func patched(ops []jsonpatch.Operation) admission.Response {
	return admission.Patched("", ops...)
}

func displayName(request *v1alpha1.ActionRequest) string {
	if request.Name != "" {
		return request.Name
	}
	return request.GenerateName
}

// subjectOf gives the subject for a request that is not stored: a time or a uid that a client wrote is not to be believed.
func subjectOf(request *v1alpha1.ActionRequest) *gate.Subject {
	subject := gate.SubjectOf(request)
	subject.CreatedAt, subject.UID = time.Time{}, ""
	return subject
}
