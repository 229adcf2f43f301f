package gate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// Barred says why somebody never uses a verb, whatever Roles give them, such as "bob is an agent, not a person". Empty: Roles decide.
func Barred(ctx context.Context, rules *identity.Rules, verb v1alpha1.Verb, who *v1alpha1.Identity) string {
	account, isAccount := identity.ServiceAccount(who.Username)
	switch {
	case verb == v1alpha1.VerbDelegate && isAccount:
		return fmt.Sprintf("ServiceAccount %s is not a person, and only people can", account)
	case verb == v1alpha1.VerbApprove, verb == v1alpha1.VerbResolve, verb == v1alpha1.VerbDelegate:
		_, why := rules.MayVote(ctx, who)
		return why
	case verb == v1alpha1.VerbBreakGlass && rules.IsAgent(ctx, who):
		return who.Username + " is an agent, and an agent never breaks the glass"
	}
	return ""
}

// CountedAs is somebody as permissions for a verb see them.
func CountedAs(verb v1alpha1.Verb, who *v1alpha1.Identity) *v1alpha1.Identity {
	switch verb {
	case v1alpha1.VerbApprove, v1alpha1.VerbResolve, v1alpha1.VerbDelegate:
		return InPerson(who)
	case v1alpha1.VerbBreakGlass:
		return Commander(who)
	default:
		return who
	}
}

// Access says whether somebody may use a verb on an Action.
type Access struct {
	// Permission is the permission that allows it; nil where none does.
	Permission *catalog.Permission
	// Unmet are permissions whose condition does not hold.
	Unmet []Unmet

	request *accessRequest
}

// Unmet is a permission whose condition does not hold, or could not be judged.
type Unmet struct {
	Permission *catalog.Permission
	Err        error

	reasons expression.Reasons
}

type accessRequest struct {
	snapshot *snapshot.Snapshot
	action   *catalog.Action
	absent   bool // the Action is gone, as Judgement.Absent says
	verb     v1alpha1.Verb
	caller   *v1alpha1.Identity
	vars     expression.Vars
	budget   *expression.Budget
	// permissions are those of the caller, and person is the variable of the caller. Nil: they are looked up.
	permissions []*catalog.Permission
	person      expression.Lazy
}

// access finds a permission whose condition holds. A condition that fails grants nothing.
func (g *Gate) access(ctx context.Context, req *accessRequest) *Access {
	out := &Access{request: req}
	vars := req.vars
	if req.permissions == nil {
		req.permissions = req.held()
	}
	for _, permission := range req.permissions {
		if permission.When == nil {
			out.Permission = permission
			return out
		}
		if _, ok := vars.Values["caller"]; !ok {
			if req.person == nil {
				req.person = g.personVar(req.snapshot, req.action.Object.Namespace, req.caller)
			}
			vars.Values = maps.Clone(req.vars.Values)
			vars.Values["caller"] = req.person
		}
		holds, err := permission.When.EvalBool(ctx, vars, req.budget)
		if err == nil && holds {
			out.Permission = permission
			return out
		}
		out.Unmet = append(out.Unmet, Unmet{Permission: permission, Err: err})
	}
	out.explain(ctx)
	return out
}

// held are the permissions of the caller. Which labels an Action had that is gone nobody knows, so that none of those counts that select by labels.
func (r *accessRequest) held() []*catalog.Permission {
	held := r.snapshot.Permissions(r.action.Object, r.verb, r.caller)
	if !r.absent {
		return held
	}
	return slices.DeleteFunc(held, func(p *catalog.Permission) bool { return p.Selector != nil })
}

// problem says who could, and what the caller lacks.
func (a *Access) problem(caller *v1alpha1.Identity) *Problem {
	if len(a.Unmet) > 0 {
		return &Problem{Reason: v1alpha1.ReasonNotAuthorized, Message: a.unmet()}
	}
	ref := a.request.action.Ref()
	lines := []string{
		fmt.Sprintf("you (%s) may not %s %s.", caller.Username, a.request.verb, ref),
		fmt.Sprintf("Nobody granted it: no Role in namespace %s gives %q on %s to %s.", ref.Namespace, a.request.verb, ref.Name, caller.Username+groupsText(caller)),
		whoCan(a.request.snapshot, a.request.action, a.request.verb),
		fmt.Sprintf("Ask: the owners of namespace %s.  See what there is: kubectl get actions -n %s", ref.Namespace, ref.Namespace),
	}
	return &Problem{Reason: v1alpha1.ReasonNotAuthorized, Message: strings.Join(lines, "\n  ")}
}

func (a *Access) unmet() string {
	ref := a.request.action.Ref()
	var lines []string
	for _, unmet := range a.Unmet[:min(len(a.Unmet), maxFindings)] {
		name := ref.Namespace + "/" + unmet.Permission.Role.Object.Name
		demand := unmet.Permission.Message
		if demand == "" {
			demand = "its condition holds, and it does not now: " + unmet.Permission.When.Source()
		}
		line := fmt.Sprintf("role %s lets you %s %s only when: %s", name, a.request.verb, ref.Name, demand)
		if unmet.Err != nil {
			line += fmt.Sprintf("\n  It could not be judged: %v", unmet.Err)
		}
		for _, reason := range sentences(unmet.reasons) {
			line += "\n  " + reason
		}
		lines = append(lines, line)
	}
	if more := len(a.Unmet) - maxFindings; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more roles; kubectl signoff can-i %s %s shows all.", more, a.request.verb, ref))
	}
	return strings.Join(lines, "\n")
}

const maxGroupsShown = 8

func groupsText(caller *v1alpha1.Identity) string {
	groups := slices.DeleteFunc(slices.Clone(caller.Groups), func(g string) bool { return g == "system:authenticated" })
	if len(groups) == 0 {
		return ""
	}
	more := ""
	if len(groups) > maxGroupsShown {
		groups, more = groups[:maxGroupsShown], ", …"
	}
	return fmt.Sprintf(" or to groups [%s%s]", strings.Join(groups, ", "), more)
}

// whoCan names the Roles that give a verb on an Action, and their members in short.
func whoCan(s *snapshot.Snapshot, action *catalog.Action, verb v1alpha1.Verb) string {
	granting := s.Granting(action.Object, verb)
	if len(granting) == 0 {
		return "Who can: nobody."
	}
	var roles []string
	for _, role := range granting[:min(len(granting), maxNames)] {
		roles = append(roles, fmt.Sprintf("role %s (%s)", role.Object.Name, Members(&role.Object.Spec.Members)))
	}
	if len(granting) > maxNames {
		roles = append(roles, "…")
	}
	return "Who can: " + strings.Join(roles, ", ") + "."
}

// Members shows subjects to people in a few words.
func Members(s *v1alpha1.Subjects) string {
	var parts []string
	for _, list := range []struct {
		word  string
		names []string
	}{{"team", s.Teams}, {"group", s.Groups}, {"", s.Users}, {"serviceaccount", s.ServiceAccounts}} {
		for i, name := range list.names {
			if i == 3 {
				parts = append(parts, fmt.Sprintf("%d more", len(list.names)-i))
				break
			}
			parts = append(parts, strings.TrimSpace(list.word+" "+name))
		}
	}
	return strings.Join(parts, ", ")
}
