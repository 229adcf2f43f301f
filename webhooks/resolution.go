package webhooks

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gomodules.xyz/jsonpatch/v2"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

// maxResolutions is how many decisions a request can hold.
const maxResolutions = 64

var (
	resolutionPath  = field.NewPath("spec", "resolution")
	resolutionsPath = field.NewPath("spec", "resolutions")
)

// unresolvable refuses a new request that comes with decisions about its steps.
func unresolvable(spec *v1alpha1.ActionRequestSpec) field.ErrorList {
	var errs field.ErrorList
	if spec.Resolution != nil {
		errs = append(errs, field.Forbidden(resolutionPath, "nothing has been executed, so there is nothing to decide"))
	}
	if len(spec.Resolutions) > 0 {
		errs = append(errs, field.Forbidden(resolutionsPath, "is written by Signoff only"))
	}
	return errs
}

// wordless refuses a decision without a word.
func wordless(given *v1alpha1.NewResolution) field.ErrorList {
	if given == nil || strings.TrimFunc(given.Comment, unseen) != "" {
		return nil
	}
	return field.ErrorList{field.Required(resolutionPath.Child("comment"), "say how you know: others will rely on it")}
}

// resolution turns a write of spec.resolution into an entry of spec.resolutions by the caller, and keeps those that are there: who sends none
// applies a manifest, and means to remove nothing.
func (w *actionRequests) resolution(req *admission.Request, request, old *v1alpha1.ActionRequest, caller *v1alpha1.Identity) ([]jsonpatch.Operation, error) {
	list := old.Spec.Resolutions
	given := request.Spec.Resolution
	var ops []jsonpatch.Operation
	if given != nil {
		ops = append(ops, jsonpatch.NewOperation("remove", "/spec/resolution", nil))
		if managed := old.ManagedFields; len(request.ManagedFields) > 0 && len(managed) > 0 {
			// Nobody owns spec.resolution, which is gone.
			ops = append(ops, jsonpatch.NewOperation("replace", "/metadata/managedFields", managed))
		}
		entry := v1alpha1.Resolution{NewResolution: *given, By: *caller}
		entry.Comment = printable(strings.TrimFunc(given.Comment, unseen))
		if !slices.ContainsFunc(list, func(r v1alpha1.Resolution) bool { return sameDecision(&r, &entry) }) {
			if !isDryRun(req) {
				if err := w.Evidence.SealResolution(request, &entry, w.Clock.Now()); err != nil {
					return nil, fmt.Errorf("failed to seal the decision: %w", err)
				}
			}
			list = append(slices.Clone(list), entry)
		}
	}
	if given != nil || len(request.Spec.Resolutions) == 0 && len(list) > 0 {
		ops = append(ops, jsonpatch.NewOperation("add", "/spec/resolutions", list))
	}
	return ops, nil
}

// sameDecision tells whether somebody says again what they said before, as who applies a manifest twice does.
func sameDecision(known, given *v1alpha1.Resolution) bool {
	return known.NewResolution == given.NewResolution && known.By.Username == given.By.Username
}

// resolve lets somebody who holds the verb resolve decide about the step of which nobody knows how it ended.
func (w *actionRequests) resolve(ctx context.Context, req *admission.Request, request, old *v1alpha1.ActionRequest) admission.Response {
	caller, refused := w.stamp(ctx, &req.UserInfo)
	if refused != nil {
		return *refused
	}
	known, given := old.Spec.Resolutions, request.Spec.Resolutions
	if request.Spec.Resolution != nil || len(given) != len(known)+1 || !apiequality.Semantic.DeepEqual(given[:len(known)], known) {
		return invalid(req, request.Name, field.ErrorList{field.Forbidden(resolutionsPath, "is written by Signoff only: write spec.resolution, and it becomes yours")})
	}
	entry := &given[len(known)]
	if !apiequality.Semantic.DeepEqual(entry.By, caller) {
		return forbidden(v1alpha1.ReasonNotStamped, "the decision was not stamped by Signoff, or another webhook changed the stamp")
	}
	if dry := isDryRun(req); dry != (entry.Seal == nil) {
		return forbidden(v1alpha1.ReasonNotStamped, "the decision was not sealed by Signoff, or another webhook changed the seal")
	} else if !dry {
		if _, err := w.Evidence.Resolution(request, entry); err != nil {
			return unsealed(err)
		}
	}
	if refused := w.nothingToResolve(ctx, entry, old); refused != nil {
		return *refused
	}
	if problem := w.mayDecide(ctx, entry, old, &caller, w.Clock.Now()); problem != nil {
		return forbidden(problem.Reason, problem.Message)
	}
	return admission.Allowed("")
}

// mayDecide tells whether somebody may, or could then, decide what an entry says.
func (w *actionRequests) mayDecide(ctx context.Context, entry *v1alpha1.Resolution, old *v1alpha1.ActionRequest, caller *v1alpha1.Identity, at time.Time) *gate.Problem {
	if old.EndsRevert(&entry.NewResolution) {
		return w.Gate.MayLeave(ctx, gate.SubjectOf(old), caller, at)
	}
	return w.Gate.MayResolve(ctx, gate.SubjectOf(old), caller, at)
}

// nothingToResolve refuses a decision about a step of which it is known how far it is.
func (w *actionRequests) nothingToResolve(ctx context.Context, entry *v1alpha1.Resolution, old *v1alpha1.ActionRequest) *admission.Response {
	if entry.Step == v1alpha1.StepRevert && reverting(old) {
		return w.nothingToLeave(ctx, entry, old)
	}
	open := "none"
	for i := range old.Status.Steps {
		switch step := &old.Status.Steps[i]; {
		case step.State != v1alpha1.StepUnknown:
		case step.Name == entry.Step:
			return w.alreadyResolved(ctx, entry, old)
		default:
			open = step.Name
		}
	}
	return ptr(forbidden(v1alpha1.ReasonNothingToResolve, fmt.Sprintf("there is nothing to decide about step %q of %s/%s. Steps of which nobody knows how they ended: %s.\n  See: kubectl describe actionrequest -n %s %s",
		entry.Step, old.Namespace, old.Name, open, old.Namespace, old.Name)))
}

// reverting tells whether what a request has done is being taken back, and something of it is left. That of another one before it is not its own.
func reverting(request *v1alpha1.ActionRequest) bool {
	ready := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionReady)
	return request.Status.Phase == v1alpha1.PhaseReverting && ready != nil && ready.Reason != v1alpha1.ReasonAlreadyExecuted
}

// nothingToLeave refuses a decision about what is left that would change nothing.
func (w *actionRequests) nothingToLeave(ctx context.Context, entry *v1alpha1.Resolution, old *v1alpha1.ActionRequest) *admission.Response {
	if entry.Outcome != v1alpha1.StepSucceeded {
		return ptr(forbidden(v1alpha1.ReasonNothingToResolve, fmt.Sprintf("what is left of %s/%s is tried again anyway. Only %s ends that: it is taken back by hand, or may stay",
			old.Namespace, old.Name, v1alpha1.StepSucceeded)))
	}
	return w.alreadyResolved(ctx, entry, old)
}

// inVain tells whether a decision about what is left has ended nothing in the time in which one does: it was given before anybody could know what is.
func (w *actionRequests) inVain(earlier *v1alpha1.Resolution, old *v1alpha1.ActionRequest) bool {
	return old.EndsRevert(&earlier.NewResolution) && w.Clock.Now().After(earlier.Seal.At.Add(gate.LeavePatience))
}

// alreadyResolved refuses a second decision about a step, which would not count. One by who may not, written past this webhook, does not count.
func (w *actionRequests) alreadyResolved(ctx context.Context, entry *v1alpha1.Resolution, old *v1alpha1.ActionRequest) *admission.Response {
	if len(old.Spec.Resolutions) >= maxResolutions {
		return ptr(forbidden(v1alpha1.ReasonNothingToResolve, fmt.Sprintf("%s/%s holds %d decisions, and cannot hold more", old.Namespace, old.Name, maxResolutions)))
	}
	for i := range old.Spec.Resolutions {
		earlier := &old.Spec.Resolutions[i]
		if earlier.Step != entry.Step {
			continue
		}
		if _, err := w.Evidence.Resolution(old, earlier); err == nil && !w.inVain(earlier, old) &&
			w.mayDecide(ctx, earlier, old, &earlier.By, earlier.Seal.At.Time) == nil {
			return ptr(forbidden(v1alpha1.ReasonAlreadyDecided, fmt.Sprintf("%s has decided at %s that step %s %s. That is final.",
				earlier.By.Username, earlier.Seal.At.UTC().Format("2 Jan 15:04 MST"), earlier.Step, strings.ToLower(string(earlier.Outcome)))))
		}
	}
	return nil
}
