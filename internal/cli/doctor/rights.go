package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/auth/rbac/validation"

	"github.com/signoff-dev/signoff/internal/facts"
	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/seal"
)

// grants are the objects of RBAC that decide over a namespace.
type grants struct {
	roles        map[string][]rbacv1.PolicyRule
	clusterRoles map[string][]rbacv1.PolicyRule
	bindings     []rbacv1.RoleBinding
	everywhere   []rbacv1.ClusterRoleBinding
}

// rights says who holds what would let them act as Signoff, or as anybody.
func (d *Doctor) rights(ctx context.Context) ([]Finding, error) {
	g, err := d.grants(ctx)
	if err != nil {
		return unread("rights", "who holds which rights", "list roles, rolebindings, clusterroles and clusterrolebindings of rbac.authorization.k8s.io", err)
	}
	return g.findings(d.Namespace), nil
}

func (d *Doctor) grants(ctx context.Context) (*grants, error) {
	g := &grants{roles: map[string][]rbacv1.PolicyRule{}, clusterRoles: map[string][]rbacv1.PolicyRule{}}
	at, all := rbacv1.SchemeGroupVersion.WithResource, metav1.ListOptions{}
	clusterRoles, err := list[rbacv1.ClusterRole](ctx, d, at("clusterroles"), "", all)
	if err != nil {
		return nil, err
	}
	for i := range clusterRoles {
		g.clusterRoles[clusterRoles[i].Name] = clusterRoles[i].Rules
	}
	roles, err := list[rbacv1.Role](ctx, d, at("roles"), d.Namespace, all)
	if err != nil {
		return nil, err
	}
	for i := range roles {
		g.roles[roles[i].Name] = roles[i].Rules
	}
	if g.bindings, err = list[rbacv1.RoleBinding](ctx, d, at("rolebindings"), d.Namespace, all); err != nil {
		return nil, err
	}
	g.everywhere, err = list[rbacv1.ClusterRoleBinding](ctx, d, at("clusterrolebindings"), "", all)
	return g, err
}

// findings name the holders. Who should hold a right is for a person to judge.
func (g *grants) findings(namespace string) []Finding {
	secrets := []rbacv1.PolicyRule{}
	for _, purpose := range []seal.Purpose{seal.Admission, seal.Controller} {
		for _, verb := range []string{"get", "list", "watch"} {
			secrets = append(secrets, named("secrets", keys.SecretName(purpose), verb))
		}
	}
	var found []Finding
	for _, right := range []struct {
		about, what string
		// any is what gives the right, each by itself.
		any   []rbacv1.PolicyRule
		local bool
	}{
		{"secrets", "who can read the keys of Signoff, and so seal in its name", secrets, true},
		{"pods", "who can run something in namespace " + namespace + ", and so act as Signoff", runs(), true},
		{"impersonate", "who can act as any user, and so ask and vote in everybody's name", []rbacv1.PolicyRule{
			rule("", "users", "impersonate"), rule("authentication.k8s.io", "users", "impersonate:user-info"),
		}, false},
	} {
		holders := g.both(right.any, right.local)
		found = append(found, Finding{Judge, right.about, fmt.Sprintf("%s, by RBAC: %s", right.what, strings.Join(holders, ", "))})
		if len(holders) == 0 {
			found[len(found)-1].Message = right.what + ", by RBAC: nobody"
		}
	}
	return found
}

// runs are the rights by which one can act as a ServiceAccount of a namespace: the same by which a voter counts as who asked.
func runs() []rbacv1.PolicyRule {
	var all []rbacv1.PolicyRule
	for _, right := range facts.RightsToAct() {
		all = append(all, rule(right.Group, right.Resource, right.Verb))
	}
	return all
}

func rule(group, resource, verb string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb}}
}

func named(resource, name, verb string) rbacv1.PolicyRule {
	named := rule("", resource, verb)
	named.ResourceNames = []string{name}
	return named
}

// both are the holders of a right, and those who hold it on some names only.
func (g *grants) both(wanted []rbacv1.PolicyRule, local bool) []string {
	all := g.holders(wanted, local)
	for _, holder := range g.anyName().holders(wanted, local) {
		if !slices.Contains(all, holder) {
			all = append(all, holder+" (some only)")
		}
	}
	return all
}

// anyName forgets on which names rights are given.
func (g *grants) anyName() *grants {
	out := &grants{roles: map[string][]rbacv1.PolicyRule{}, clusterRoles: map[string][]rbacv1.PolicyRule{}, bindings: g.bindings, everywhere: g.everywhere}
	forget := func(from, into map[string][]rbacv1.PolicyRule) {
		for name, rules := range from {
			for i := range rules {
				one := *rules[i].DeepCopy()
				// Of Secrets, those are asked for that have the keys.
				if !slices.Contains(one.Resources, "secrets") {
					one.ResourceNames = nil
				}
				into[name] = append(into[name], one)
			}
		}
	}
	forget(g.roles, out.roles)
	forget(g.clusterRoles, out.clusterRoles)
	return out
}

// holders are the subjects that hold one of some rights.
func (g *grants) holders(wanted []rbacv1.PolicyRule, local bool) []string {
	var found []string
	for i := range g.everywhere {
		if gives(g.clusterRoles[g.everywhere[i].RoleRef.Name], wanted) {
			found = append(found, names(g.everywhere[i].Subjects, "")...)
		}
	}
	for i := range g.bindings {
		binding := &g.bindings[i]
		given := g.roles[binding.RoleRef.Name]
		if binding.RoleRef.Kind == "ClusterRole" {
			given = g.clusterRoles[binding.RoleRef.Name]
		}
		if local && gives(given, wanted) {
			found = append(found, names(binding.Subjects, binding.Namespace)...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// gives tells whether rules give one of some rights.
func gives(given, wanted []rbacv1.PolicyRule) bool {
	return slices.ContainsFunc(wanted, func(one rbacv1.PolicyRule) bool {
		covered, _ := validation.Covers(given, []rbacv1.PolicyRule{one})
		return covered
	})
}

func names(subjects []rbacv1.Subject, namespace string) []string {
	var all []string
	for _, subject := range subjects {
		switch subject.Kind {
		case rbacv1.ServiceAccountKind:
			if subject.Namespace == "" {
				subject.Namespace = namespace
			}
			all = append(all, "serviceaccount "+subject.Namespace+"/"+subject.Name)
		case rbacv1.GroupKind:
			all = append(all, "group "+subject.Name)
		default:
			all = append(all, subject.Name)
		}
	}
	return all
}
