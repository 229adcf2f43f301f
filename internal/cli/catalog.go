package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// verbs are what can be done with an Action.
var verbs = []v1alpha1.Verb{
	v1alpha1.VerbRequest, v1alpha1.VerbApprove, v1alpha1.VerbCancel, v1alpha1.VerbBreakGlass, v1alpha1.VerbRequestOnBehalf, v1alpha1.VerbResolve,
	v1alpha1.VerbDelegate,
}

// question is what `can-i` and `who-can` are asked.
type question struct {
	verb   v1alpha1.Verb
	action v1alpha1.ActionReference
}

// questionOf reads the arguments VERB ACTION. The Action is found as "request" finds it, and with the caller's own rights, as all that is read for
// the answer.
func (p *Program) questionOf(command *cobra.Command, c *connection, args []string) (*question, error) {
	verb, err := verbOf(args[0])
	if err != nil {
		return nil, err
	}
	s, err := p.session(command, c)
	if err != nil {
		return nil, err
	}
	if s.tables, err = c.own(); err != nil {
		return nil, err
	}
	ref, err := s.find(command.Context(), args[1])
	return &question{verb: verb, action: ref}, err
}

func verbOf(word string) (v1alpha1.Verb, error) {
	if verb := v1alpha1.Verb(word); slices.Contains(verbs, verb) {
		return verb, nil
	}
	names := make([]string, len(verbs))
	for i, verb := range verbs {
		names[i] = string(verb)
	}
	return "", fmt.Errorf("there is no verb %q; there are: %s", word, strings.Join(names, ", "))
}

// view is what the caller may read of who may do what with an Action.
type view struct {
	snapshot *snapshot.Snapshot
	action   *v1alpha1.Action
	// invalid says which Roles do not compile, and so give nothing.
	invalid []string
}

// look reads the Action, the Roles beside it, and the Teams where a Role names one.
func (c *connection) look(ctx context.Context, ref v1alpha1.ActionReference) (*view, error) {
	client, err := c.own()
	if err != nil {
		return nil, err
	}
	v := &view{action: &v1alpha1.Action{}}
	if err := client.Get().Namespace(ref.Namespace).Resource("actions").Name(ref.Name).Do(ctx).Into(v.action); err != nil {
		return nil, c.unread(ctx, err, reading{verb: "get", resource: "actions", ref: ref})
	}
	roles := &v1alpha1.RoleList{}
	if err := client.Get().Namespace(ref.Namespace).Resource("roles").Do(ctx).Into(roles); err != nil {
		return nil, c.unread(ctx, err, reading{verb: "list", resource: "roles", ref: ref})
	}
	store := snapshot.NewStore(nil)
	store.Put(v.action)
	var named []string
	for i := range roles.Items {
		role := &roles.Items[i]
		named = append(named, role.Spec.Members.Teams...)
		store.Put(role)
		if _, errs := catalog.CompileRole(role); len(errs) > 0 {
			v.invalid = append(v.invalid, fmt.Sprintf("Role %s/%s is not valid and gives nothing: %v", role.Namespace, role.Name, errs.ToAggregate()))
		}
	}
	if err := c.lookAtTeams(ctx, client, store, named); err != nil {
		return nil, err
	}
	store.MarkSynced()
	store.Rebuild()
	v.snapshot = store.Current()
	return v, nil
}

// lookAtTeams reads Teams, where Roles name some.
func (c *connection) lookAtTeams(ctx context.Context, client *rest.RESTClient, store *snapshot.Store, named []string) error {
	if len(named) == 0 {
		return nil
	}
	teams := &v1alpha1.TeamList{}
	if err := client.Get().Resource("teams").Do(ctx).Into(teams); err != nil {
		slices.Sort(named)
		return c.unread(ctx, err, reading{verb: "list", resource: "teams", named: slices.Compact(named)})
	}
	for i := range teams.Items {
		store.Put(&teams.Items[i])
	}
	return nil
}

// reading is what was to be read.
type reading struct {
	verb, resource string
	// ref is the Action that it is about; empty for Teams.
	ref v1alpha1.ActionReference
	// named are the Teams that Roles name.
	named []string
}

// unread says why something could not be read, and who can help.
func (c *connection) unread(ctx context.Context, err error, r reading) error {
	resource := r.resource + "." + v1alpha1.GroupVersion.Group
	switch {
	case apierrors.IsForbidden(err):
		return errors.New(r.missingRight(resource, c.callerText(ctx)))
	case gate.Missing(err) && r.verb == "get":
		return fmt.Errorf("there is no Action %s; see what there is: kubectl get actions -n %s", r.ref, r.ref.Namespace)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("the cluster has no %s: Signoff is not installed: %w", resource, err)
	}
	return fmt.Errorf("failed to %s %s: %w", r.verb, resource, err)
}

func (c *connection) callerText(ctx context.Context) string {
	if who, err := c.caller(ctx); err == nil {
		return "you (" + who.Username + ")"
	}
	return "you"
}

func (r *reading) missingRight(resource, caller string) string {
	if r.ref.Namespace == "" {
		names := r.named
		if len(names) > maxShown {
			names = append(names[:maxShown:maxShown], "…")
		}
		return fmt.Sprintf("%s may not list %s, so nobody can tell who is in the Teams that Roles name (%s).\n"+
			"  Ask an administrator of the cluster for the ClusterRole signoff-team-reader.  Check: kubectl auth can-i list %s",
			caller, resource, strings.Join(names, ", "), resource)
	}
	return fmt.Sprintf("%s may not %s %s in namespace %s.\n"+
		"  Ask the owners of namespace %s for the ClusterRole signoff-catalog-reader there.  Check: kubectl auth can-i %s %s -n %s",
		caller, r.verb, resource, r.ref.Namespace, r.ref.Namespace, r.verb, resource, r.ref.Namespace)
}
