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
)

// Verbs of RBAC that only mean something to these webhooks: on teams.signoff.dev, and escalate on roles.signoff.dev.
const (
	verbAddChild  = "addchild"
	verbAddMember = "addmember"
	verbEscalate  = "escalate"
)

// entry is what the writer of a Team lets in somewhere, and the right that this takes.
type entry struct {
	// verb on the Team named team.
	verb, team string
	// what is done, as "add user bob to Team payments".
	what string
	// why it takes a right.
	why string
}

// team judges the write of a Team. Whoever may write Teams may not, by that alone, make anybody a member of one: Roles and stages name
// Teams, also Teams that are not there yet.
func (w *governing) team(ctx context.Context, req *admission.Request) admission.Response {
	var entries []entry
	var absent []string
	response := check(req, func(o, old *v1alpha1.Team) field.ErrorList {
		entries, absent = w.entries(o, old), w.absentInTeam(o)
		return w.Store.Current().CheckTeam(o)
	}, func(o *v1alpha1.Team) any { return o.Spec })
	if !response.Allowed {
		return response
	}
	var refusals []string
	for i := range entries {
		allowed, err := w.review(ctx, req, entries[i].right())
		if err != nil {
			return admission.Errored(http.StatusInternalServerError, err)
		}
		if !allowed {
			refusals = append(refusals, w.refusal(req, &entries[i]))
		}
	}
	if len(refusals) > 0 {
		return forbidden(v1alpha1.ReasonNotAuthorized, strings.Join(refusals, "\n"))
	}
	return response.WithWarnings(absent...)
}

func (e *entry) right() *authorizationv1.ResourceAttributes {
	return &authorizationv1.ResourceAttributes{
		Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version, Resource: "teams", Verb: e.verb, Name: e.team,
	}
}

// entries says who gets in where by a write: a Team below another one, and members and leads. Old is empty where the Team is new.
func (w *governing) entries(o, old *v1alpha1.Team) []entry {
	var entries []entry
	if parent := o.Spec.Parent; parent != "" && parent != old.Spec.Parent {
		also := w.Store.Current().AboveTeam(parent)[1:]
		entries = append(entries, entry{
			verb: verbAddChild, team: parent, what: fmt.Sprintf("put Team %s below Team %s", o.Name, parent),
			why: fmt.Sprintf("Whoever is in %s would count as a member of %s.", o.Name, strings.Join(append([]string{parent}, also...), ", ")),
		})
	}
	people := added(old.Spec.Members, o.Spec.Members)
	for _, lead := range added(old.Spec.Leads, o.Spec.Leads) {
		people = append(people, lead+" as a lead")
	}
	if len(people) > 0 {
		entries = append(entries, entry{
			verb: verbAddMember, team: o.Name, what: fmt.Sprintf("add %s to Team %s", few(people), o.Name),
			why: fmt.Sprintf("What Roles and stages give to %s, its members have.", strings.Join(w.Store.Current().AboveTeam(o.Name), ", ")),
		})
	}
	return entries
}

// refusal says what is missing, and who may help.
func (w *governing) refusal(req *admission.Request, e *entry) string {
	resource := "teams.signoff.dev/" + e.team
	return fmt.Sprintf("you (%s) may not %s: that takes the verb %q on %s.\n  %s\n  Ask %s.  Check: kubectl auth can-i %s %s",
		req.UserInfo.Username, e.what, e.verb, resource, e.why, w.keepers(e.team), e.verb, resource)
}

// keepers says whom to ask about a Team.
func (w *governing) keepers(name string) string {
	whom := "an administrator of the cluster"
	team := w.Store.Current().Team(name)
	if team == nil {
		return whom
	}
	if leads := added(nil, team.Spec.Leads); len(leads) > 0 {
		whom = fmt.Sprintf("who leads %s (%s), or %s", name, few(leads), whom)
	}
	if team.Spec.Contact != nil && team.Spec.Contact.Text != "" {
		whom += fmt.Sprintf("; %s is reached at %s", name, team.Spec.Contact.Text)
	}
	return whom
}

// added lists whom subjects name that others do not, with the kind of each name.
func added(old, next *v1alpha1.Subjects) []string {
	if next == nil {
		return nil
	}
	if old == nil {
		old = &v1alpha1.Subjects{}
	}
	var all []string
	for _, list := range []struct {
		kind          string
		before, after []string
	}{
		{"user", old.Users, next.Users},
		{"group", old.Groups, next.Groups},
		{"team", old.Teams, next.Teams},
		{"serviceaccount", old.ServiceAccounts, next.ServiceAccounts},
	} {
		for _, name := range list.after {
			if !slices.Contains(list.before, name) {
				all = append(all, list.kind+" "+name)
			}
		}
	}
	return all
}

// few shows some names and counts the rest.
func few(names []string) string {
	const most = 4
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
