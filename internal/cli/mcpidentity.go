package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
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

// maxNamespaces is in how many namespaces is looked before an agent is served.
const maxNamespaces = 200

// mayApprove says by what whoever asks could approve. Empty: nothing was found. It takes a Role of Signoff and a right of Kubernetes to approve; an
// agent needs neither, so one of them is enough. It looks in some namespaces, and at what holds in all.
func (s *session) mayApprove(ctx context.Context, namespaces []string) (string, error) {
	able, err := s.powerful(ctx, namespaces)
	if able != "" || err != nil {
		return able, err
	}
	info, err := s.connection.whoAmI(ctx)
	if err != nil {
		return "", err
	}
	able, blind := s.mayApproveByRole(ctx, info, namespaces)
	if able != "" || blind != nil && !errors.Is(blind, errForbidden) {
		return able, blind
	}
	if able, err = s.mayApproveForOthers(ctx, info.Username, namespaces); able != "" || err != nil {
		return able, err
	}
	return "", blind
}

// mayApproveByRole says which Role of Signoff lets whoever asks approve, of those that one may read. Who may read none cannot know.
func (s *session) mayApproveByRole(ctx context.Context, info *authenticationv1.UserInfo, namespaces []string) (string, error) {
	store := snapshot.NewStore(nil)
	if err := s.putTeams(ctx, store); err != nil && !errors.Is(err, errForbidden) {
		return "", err
	}
	if err := s.putSomeRoles(ctx, store, namespaces); err != nil {
		return "", err
	}
	store.MarkSynced()
	store.Rebuild()
	for _, role := range rolesHeld(store.Current(), gate.InPerson(identityOf(info))) {
		if slices.Contains(role.Verbs, string(v1alpha1.VerbApprove)) {
			return fmt.Sprintf("Role %s gives it the verb approve", role.Role), nil
		}
	}
	return "", nil
}

// putSomeRoles reads the Roles of all namespaces, or those that one may read of some. To read none at all is an error.
func (s *session) putSomeRoles(ctx context.Context, store *snapshot.Store, namespaces []string) error {
	seen := false
	for _, namespace := range append([]string{""}, namespaces...) {
		_, err := s.putRoles(ctx, store, namespace)
		if err != nil && !errors.Is(err, errForbidden) {
			return err
		}
		if seen = seen || err == nil; err == nil && namespace == "" {
			break // that were all
		}
	}
	if seen {
		return nil
	}
	return fmt.Errorf("it %w list roles.signoff.dev in any of the namespaces that are looked at: %s.\n"+
		"  Give it the ClusterRole signoff-catalog-reader in the namespace of the Actions, and name that with --catalog", errForbidden, strings.Join(namespaces, ", "))
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

// powerful says which right of Kubernetes would let whoever asks approve: one that holds in all namespaces, or in one of some.
func (s *session) powerful(ctx context.Context, namespaces []string) (string, error) {
	client, err := s.authorization()
	if err != nil {
		return "", err
	}
	if able, err := allowed(ctx, client, ""); able != "" || err != nil {
		return able, err
	}
	for _, namespace := range namespaces {
		if able, err := listed(ctx, client, namespace); able != "" || err != nil {
			return able, err
		}
	}
	return "", nil
}

func (s *session) authorization() (*rest.RESTClient, error) {
	config, err := s.connection.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("failed to find the cluster: %w", err)
	}
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = callsPerSecond, 2*callsPerSecond
	return s.connection.clientOf(config, schema.GroupVersion{Group: authorizationv1.GroupName, Version: "v1"})
}

// allowed asks for every power. No namespace stands for all.
func allowed(ctx context.Context, client *rest.RESTClient, namespace string) (string, error) {
	for i := range powers {
		p := &powers[i]
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

// listed looks for a power in the list of what one may do in a namespace, which also has what one may do with single objects only. Where the list is
// not complete, every power is asked for.
func listed(ctx context.Context, client *rest.RESTClient, namespace string) (string, error) {
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	if err := client.Post().Resource("selfsubjectrulesreviews").Body(review).Do(ctx).Into(review); err != nil {
		return "", fmt.Errorf("failed to find out what one may do in namespace %s: %w", namespace, err)
	}
	for i := range review.Status.ResourceRules {
		for j := range powers {
			if verb := powers[j].in(&review.Status.ResourceRules[i]); verb != "" {
				return powers[j].text(verb, namespace), nil
			}
		}
	}
	if review.Status.Incomplete {
		return allowed(ctx, client, namespace)
	}
	return "", nil
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

// namespaces are those in which one may do something: all, as far as one may list them, and those in use.
func (s *session) namespaces(ctx context.Context) []string {
	names := s.nearby(ctx)
	list, err := s.objects.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).List(ctx, metav1.ListOptions{Limit: maxNamespaces})
	if err != nil {
		return names
	}
	for i := range list.Items {
		names = append(names, list.Items[i].GetName())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// nearby are the namespaces in use: that of requests, and those of the catalog.
func (s *session) nearby(ctx context.Context, more ...string) []string {
	names := append([]string{s.namespace}, more...)
	names = append(append(names, s.beside...), s.catalogs(ctx)...)
	slices.Sort(names)
	return slices.Compact(names)
}
