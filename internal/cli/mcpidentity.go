package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// power is a right of Kubernetes by which somebody could approve.
type power struct {
	groups, verbs []string
	resource      string
	// means is what it leads to.
	means string
}

var (
	ours      = []string{v1alpha1.GroupVersion.Group}
	writing   = []string{"create", "patch", "update"}
	anyPerson = []string{"", "authentication.k8s.io"}
	// asOthers is how impersonation is granted. Its newer forms have verbs that begin with the first.
	asOthers = []string{"impersonate", "impersonate:user-info", "impersonate:serviceaccount"}
	rbac     = []string{"rbac.authorization.k8s.io"}
	// giving are the verbs by which RBAC lets somebody give rights that they do not hold.
	giving = []string{"bind", "escalate"}
)

// powers are all of them. Who can give themself a Role, or act as others, can approve as well.
var powers = []power{
	{ours, []string{"patch", "update"}, "approvals", "vote on Approvals"},
	{ours, writing, "roles", "give itself a Role of Signoff"},
	{ours, writing, "teams", "put itself into a Team"},
	{anyPerson, asOthers, "users", "act as other users"},
	{anyPerson, asOthers, "groups", "act as a member of groups"},
	{anyPerson, asOthers, "serviceaccounts", "act as other ServiceAccounts"},
	{[]string{""}, []string{"create"}, "serviceaccounts/token", "make tokens of ServiceAccounts"},
	{rbac, giving, "roles", "give itself rights of Kubernetes"},
	{rbac, giving, "clusterroles", "give itself rights of Kubernetes"},
}

// readings are the rights to read that by which Signoff itself could let somebody approve.
var readings = []power{
	{ours, []string{"list"}, "roles", ""},
	{ours, []string{"list"}, "delegations", ""},
}

const (
	// namespacesAtOnce is of how many namespaces is asked at the same time what one may do there. That bounds the calls: there can be thousands.
	namespacesAtOnce = 8
	// pageOfNamespaces is how many namespaces are listed by one call.
	pageOfNamespaces = 500
)

// mayApprove says by what whoever asks could approve. Empty: nothing was found. It takes a Role of Signoff and a right of Kubernetes to approve; an
// agent needs neither, so one of them is enough. It looks in some namespaces, and at what holds in all.
func (s *session) mayApprove(ctx context.Context, namespaces []string) (string, error) {
	able, readable, err := s.powerful(ctx, namespaces)
	if able != "" || err != nil {
		return able, err
	}
	info, err := s.connection.whoAmI(ctx)
	if err != nil {
		return "", err
	}
	able, seen, err := s.mayApproveByRole(ctx, info, readable)
	if able != "" || err != nil {
		return able, err
	}
	if able, err = s.mayApproveForOthers(ctx, info.Username, readable); able != "" || err != nil || seen {
		return able, err
	}
	if len(namespaces) > maxShown {
		namespaces = append(namespaces[:maxShown:maxShown], fmt.Sprintf("%d more", len(namespaces)-maxShown))
	}
	return "", fmt.Errorf("it %w list roles.signoff.dev in any of the namespaces that are looked at: %s.\n"+
		"  Give it the ClusterRole signoff-catalog-reader in the namespace of the Actions, and name that with --catalog", errForbidden, strings.Join(namespaces, ", "))
}

// mayApproveByRole says which Role of Signoff lets whoever asks approve, of those that one may read, and whether there are any: who may read none cannot
// know.
func (s *session) mayApproveByRole(ctx context.Context, info *authenticationv1.UserInfo, namespaces []string) (able string, seen bool, err error) {
	store := snapshot.NewStore(nil)
	if err := s.putTeams(ctx, store); err != nil && !errors.Is(err, errForbidden) {
		return "", false, err
	}
	if seen, err = s.putSomeRoles(ctx, store, namespaces); err != nil {
		return "", false, err
	}
	store.MarkSynced()
	store.Rebuild()
	for _, role := range rolesHeld(store.Current(), gate.InPerson(identityOf(info))) {
		if slices.Contains(role.Verbs, string(v1alpha1.VerbApprove)) {
			return fmt.Sprintf("Role %s gives it the verb approve", role.Role), seen, nil
		}
	}
	return "", seen, nil
}

// putSomeRoles reads the Roles of all namespaces, or those that one may read of some, and tells whether one may read any.
func (s *session) putSomeRoles(ctx context.Context, store *snapshot.Store, namespaces []string) (seen bool, err error) {
	for _, namespace := range append([]string{""}, namespaces...) {
		_, err := s.putRoles(ctx, store, namespace)
		if err != nil && !errors.Is(err, errForbidden) {
			return false, err
		}
		if seen = seen || err == nil; err == nil && namespace == "" {
			break // that were all
		}
	}
	return seen, nil
}

// mayApproveForOthers says which Delegation lets whoever asks vote for somebody, of those that one may read.
func (s *session) mayApproveForOthers(ctx context.Context, username string, namespaces []string) (string, error) {
	for _, namespace := range append([]string{""}, namespaces...) {
		list, err := s.list(ctx, delegations, namespace, "")
		switch {
		case errors.Is(err, errForbidden):
			continue
		case err != nil:
			return "", err
		}
		for i := range list.Rows {
			d, err := typedAs[v1alpha1.Delegation](list.object(i))
			if err != nil {
				return "", err
			}
			if slices.Contains(d.Spec.To.Users, username) && s.Clock.Now().Before(d.Spec.Until.Time) {
				return fmt.Sprintf("the Delegation %s/%s lets it vote for others", d.Namespace, d.Name), nil
			}
		}
		if namespace == "" {
			break // that were all
		}
	}
	return "", nil
}

// standing is what came of asking what one may do in a namespace.
type standing struct {
	// able says by which right of Kubernetes one could approve. Empty: by none.
	able string
	// reads tells whether one may read there who approves by Signoff's own objects.
	reads bool
	err   error
}

// powerful says which right of Kubernetes would let whoever asks approve: one that holds in all namespaces, or in one of some. Readable are those of them
// in which one may read Roles or Delegations.
func (s *session) powerful(ctx context.Context, namespaces []string) (able string, readable []string, err error) {
	client, err := s.authorization()
	if err != nil {
		return "", nil, err
	}
	if able, err := allowed(ctx, client, "", powers); able != "" || err != nil {
		return able, nil, err
	}
	looked := 0
	for some := range slices.Chunk(namespaces, namespacesAtOnce) {
		found := standings(ctx, client, some)
		for i := range found {
			switch {
			case found[i].err != nil && ctx.Err() != nil:
				return "", nil, fmt.Errorf("there was time to look in %d of %d namespaces only: %w", looked, len(namespaces), found[i].err)
			case found[i].able != "" || found[i].err != nil:
				return found[i].able, nil, found[i].err
			case found[i].reads:
				readable = append(readable, some[i])
			}
		}
		looked += len(some)
	}
	return "", readable, nil
}

// standings asks about some namespaces, all at the same time.
func standings(ctx context.Context, client *rest.RESTClient, namespaces []string) []standing {
	found := make([]standing, len(namespaces))
	var all sync.WaitGroup
	for i, namespace := range namespaces {
		all.Go(func() { found[i] = standingIn(ctx, client, namespace) })
	}
	all.Wait()
	return found
}

func (s *session) authorization() (*rest.RESTClient, error) {
	config, err := s.connection.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("failed to find the cluster: %w", err)
	}
	config = rest.CopyConfig(config)
	config.QPS = -1 // namespacesAtOnce is the bound
	return s.connection.clientOf(config, schema.GroupVersion{Group: authorizationv1.GroupName, Version: "v1"})
}

// allowed asks for some powers, one after another, and says which one there is. No namespace stands for all.
func allowed(ctx context.Context, client *rest.RESTClient, namespace string, wanted []power) (string, error) {
	for i := range wanted {
		p := &wanted[i]
		for _, group := range p.groups {
			for _, verb := range p.verbs {
				review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
					ResourceAttributes: p.attributes(namespace, group, verb),
				}}
				if err := client.Post().Resource("selfsubjectaccessreviews").Body(review).Do(ctx).Into(review); err != nil {
					return "", fmt.Errorf("failed to find out what one may do: %w", err)
				}
				if review.Status.Allowed {
					return p.text(verb, namespace), nil
				}
			}
		}
	}
	return "", nil
}

// standingIn looks for powers in the list of what one may do in a namespace, which also has what one may do with single objects only. Where the list is
// not complete, every power is asked for.
func standingIn(ctx context.Context, client *rest.RESTClient, namespace string) standing {
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	if err := client.Post().Resource("selfsubjectrulesreviews").Body(review).Do(ctx).Into(review); err != nil {
		return standing{err: fmt.Errorf("failed to find out what one may do in namespace %s: %w", namespace, err)}
	}
	out := standing{able: listed(review, namespace, powers), reads: listed(review, namespace, readings) != ""}
	if !review.Status.Incomplete {
		return out
	}
	if out.able == "" {
		out.able, out.err = allowed(ctx, client, namespace, powers)
	}
	if out.able == "" && out.err == nil && !out.reads {
		var reads string
		reads, out.err = allowed(ctx, client, namespace, readings)
		out.reads = reads != ""
	}
	return out
}

// listed says which of some powers is in the list of what one may do in a namespace.
func listed(review *authorizationv1.SelfSubjectRulesReview, namespace string, wanted []power) string {
	for i := range review.Status.ResourceRules {
		for j := range wanted {
			if verb := wanted[j].in(&review.Status.ResourceRules[i]); verb != "" {
				return wanted[j].text(verb, namespace)
			}
		}
	}
	return ""
}

func (p *power) attributes(namespace, group, verb string) *authorizationv1.ResourceAttributes {
	resource, subresource, _ := strings.Cut(p.resource, "/")
	return &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: group, Version: "*", Resource: resource, Subresource: subresource}
}

// in gives the verb by which a rule has the power. Empty: it does not.
func (p *power) in(rule *authorizationv1.ResourceRule) string {
	has := func(list []string, wanted ...string) string {
		at := slices.IndexFunc(list, func(s string) bool { return s == "*" || slices.Contains(wanted, s) })
		if at < 0 {
			return ""
		}
		return list[at]
	}
	if !slices.ContainsFunc(rule.APIGroups, func(group string) bool { return group == "*" || slices.Contains(p.groups, group) }) || has(rule.Resources, p.resources()...) == "" {
		return ""
	}
	return has(rule.Verbs, p.verbs...)
}

// resources are the names by which a rule can name the resource, beside "*".
func (p *power) resources() []string {
	if _, subresource, ok := strings.Cut(p.resource, "/"); ok {
		return []string{p.resource, "*/" + subresource}
	}
	return []string{p.resource}
}

func (p *power) text(verb, namespace string) string {
	where := " in namespace " + namespace
	if namespace == "" {
		where = " in the whole cluster"
	}
	return fmt.Sprintf("RBAC lets it %s (%s %s%s)", p.means, verb, strings.TrimSuffix(p.resource+"."+p.groups[0], "."), where)
}

// namespaces are those in which one may do something: all, where one may list them, and those in use.
func (s *session) namespaces(ctx context.Context) ([]string, error) {
	names, all := s.nearby(ctx), s.objects.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	page := metav1.ListOptions{Limit: pageOfNamespaces}
	for {
		list, err := all.List(ctx, page)
		switch {
		case apierrors.IsForbidden(err):
			return names, nil
		case err != nil:
			return nil, fmt.Errorf("failed to list namespaces: %w", err)
		}
		for i := range list.Items {
			names = append(names, list.Items[i].GetName())
		}
		if page.Continue = list.GetContinue(); page.Continue == "" {
			slices.Sort(names)
			return slices.Compact(names), nil
		}
	}
}

// nearby are the namespaces in use: that of requests, and those of the catalog.
func (s *session) nearby(ctx context.Context, more ...string) []string {
	names := append([]string{s.namespace}, more...)
	names = append(append(names, s.beside...), s.catalogs(ctx)...)
	slices.Sort(names)
	return slices.Compact(names)
}
