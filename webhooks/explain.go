package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

// causeVerdict is the type of the cause that carries the whole verdict of a refused dry run. kubectl shows no causes of a 403.
const causeVerdict metav1.CauseType = "Verdict"

// explained is the whole verdict on a request, with the reasons of every rule.
func (w *actionRequests) explained(ctx context.Context, request *v1alpha1.ActionRequest) *gate.Explanation {
	now, err := at(request, w.Clock.Now())
	if err != nil {
		// The validating pass refuses it, and says why.
		now = w.Clock.Now()
	}
	subject := subjectOf(request)
	subject.Explain = true
	judgement := w.Gate.Judge(ctx, subject, now)
	judgement.Explain(ctx)
	return gate.Explain(judgement)
}

// at gives the time that a request asks to be judged at.
func at(request *v1alpha1.ActionRequest, now time.Time) (time.Time, error) {
	text, ok := request.Annotations[v1alpha1.AnnotationAt]
	if !ok {
		return now, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return now, fmt.Errorf("write the time as 2026-12-24T09:00:00Z or 2026-12-24T10:00:00+01:00")
	}
	return at, nil
}

// time gives the time at which a new request is judged: now, or in a dry run the one that it asks for.
func (w *actionRequests) time(req *admission.Request, request *v1alpha1.ActionRequest) (time.Time, field.ErrorList) {
	now := w.Clock.Now()
	text, ok := request.Annotations[v1alpha1.AnnotationAt]
	if !ok {
		return now, nil
	}
	path := field.NewPath("metadata", "annotations").Key(v1alpha1.AnnotationAt)
	if !isDryRun(req) {
		return now, field.ErrorList{field.Forbidden(path, "another time can be tried in a dry run only: add --dry-run=server, or remove the annotation")}
	}
	at, err := at(request, now)
	if err != nil {
		return now, field.ErrorList{field.Invalid(path, text, err.Error())}
	}
	return at, nil
}

func isDryRun(req *admission.Request) bool { return req.DryRun != nil && *req.DryRun }

// explained adds to the refusal of a dry run what programs read: the code of the reason, and the whole verdict as far as it came.
func explained(ctx context.Context, req *admission.Request, response admission.Response, judgement *gate.Judgement) admission.Response {
	if !isDryRun(req) {
		return response
	}
	judgement.Explain(ctx)
	return coded(response, gate.Explain(judgement))
}

// coded adds to a refusal what programs read.
func coded(response admission.Response, verdict *gate.Explanation) admission.Response {
	text, err := json.Marshal(verdict)
	if err == nil {
		response.Result.Details = &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: causeVerdict, Message: string(text)}}}
	}
	return response
}

// audited writes into the audit log what was decided, and by which rules.
func audited(response admission.Response, judgement *gate.Judgement) admission.Response {
	if response.AuditAnnotations == nil {
		response.AuditAnnotations = map[string]string{}
	}
	if problem := judgement.Problem; problem != nil {
		response.AuditAnnotations["reason"] = problem.Reason
	}
	if judgement.Verdict != nil {
		response.AuditAnnotations["effect"] = string(judgement.Verdict.Effect)
		response.AuditAnnotations["rules"] = gate.AuditRules(judgement)
	}
	return response
}
