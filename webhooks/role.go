package webhooks

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// roleChange is what the write of a Role gives that nobody had before.
type roleChange struct {
	// role is the Role. Its name is known even where the API server makes it.
	role *v1alpha1.Role
	// grants are what members get: all of it where there are new members, else what is new.
	grants []catalog.Grant
	// unknown are Roles that it inherits and that are not there: nobody can tell what they will give.
	unknown []string
	// missing are all of them, for a warning.
	missing []string
	// absent are warnings of what else it names and is not there, and of conditions that hold for a part of a text.
	absent []string
	errs   field.ErrorList
}

// role judges the write of a Role. As with the Roles of Kubernetes, whoever may write Roles can give only what they hold themself, or
// needs the verb escalate.
func (w *governing) role(ctx context.Context, req *admission.Request) admission.Response {
	snap := w.Store.Current()
	var change *roleChange
	response := check(req, func(o, old *v1alpha1.Role) field.ErrorList {
		compiled, errs := catalog.CompileRole(o)
		if len(errs) > 0 {
			return errs
		}
		change = changeOf(snap, compiled, old)
		change.absent = slices.Concat(w.absentInRole(compiled), partly(compiled.PartialMatches()))
		return change.errs
	}, func(o *v1alpha1.Role) any { return o.Spec })
	if !response.Allowed || change == nil {
		return response
	}
	if refused := w.mayGive(ctx, req, snap, change); refused != nil {
		return *refused
	}
	response = response.WithWarnings(change.absent...)
	for _, name := range change.missing {
		response = response.WithWarnings(fmt.Sprintf("inherits Role %s, which is not in namespace %s, or not valid: it gives nothing until it is", shortName(name), req.Namespace))
	}
	return response
}

// shortName keeps a warning short enough for the API server.
func shortName(name string) string { return name[:min(len(name), 100)] }

// changeOf finds out what a new or changed Role gives. Old is empty where the Role is new.
func changeOf(snap *snapshot.Snapshot, role *catalog.Role, old *v1alpha1.Role) *roleChange {
	family := snap.FamilyWith(role)
	lineage := family.Of(role)
	change := &roleChange{role: role.Object, missing: lineage.Missing, errs: lineage.Errs}
	if len(change.errs) == 0 {
		change.errs = heirErrors(snap, role, family)
	}
	had, missed := formerly(snap, old)
	change.grants = catalog.GrantsOf(lineage.Permissions())
	if len(added(&old.Spec.Members, &role.Object.Spec.Members)) > 0 {
		change.unknown = lineage.Missing
		return change
	}
	change.grants = catalog.Beyond(change.grants, had)
	for _, name := range lineage.Missing {
		if !slices.Contains(missed, name) {
			change.unknown = append(change.unknown, name)
		}
	}
	return change
}

// formerly says what a Role gave before the write, and which Roles it named in vain.
func formerly(snap *snapshot.Snapshot, old *v1alpha1.Role) (had []catalog.Grant, missed []string) {
	compiled, _ := catalog.CompileRole(old)
	if old.Name == "" || compiled == nil {
		return nil, nil
	}
	lineage := snap.FamilyWith(compiled).Of(compiled)
	return catalog.GrantsOf(lineage.Permissions()), lineage.Missing
}

// heirErrors says which Roles that inherit this one would inherit nothing any more.
func heirErrors(snap *snapshot.Snapshot, role *catalog.Role, family *catalog.Family) field.ErrorList {
	var errs field.ErrorList
	for _, other := range snap.Roles(role.Object.Namespace) {
		if other.Object.Name == role.Object.Name || len(other.Object.Spec.Inherits) == 0 || len(snap.Lineage(other).Errs) > 0 {
			continue
		}
		for _, err := range family.Of(other).Errs {
			errs = append(errs, field.Forbidden(field.NewPath("spec"), fmt.Sprintf("Role %s inherits this one, and would then be wrong: %v", other.Object.Name, err)))
		}
	}
	return errs
}

// mayGive asks whether the writer holds what the Role gives, or may give what they do not hold.
func (w *governing) mayGive(ctx context.Context, req *admission.Request, snap *snapshot.Snapshot, change *roleChange) *admission.Response {
	writer := &v1alpha1.Identity{Username: req.UserInfo.Username, Groups: req.UserInfo.Groups}
	beyond := change.grants
	if snap.Synced() && len(beyond) > 0 {
		beyond = catalog.Beyond(beyond, catalog.GrantsOf(snap.Held(req.Namespace, writer)))
	}
	if len(beyond) == 0 && len(change.unknown) == 0 {
		return nil
	}
	allowed, err := w.review(ctx, req, &authorizationv1.ResourceAttributes{
		Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version, Resource: "roles", Verb: verbEscalate,
		Namespace: req.Namespace, Name: change.role.Name,
	})
	switch {
	case err != nil:
		return ptr(admission.Errored(http.StatusInternalServerError, err))
	case allowed:
		return nil
	}
	return ptr(forbidden(v1alpha1.ReasonNotAuthorized, cannotGive(req, change, beyond, snap.Synced())))
}

// cannotGive says what the writer lacks, and who may help.
func cannotGive(req *admission.Request, change *roleChange, beyond []catalog.Grant, synced bool) string {
	var lacks []string
	for _, grant := range beyond {
		lacks = append(lacks, grant.String())
	}
	for _, name := range change.unknown {
		lacks = append(lacks, "whatever Role "+name+" will give, which is not there")
	}
	namespace, resource := req.Namespace, "roles.signoff.dev/"+change.role.Name
	lines := []string{
		fmt.Sprintf("you (%s) may not let Role %s/%s give what you do not hold yourself: %s.", req.UserInfo.Username, namespace, change.role.Name, few(lacks)),
		fmt.Sprintf("That takes these permissions, by Roles in namespace %s, or the verb %q on %s in namespace %s.", namespace, verbEscalate, resource, namespace),
		fmt.Sprintf("Ask somebody who holds them, or an administrator of namespace %s.  Check: kubectl auth can-i %s %s -n %s", namespace, verbEscalate, resource, namespace),
	}
	if !synced {
		lines = append(lines, "Signoff has just started and does not know all Roles yet: try again in a few seconds.")
	}
	return strings.Join(lines, "\n  ")
}
