package webhooks

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/identity"
)

// maxDelegation is how long a Delegation lasts at most: it rests on the groups that its principal had when it was made.
const maxDelegation = 30 * 24 * time.Hour

// verbRevoke is the verb of RBAC on delegations.signoff.dev that lets somebody delete the Delegations of others.
const verbRevoke = "revoke"

// delegations notes who made a Delegation: that is the principal, whatever a client writes.
type delegations struct{ *Deps }

// mutate stamps and seals a new Delegation, and puts back on an update what a client left out.
func (w *delegations) mutate(ctx context.Context, req admission.Request, next, old *v1alpha1.Delegation) admission.Response {
	if req.SubResource != "" || req.Operation != admissionv1.Create && req.Operation != admissionv1.Update {
		return admission.Allowed("")
	}
	if req.Operation == admissionv1.Update {
		return w.restored(&req, next, old)
	}
	if next.Name == "" {
		return invalid(&req, "", field.ErrorList{field.Required(field.NewPath("metadata", "name"), "votes and their audit rest on a Delegation, so it needs a name that people know")})
	}
	caller, refused := w.stamp(ctx, &req.UserInfo)
	if refused != nil {
		return *refused
	}
	sealed := next.DeepCopy()
	// The API server has not put it there yet, but will.
	sealed.Namespace, sealed.Spec.Principal, sealed.Spec.Seal = req.Namespace, &caller, nil
	// A dry run gives its result away, so nothing is sealed there; and what cannot be sealed is refused with better words when it is judged.
	if !isDryRun(&req) && len(misdelegated(sealed, w.Wall.Now())) == 0 {
		if err := w.Evidence.SealDelegation(sealed, w.Wall.Now()); err != nil {
			return unsealed(err)
		}
	}
	return stamped(next, sealed.Spec.Principal, sealed.Spec.Seal)
}

// restored puts back on an update what a client left out, and refuses every change.
func (w *delegations) restored(req *admission.Request, next, old *v1alpha1.Delegation) admission.Response {
	same := next.Spec.DeepCopy()
	same.Principal, same.Seal = old.Spec.Principal, old.Spec.Seal
	errs := owned(next)
	if !apiequality.Semantic.DeepEqual(*same, old.Spec) {
		errs = append(errs, field.Forbidden(field.NewPath("spec"), "a Delegation cannot change: delete it, and make another one"))
	}
	switch {
	case len(errs) > 0:
		return invalid(req, req.Name, errs)
	case old.Spec.Principal == nil:
		// It was stored without us, and never counts.
		return admission.Allowed("")
	}
	return stamped(next, old.Spec.Principal, old.Spec.Seal)
}

// owned refuses what would keep a Delegation when its principal takes it back, or take it away when they have not.
func owned(d *v1alpha1.Delegation) field.ErrorList {
	var errs field.ErrorList
	if len(d.OwnerReferences) > 0 {
		errs = append(errs, field.Forbidden(field.NewPath("metadata", "ownerReferences"), "a Delegation goes when its principal takes it back"))
	}
	if len(d.Finalizers) > 0 && d.DeletionTimestamp == nil {
		errs = append(errs, field.Forbidden(field.NewPath("metadata", "finalizers"), "a Delegation goes when its principal takes it back"))
	}
	return errs
}

// stamped gives a Delegation its principal and its seal.
func stamped(next *v1alpha1.Delegation, principal *v1alpha1.Identity, seal *v1alpha1.Seal) admission.Response {
	var ops []jsonpatch.Operation
	if !apiequality.Semantic.DeepEqual(next.Spec.Principal, principal) {
		ops = append(ops, jsonpatch.NewOperation("add", "/spec/principal", principal))
	}
	switch {
	case seal != nil && !apiequality.Semantic.DeepEqual(next.Spec.Seal, seal):
		ops = append(ops, jsonpatch.NewOperation("add", "/spec/seal", seal))
	case seal == nil && next.Spec.Seal != nil:
		ops = append(ops, jsonpatch.NewOperation("remove", "/spec/seal", nil))
	}
	if len(ops) == 0 {
		return admission.Allowed("")
	}
	return patched(ops)
}

// misdelegated finds what the schema of a Delegation cannot.
func misdelegated(d *v1alpha1.Delegation, now time.Time) field.ErrorList {
	path := field.NewPath("spec")
	errs := catalog.CheckSubjects(&v1alpha1.Subjects{Users: d.Spec.To.Users}, path.Child("to"))
	if len(d.Spec.To.Users) == 0 {
		errs = append(errs, field.Required(path.Child("to", "users"), "name who may vote for you"))
	}
	for i, user := range d.Spec.To.Users {
		at := path.Child("to", "users").Index(i)
		switch {
		case identity.IsSystem(user):
			errs = append(errs, field.Invalid(at, user, "is a system identity, not a person"))
		case d.Spec.Principal != nil && identity.Fold(user) == identity.Fold(d.Spec.Principal.Username):
			errs = append(errs, field.Invalid(at, user, "is you: name somebody else"))
		}
	}
	errs = append(errs, tooLong(path.Child("reason"), d.Spec.Reason, maxComment)...)
	return append(errs, mistimed(&d.Spec, path, now)...)
}

// mistimed finds what is wrong with the times of a Delegation.
func mistimed(spec *v1alpha1.DelegationSpec, path *field.Path, now time.Time) field.ErrorList {
	var errs field.ErrorList
	if from := spec.From; from != nil && (from.Nanosecond() != 0 || from.Unix() <= 0) {
		errs = append(errs, field.Invalid(path.Child("from"), from.UTC().Format(time.RFC3339Nano), "must be a time of this age in whole seconds"))
	}
	until, end := path.Child("until"), spec.Until.Time
	wrong := func(why string) field.ErrorList {
		return append(errs, field.Invalid(until, end.UTC().Format(time.RFC3339Nano), why))
	}
	switch {
	case end.IsZero():
		return append(errs, field.Required(until, "say until when, at most 30 days from now"))
	case end.Nanosecond() != 0:
		return wrong("must be in whole seconds")
	case !now.Before(end):
		return wrong("is over")
	case end.After(now.Add(maxDelegation)):
		return wrong(fmt.Sprintf("is more than 30 days from now: the latest is %s; make another one then", now.Add(maxDelegation).UTC().Format(time.RFC3339)))
	case spec.From != nil && !spec.From.Before(&spec.Until):
		return wrong("must be after from")
	}
	return errs
}

// delegation judges the write of a Delegation: whoever makes one must be somebody who votes, and may let others.
func (w *governing) delegation(ctx context.Context, req *admission.Request) admission.Response {
	if req.Operation == admissionv1.Delete {
		return w.revoked(ctx, req)
	}
	if req.Operation == admissionv1.Update {
		// That it does not change holds without us.
		return admission.Allowed("")
	}
	object := &v1alpha1.Delegation{}
	if refused := decode(req.Object.Raw, object); refused != nil {
		return *refused
	}
	caller, refused := w.stamp(ctx, &req.UserInfo)
	if refused != nil {
		return *refused
	}
	errs := append(owned(object), misdelegated(object, w.Wall.Now())...)
	if !apiequality.Semantic.DeepEqual(object.Spec.Principal, &caller) {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "principal"), "nobody lets others vote for somebody else: leave it out"))
	}
	if len(errs) > 0 {
		return invalid(req, req.Name, errs)
	}
	if refused := w.sealedDelegation(req, object); refused != nil {
		return *refused
	}
	return w.mayDelegate(ctx, object, &caller)
}

// sealedDelegation tells whether the final object is what was sealed, whatever other webhooks made of it.
func (w *governing) sealedDelegation(req *admission.Request, object *v1alpha1.Delegation) *admission.Response {
	if isDryRun(req) {
		if object.Spec.Seal != nil {
			return ptr(forbidden(v1alpha1.ReasonNotStamped, "a dry run is never sealed, and another webhook put a seal on the Delegation"))
		}
		return nil
	}
	sealed := object.DeepCopy()
	sealed.Namespace = req.Namespace
	if err := w.Evidence.NewDelegation(sealed); err != nil {
		return ptr(unsealed(err))
	}
	if skew := object.Spec.Seal.At.Sub(w.Wall.Now()).Abs(); skew > clockSkew {
		return ptr(forbidden(v1alpha1.ReasonReplayed, "the seal of the Delegation is not new"))
	}
	return nil
}

// mayDelegate refuses a Delegation of which nobody could make use: its writer cannot vote, or may let nobody do it for them.
func (w *governing) mayDelegate(ctx context.Context, d *v1alpha1.Delegation, caller *v1alpha1.Identity) admission.Response {
	if why := gate.Barred(ctx, w.Identity, v1alpha1.VerbDelegate, caller); why != "" {
		return forbidden(v1alpha1.ReasonNotAnApprover, "you cannot let others vote for you: "+why+".")
	}
	able, lacking, absent := w.delegable(d, gate.CountedAs(v1alpha1.VerbDelegate, caller))
	named := len(d.Spec.Actions) > 0
	if named && len(lacking) > 0 || !able {
		what := "any Action there"
		if len(lacking) > 0 && named {
			what = few(lacking)
		}
		return forbidden(v1alpha1.ReasonNotAuthorized, fmt.Sprintf("you (%s) may not let others vote for you: no Role in namespace %s gives you the verb %q on %s.\n  Ask: the owners of namespace %[2]s.",
			caller.Username, d.Namespace, v1alpha1.VerbDelegate, what))
	}
	return admission.Allowed("").WithWarnings(absent...)
}

// delegable says on which of the Actions that a Delegation is about its principal may not let others vote, whether on any other, and which are not there.
func (w *governing) delegable(d *v1alpha1.Delegation, principal *v1alpha1.Identity) (able bool, lacking, absent []string) {
	snapshot, names := w.Store.Current(), d.Spec.Actions
	if len(names) == 0 {
		names = snapshot.ActionNames(d.Namespace)
	}
	for _, name := range names {
		action, _ := snapshot.Action(v1alpha1.ActionReference{Namespace: d.Namespace, Name: name})
		switch {
		case action == nil:
			absent = append(absent, fmt.Sprintf("there is no Action %s/%s (yet)", d.Namespace, name))
		case len(snapshot.Permissions(action.Object, v1alpha1.VerbDelegate, principal)) > 0:
			able = true
		default:
			lacking = append(lacking, name)
		}
	}
	return able, lacking, absent
}

// revoked lets a Delegation go: its principal takes it back, or one of those who may vote by it gives it up; others need a verb, unless its time is
// over. Who somebody is must not be known to let a namespace go.
func (w *governing) revoked(ctx context.Context, req *admission.Request) admission.Response {
	old := &v1alpha1.Delegation{}
	if refused := decode(req.OldObject.Raw, old); refused != nil {
		return *refused
	}
	spec := &old.Spec
	if spec.Principal == nil || !w.Clock.Now().Before(spec.Until.Time) || slices.Contains(spec.To.Users, req.UserInfo.Username) || w.isPrincipal(ctx, req, spec.Principal) {
		return admission.Allowed("")
	}
	allowed, err := w.terminating(ctx, req.Namespace)
	if err == nil && !allowed {
		allowed, err = w.review(ctx, req, &authorizationv1.ResourceAttributes{
			Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version, Resource: "delegations", Verb: verbRevoke, Namespace: req.Namespace, Name: old.Name,
		})
	}
	switch {
	case err != nil:
		return admission.Errored(http.StatusInternalServerError, err)
	case allowed:
		return admission.Allowed("")
	}
	return forbidden(v1alpha1.ReasonNotAuthorized, fmt.Sprintf("the Delegation %s/%s is of %s: only they, or who may vote by it (%s), can delete it before its time is over.\n  Others need the verb %q on delegations.signoff.dev.",
		req.Namespace, old.Name, spec.Principal.Username, strings.Join(spec.To.Users, ", "), verbRevoke))
}

// isPrincipal tells whether the caller is the person whose Delegation it is. Nobody knows: they are not.
func (w *governing) isPrincipal(ctx context.Context, req *admission.Request, principal *v1alpha1.Identity) bool {
	if req.UserInfo.Username == principal.Username {
		return true
	}
	caller, err := w.Identity.Stamp(ctx, &req.UserInfo)
	if err != nil {
		return false
	}
	same, err := w.Identity.SamePerson(ctx, principal, &caller)
	return err == nil && same
}
