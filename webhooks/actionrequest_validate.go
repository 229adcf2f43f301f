package webhooks

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/guard/canary"
	"github.com/signoff-dev/signoff/internal/metrics"
	"github.com/signoff-dev/signoff/internal/record"
	"github.com/signoff-dev/signoff/internal/visible"
)

// validate judges the final object, whatever other webhooks made of it.
func (w *actionRequests) validate(ctx context.Context, req admission.Request, request, old *v1alpha1.ActionRequest) admission.Response {
	if req.SubResource != "" {
		return w.operatorOnly(&req, "the "+req.SubResource+" of an ActionRequest")
	}
	switch req.Operation {
	case admissionv1.Create:
		if canary.Is(request) {
			return w.refuseCanary(&req, request)
		}
		return w.create(ctx, &req, request)
	case admissionv1.Update:
		return w.update(ctx, &req, request, old)
	case admissionv1.Delete:
		return w.remove(ctx, old)
	case admissionv1.Connect:
	}
	return forbidden("", fmt.Sprintf("operation %s is not known", req.Operation))
}

func (w *actionRequests) create(ctx context.Context, req *admission.Request, request *v1alpha1.ActionRequest) admission.Response {
	caller, refused := w.stamp(ctx, &req.UserInfo)
	if refused != nil {
		return *refused
	}
	if request.Spec.Requester == nil || !apiequality.Semantic.DeepEqual(*request.Spec.Requester, caller) ||
		!slices.Contains(request.Finalizers, v1alpha1.RequestFinalizer) {
		return forbidden(v1alpha1.ReasonNotStamped, "the request was not stamped by Signoff, or another webhook changed the stamp. Nothing was stored.")
	}
	if refused := w.crowded(req, request, &caller); refused != nil {
		return *refused
	}
	answer := w.asked(ctx, req, request)
	if !answer.Allowed && !isDryRun(req) {
		w.Open.leave(caller.Person, req.UID)
	}
	return answer
}

// asked judges a new request that was stamped.
func (w *actionRequests) asked(ctx context.Context, req *admission.Request, request *v1alpha1.ActionRequest) admission.Response {
	now, errs := w.time(req, request)
	if errs = slices.Concat(errs, blankReasons(&request.Spec), gate.CheckTimes(&request.Spec, now), endless(request), overgrown(sizeOf(ctx), request)); len(errs) > 0 {
		return invalid(req, request.Name, errs)
	}
	subject := gate.SubjectOf(request)
	subject.Explain = true
	judgement := w.Gate.Judge(ctx, subject, now)
	if !isDryRun(req) {
		metrics.Judged(metrics.Admission, judgement)
	}
	answer := w.answer(ctx, req, judgement, subject)
	if answer.Allowed {
		if refused := w.sealed(req, request); refused != nil {
			answer = *refused
		}
	}
	if errs := w.hurried(ctx, judgement, request); len(errs) > 0 {
		answer = invalid(req, request.Name, errs)
	}
	return audited(answer, judgement)
}

// hurried refuses a request that ends before its Action lets it start. What was executed before is not executed now, and gets the end of the first however late
// it is made again.
func (w *actionRequests) hurried(ctx context.Context, j *gate.Judgement, request *v1alpha1.ActionRequest) field.ErrorList {
	if j.Problem != nil {
		return nil
	}
	errs := gate.CheckDelay(j, &request.Spec)
	if len(errs) == 0 {
		return nil
	}
	name, err := record.Name(request)
	if err == nil {
		err = w.Reader.Get(ctx, types.NamespacedName{Namespace: w.OperatorNamespace, Name: name}, &v1alpha1.Record{})
	}
	if !apierrors.IsNotFound(err) {
		return nil
	}
	return errs
}

// answer says what a judgement means to who asks.
func (w *actionRequests) answer(ctx context.Context, req *admission.Request, judgement *gate.Judgement, subject *gate.Subject) admission.Response {
	if problem := judgement.Problem; problem != nil {
		if len(problem.Fields) > 0 {
			return invalid(req, subject.Name, withExample(problem.Fields, judgement))
		}
		message := problem.Message
		if problem.Reason == v1alpha1.ReasonIndeterminate || problem.Reason == v1alpha1.ReasonFactsUnavailable {
			message += "\n  Nothing was stored."
		}
		return explained(ctx, req, forbidden(problem.Reason, message), judgement)
	}
	return admission.Allowed("").WithWarnings(w.Gate.Warnings(judgement, subject)...)
}

// withExample adds where to find a request that works, where something is missing.
func withExample(errs field.ErrorList, j *gate.Judgement) field.ErrorList {
	missing := slices.ContainsFunc(errs, func(e *field.Error) bool { return e.Type == field.ErrorTypeRequired })
	if !missing || j.Action == nil {
		return errs
	}
	ref := j.Action.Ref()
	return append(errs, field.Forbidden(field.NewPath("spec", "actionRef"),
		fmt.Sprintf("a working example: kubectl get action -n %s %s -o jsonpath={.status.example}", ref.Namespace, ref.Name)))
}

func (w *actionRequests) update(ctx context.Context, req *admission.Request, request, old *v1alpha1.ActionRequest) admission.Response {
	if lost(old, request) && !w.isOperator(req) {
		return forbidden("", fmt.Sprintf("the finalizer %s is removed by Signoff only, when nothing is left to do", v1alpha1.RequestFinalizer))
	}
	if errs := requestMetadata(&request.ObjectMeta, &old.ObjectMeta); len(errs) > 0 && !w.isOperator(req) {
		return invalid(req, request.Name, errs)
	}
	if apiequality.Semantic.DeepEqual(request.Spec, old.Spec) {
		return admission.Allowed("")
	}
	return w.changed(ctx, req, request, old)
}

// changed judges what somebody says about a request that is there: that it is cancelled, or how a step ended. Nothing else of it ever changes.
func (w *actionRequests) changed(ctx context.Context, req *admission.Request, request, old *v1alpha1.ActionRequest) admission.Response {
	rest := request.Spec.DeepCopy()
	rest.Cancellation, rest.Resolution, rest.Resolutions = old.Spec.Cancellation, old.Spec.Resolution, old.Spec.Resolutions
	cancels := !apiequality.Semantic.DeepEqual(request.Spec.Cancellation, old.Spec.Cancellation)
	resolves := !apiequality.Semantic.DeepEqual(request.Spec.Resolutions, old.Spec.Resolutions) || request.Spec.Resolution != nil
	switch {
	case !apiequality.Semantic.DeepEqual(*rest, old.Spec) || cancels && old.Spec.Cancellation != nil:
		return invalid(req, request.Name, field.ErrorList{field.Forbidden(field.NewPath("spec"),
			"a request never changes after it was made, except that cancellation can be added, and resolution written: make a new request")})
	case cancels && resolves:
		return invalid(req, request.Name, field.ErrorList{field.Forbidden(resolutionPath, "cancel in another write: it is judged by another right")})
	case resolves:
		return w.resolve(ctx, req, request, old)
	}
	return w.cancel(ctx, req, request, old)
}

// blankReasons refuses reasons and names without a word: others must read them.
func blankReasons(spec *v1alpha1.ActionRequestSpec) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("spec")
	if spec.OnBehalfOf != nil && strings.TrimFunc(spec.OnBehalfOf.Username, unseen) == "" {
		errs = append(errs, field.Required(path.Child("onBehalfOf", "username"), "name the person, or leave onBehalfOf out"))
	}
	if spec.OnBehalfOf != nil && visible.Hides(spec.OnBehalfOf.Username) {
		errs = append(errs, field.Invalid(path.Child("onBehalfOf", "username"), spec.OnBehalfOf.Username, "holds characters that show nothing: write the name as the person logs in"))
	}
	if spec.BreakGlass != nil && strings.TrimFunc(spec.BreakGlass.Reason, unseen) == "" {
		errs = append(errs, field.Required(path.Child("breakGlass", "reason"), "say what the emergency is: a reviewer will read it"))
	}
	if spec.Cancellation != nil && strings.TrimFunc(spec.Cancellation.Reason, unseen) == "" {
		errs = append(errs, field.Required(path.Child("cancellation", "reason"), "say why"))
	}
	return errs
}

// cancel lets the requester, or somebody who holds the verb cancel, end a request that is not over.
func (w *actionRequests) cancel(ctx context.Context, req *admission.Request, request, old *v1alpha1.ActionRequest) admission.Response {
	caller, refused := w.stamp(ctx, &req.UserInfo)
	if refused != nil {
		return *refused
	}
	if by := request.Spec.Cancellation.By; by == nil || !apiequality.Semantic.DeepEqual(*by, caller) {
		return forbidden(v1alpha1.ReasonNotStamped, "the cancellation was not stamped by Signoff, or another webhook changed the stamp")
	}
	if blank := blankReasons(&request.Spec); len(blank) > 0 {
		return invalid(req, request.Name, blank)
	}
	if dry := isDryRun(req); dry != (request.Spec.Cancellation.Seal == nil) {
		return forbidden(v1alpha1.ReasonNotStamped, "the cancellation was not sealed by Signoff, or another webhook changed the seal")
	} else if _, err := w.Evidence.Cancellation(request); err != nil && !dry {
		return unsealed(err)
	}
	if old.Status.Outcome != "" {
		return forbidden(v1alpha1.ReasonAlreadyDecided, fmt.Sprintf("the request is over (%s): there is nothing to cancel", old.Status.Outcome))
	}
	if problem := w.Gate.MayCancel(ctx, gate.SubjectOf(old), &caller, w.Clock.Now()); problem != nil {
		return forbidden(problem.Reason, problem.Message)
	}
	return admission.Allowed("")
}

// remove allows to delete what does not act. It judges by state and never by who asks: garbage collection and the deletion
// of a namespace must always end.
func (w *actionRequests) remove(ctx context.Context, old *v1alpha1.ActionRequest) admission.Response {
	open, err := w.openReview(ctx, old)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	if open == nil && (old.Status.Outcome != "" || old.Status.Execution == nil || old.Status.ActiveUntil != nil) {
		return admission.Allowed("")
	}
	terminating, err := w.terminating(ctx, old.Namespace)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	if terminating {
		return admission.Allowed("")
	}
	if open != nil {
		return forbidden(v1alpha1.ReasonAwaitingReview, fmt.Sprintf("%s/%s broke the glass and cannot be deleted before it is reviewed: %s, by %s.\n  See: kubectl describe approval -n %s %s",
			old.Namespace, old.Name, open.Spec.Needs, open.Spec.Expires, open.Namespace, open.Name))
	}
	if old.Status.Phase == v1alpha1.PhaseOutcomeUnknown {
		return forbidden(v1alpha1.ReasonOutcomeUnknown, fmt.Sprintf("%s/%s cannot be deleted before somebody has decided how its step ended: %s.\n  See: kubectl describe actionrequest -n %s %s",
			old.Namespace, old.Name, old.Status.WaitingFor, old.Namespace, old.Name))
	}
	if c := old.Spec.Cancellation; c != nil {
		return forbidden("", fmt.Sprintf("%s/%s was cancelled by %s and has not come to its end, so it cannot be deleted yet: %s. It ends by itself.\n  See: kubectl describe actionrequest -n %s %s",
			old.Namespace, old.Name, cancelledBy(c), cmp.Or(strings.TrimPrefix(old.Status.WaitingFor, "cancelled; "), "that is not seen yet"), old.Namespace, old.Name))
	}
	return forbidden("", fmt.Sprintf("%s/%s is executing and cannot be deleted. Cancel it first: %s",
		old.Namespace, old.Name, gate.CancelCommand(old.Namespace, old.Name, "why")))
}

// openReview finds the open review of a request that broke the glass. Nothing that a client can write hides it.
func (w *actionRequests) openReview(ctx context.Context, request *v1alpha1.ActionRequest) (*v1alpha1.Approval, error) {
	if request.Spec.BreakGlass == nil {
		return nil, nil //nolint:nilnil // no review is an answer, not an error
	}
	list := &v1alpha1.ApprovalList{}
	err := w.Reader.List(ctx, list, client.InNamespace(request.Namespace),
		client.MatchingLabels{v1alpha1.LabelRequestUID: string(request.UID)})
	if err != nil {
		return nil, fmt.Errorf("failed to list the Approvals of request %s/%s: %w", request.Namespace, request.Name, err)
	}
	for i := range list.Items {
		if list.Items[i].Spec.Review && list.Items[i].Status.State == v1alpha1.ApprovalOpen {
			return &list.Items[i], nil
		}
	}
	return nil, nil //nolint:nilnil // no review is an answer, not an error
}

// terminating tells whether a namespace is being deleted, or gone.
func (d *Deps) terminating(ctx context.Context, name string) (bool, error) {
	namespace := &corev1.Namespace{}
	if err := d.Namespaces.Get(ctx, types.NamespacedName{Name: name}, namespace); err != nil {
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, fmt.Errorf("failed to get namespace %s: %w", name, err)
	}
	return namespace.DeletionTimestamp != nil, nil
}

// cancelledBy names who cancelled. What was written past the webhooks names nobody.
func cancelledBy(c *v1alpha1.Cancellation) string {
	if c.By == nil {
		return "somebody"
	}
	return visible.Inside(c.By.Username)
}
