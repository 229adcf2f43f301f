package webhooks

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/calendar"
	"github.com/signoff-dev/signoff/internal/catalog"
)

// governing judges what platform and security teams write: it must compile before it is stored.
type governing struct{ *Deps }

func (w *governing) validate(ctx context.Context, req admission.Request) admission.Response {
	if req.SubResource != "" {
		return w.operatorOnly(&req, "the "+req.SubResource+" of a "+req.Kind.Kind)
	}
	if req.Operation == admissionv1.Delete && req.Kind.Kind != "Delegation" {
		return admission.Allowed("")
	}
	switch req.Kind.Kind {
	case "Delegation":
		return w.delegation(ctx, &req)
	case "Action":
		return w.action(ctx, &req)
	case "Role":
		return w.role(ctx, &req)
	case "Team":
		return w.team(ctx, &req)
	case "Calendar":
		return w.calendar(&req)
	case "ActionPolicy":
		return w.policy(ctx, &req)
	case "Notifier":
		return w.notifier(ctx, &req)
	}
	return forbidden("", fmt.Sprintf("kind %s is not known to this version of Signoff", req.Kind.Kind))
}

// calendar compiles a Calendar.
func (w *governing) calendar(req *admission.Request) admission.Response {
	var warnings []string
	response := check(req, func(o, _ *v1alpha1.Calendar) field.ErrorList {
		compiled, errs := calendar.Compile(&o.Spec, field.NewPath("spec"))
		if len(errs) == 0 {
			warnings = w.never(compiled)
		}
		return errs
	}, func(o *v1alpha1.Calendar) any { return o.Spec })
	return response.WithWarnings(warnings...)
}

// check decodes an object, lets an update with an unchanged spec pass, and judges the rest.
func check[T any](req *admission.Request, judge func(o, old *T) field.ErrorList, spec func(*T) any) admission.Response {
	object, old := new(T), new(T)
	if refused := decode(req.Object.Raw, object); refused != nil {
		return *refused
	}
	if req.Operation == admissionv1.Update {
		if refused := decode(req.OldObject.Raw, old); refused != nil {
			return *refused
		}
		if apiequality.Semantic.DeepEqual(spec(object), spec(old)) {
			return admission.Allowed("")
		}
	}
	if errs := judge(object, old); len(errs) > 0 {
		return invalid(req, req.Name, errs)
	}
	return admission.Allowed("")
}

// action compiles an Action, and demands of its writer the right to use the ServiceAccounts that it names.
func (w *governing) action(ctx context.Context, req *admission.Request) admission.Response {
	if len(w.CatalogNamespaces) > 0 && !slices.Contains(w.CatalogNamespaces, req.Namespace) {
		return forbidden("", fmt.Sprintf("Actions are published in these namespaces only: %v (configuration catalogNamespaces)", w.CatalogNamespaces))
	}
	var warnings []string
	var object *v1alpha1.Action
	onlyLabels := false
	response := check(req, func(o, old *v1alpha1.Action) field.ErrorList {
		onlyLabels = apiequality.Semantic.DeepEqual(o.Spec, old.Spec)
		compiled, errs := catalog.CompileAction(o)
		if compiled != nil {
			warnings, object = slices.Concat(compiled.Steps.Warnings(), w.absentInAction(compiled), w.unserved(&o.Spec), secretive(compiled.Inputs), partly(compiled.PartialMatches())), o
		}
		return errs
	}, selectable)
	if !response.Allowed || object == nil {
		return response
	}
	if refused := w.noted(req, object); refused != nil {
		return *refused
	}
	for _, name := range object.Spec.Execution.Accounts() {
		if refused := w.mayUse(ctx, req, name); refused != nil {
			if onlyLabels {
				refused.Result.Message += "\n  Roles and policies select Actions by labels, so changing labels takes the same right."
			}
			return *refused
		}
	}
	return response.WithWarnings(warnings...)
}

// selectable is what of an Action says what it does and which Roles and policies are about it. These select Actions by labels, so who
// changes labels must be allowed what who changes the rest must be.
func selectable(o *v1alpha1.Action) any {
	return struct {
		Spec   v1alpha1.ActionSpec
		Labels map[string]string
	}{o.Spec, o.Labels}
}

// mayUse asks whether the writer of an Action may act as a ServiceAccount, or was granted to use it in Actions.
func (w *governing) mayUse(ctx context.Context, req *admission.Request, name string) *admission.Response {
	if name == "" {
		return nil
	}
	for _, right := range []authorizationv1.ResourceAttributes{
		{Verb: "impersonate", Resource: "serviceaccounts"},
		{Verb: "use", Group: v1alpha1.GroupVersion.Group, Resource: "serviceaccounts"},
	} {
		right.Namespace, right.Name = req.Namespace, name
		allowed, err := w.review(ctx, req, &right)
		if err != nil {
			return ptr(admission.Errored(http.StatusInternalServerError, err))
		}
		if allowed {
			return nil
		}
	}
	return ptr(forbidden("", fmt.Sprintf("you (%s) may not let %ss run as ServiceAccount %s/%s: that takes the right to impersonate it, or the verb \"use\" on serviceaccounts.signoff.dev/%s.\n  Ask an administrator of namespace %s.",
		req.UserInfo.Username, req.Kind.Kind, req.Namespace, name, name, req.Namespace)))
}

func (w *governing) review(ctx context.Context, req *admission.Request, right *authorizationv1.ResourceAttributes) (bool, error) {
	extra := make(map[string]authorizationv1.ExtraValue, len(req.UserInfo.Extra))
	for key, values := range req.UserInfo.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		ResourceAttributes: right, User: req.UserInfo.Username, UID: req.UserInfo.UID, Groups: req.UserInfo.Groups, Extra: extra,
	}}
	if err := w.Reviews.Create(ctx, review); err != nil {
		return false, fmt.Errorf("failed to ask whether %s may %s %s/%s: %w", req.UserInfo.Username, right.Verb, right.Namespace, right.Name, err)
	}
	return review.Status.Allowed, nil
}

// records keeps the operator's own book closed.
type records struct{ *Deps }

func (w *records) validate(_ context.Context, req admission.Request) admission.Response {
	return w.operatorOnly(&req, "a Record")
}
