package snapshot

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
)

// roleIndex answers who holds which Role and which permission without looking at Roles that do not apply.
type roleIndex struct {
	byTenant map[string][]*catalog.Role
	// lineages say what each Role inherits, and heirs which Roles inherit it, over others too.
	lineages map[*catalog.Role]*catalog.Lineage
	heirs    map[*catalog.Role][]*catalog.Role
	// members gives the Roles that name somebody.
	members map[memberKey][]*catalog.Role
	// grants gives the permissions of somebody, those of inherited Roles included, and granting the Roles whose members hold one.
	grants   map[grantKey]map[subject][]*catalog.Permission
	granting map[grantKey][]*catalog.Role
}

// memberKey finds the Roles of a namespace that name somebody.
type memberKey struct {
	namespace string
	subject   subject
}

// grantKey finds permissions: by the name of an Action, by catalog.AllActions, or by bySelector.
type grantKey struct {
	namespace string
	verb      v1alpha1.Verb
	action    string
}

// bySelector is the key of permissions that select Actions by label.
const bySelector = ""

func indexRoles(roles map[types.NamespacedName]roleEntry) roleIndex {
	index := roleIndex{
		byTenant: map[string][]*catalog.Role{},
		lineages: make(map[*catalog.Role]*catalog.Lineage, len(roles)), heirs: map[*catalog.Role][]*catalog.Role{},
		members: map[memberKey][]*catalog.Role{},
		grants:  map[grantKey]map[subject][]*catalog.Permission{}, granting: map[grantKey][]*catalog.Role{},
	}
	for key, entry := range roles {
		if entry.role != nil {
			index.byTenant[key.Namespace] = append(index.byTenant[key.Namespace], entry.role)
		}
	}
	for namespace, tenants := range index.byTenant {
		slices.SortFunc(tenants, byRoleName)
		family := catalog.NewFamily(func(name string) *catalog.Role {
			return roles[types.NamespacedName{Namespace: namespace, Name: name}].role
		})
		for _, role := range tenants {
			index.add(namespace, family.Of(role))
		}
	}
	return index
}

func (x *roleIndex) add(namespace string, lineage *catalog.Lineage) {
	role := lineage.Role
	x.lineages[role] = lineage
	for _, from := range lineage.Inherited {
		x.heirs[from] = append(x.heirs[from], role)
	}
	members := subjectsIn(&role.Object.Spec.Members)
	for _, member := range members {
		key := memberKey{namespace, member}
		x.members[key] = append(x.members[key], role)
	}
	for _, permission := range lineage.Permissions() {
		x.grant(namespace, permission, role, members)
	}
}

func (x *roleIndex) grant(namespace string, p *catalog.Permission, holder *catalog.Role, members []subject) {
	names := p.Names
	if p.Selector != nil {
		names = []string{bySelector}
	}
	for _, verb := range p.Verbs {
		for _, name := range names {
			key := grantKey{namespace, verb, name}
			x.granting[key] = append(x.granting[key], holder)
			if x.grants[key] == nil {
				x.grants[key] = map[subject][]*catalog.Permission{}
			}
			for _, member := range members {
				x.grants[key][member] = append(x.grants[key][member], p)
			}
		}
	}
}

func byRoleName(a, b *catalog.Role) int { return cmp.Compare(a.Object.Name, b.Object.Name) }

// Roles lists the Roles of a namespace that compile, sorted by name.
func (s *Snapshot) Roles(namespace string) []*catalog.Role { return s.byTenant[namespace] }

// AllRoles lists the Roles of all namespaces that compile, in no order.
func (s *Snapshot) AllRoles() []*catalog.Role {
	var all []*catalog.Role
	for _, roles := range s.byTenant {
		all = append(all, roles...)
	}
	return all
}

// Role finds a Role that compiles.
func (s *Snapshot) Role(namespace, name string) *catalog.Role {
	return s.roles[types.NamespacedName{Namespace: namespace, Name: name}].role
}

// Lineage says what a Role of this snapshot inherits.
func (s *Snapshot) Lineage(role *catalog.Role) *catalog.Lineage {
	if lineage := s.lineages[role]; lineage != nil {
		return lineage
	}
	return &catalog.Lineage{Role: role}
}

// FamilyWith gives the Roles of a namespace as they would be with one more, or with another one of the same name.
func (s *Snapshot) FamilyWith(role *catalog.Role) *catalog.Family {
	return catalog.NewFamily(func(name string) *catalog.Role {
		if name == role.Object.Name {
			return role
		}
		return s.Role(role.Object.Namespace, name)
	})
}

// Holding lists a Role and then the Roles that inherit it: the members of all of them hold it. It is empty where there is no such
// Role.
func (s *Snapshot) Holding(namespace, name string) []*catalog.Role {
	role := s.Role(namespace, name)
	if role == nil {
		return nil
	}
	return append([]*catalog.Role{role}, s.heirs[role]...)
}

// Granting lists the Roles whose members hold a verb on an Action, by themselves or by what they inherit, conditions not judged, sorted
// by name. The cost depends on how many do, not on how many Roles there are.
func (s *Snapshot) Granting(action *v1alpha1.Action, verb v1alpha1.Verb) []*catalog.Role {
	var roles []*catalog.Role
	for _, name := range [...]string{action.Name, catalog.AllActions} {
		roles = append(roles, s.granting[grantKey{action.Namespace, verb, name}]...)
	}
	for _, role := range s.granting[grantKey{action.Namespace, verb, bySelector}] {
		if slices.ContainsFunc(s.lineages[role].Permissions(), func(p *catalog.Permission) bool { return Grants(p, action, verb) }) {
			roles = append(roles, role)
		}
	}
	slices.SortFunc(roles, byRoleName)
	return slices.Compact(roles)
}

// Permissions gives every permission by which somebody may use a verb on an Action, conditions not yet judged, in a stable
// order. The cost depends on how many names the caller has, not on how many Roles there are.
func (s *Snapshot) Permissions(action *v1alpha1.Action, verb v1alpha1.Verb, who *v1alpha1.Identity) []*catalog.Permission {
	subjects := s.subjectsOf(who)
	var found []*catalog.Permission
	for _, name := range [...]string{action.Name, catalog.AllActions, bySelector} {
		bySubject := s.grants[grantKey{action.Namespace, verb, name}]
		if len(bySubject) == 0 {
			continue
		}
		for _, subject := range subjects {
			for _, permission := range bySubject[subject] {
				if selects(permission, action) && !slices.Contains(found, permission) {
					found = append(found, permission)
				}
			}
		}
	}
	return found
}

// Held gives every permission that somebody holds in a namespace, whatever it is about and under whatever condition.
func (s *Snapshot) Held(namespace string, who *v1alpha1.Identity) []*catalog.Permission {
	var held []*catalog.Permission
	seen := map[*catalog.Role]bool{}
	for _, subject := range s.subjectsOf(who) {
		for _, role := range s.members[memberKey{namespace, subject}] {
			if !seen[role] {
				seen[role] = true
				held = append(held, s.lineages[role].Permissions()...)
			}
		}
	}
	return held
}

// RolesOf names the Roles of a namespace that somebody is a member of, those that they inherit included, sorted.
func (s *Snapshot) RolesOf(namespace string, who *v1alpha1.Identity) []string {
	var names []string
	for _, subject := range s.subjectsOf(who) {
		for _, role := range s.members[memberKey{namespace, subject}] {
			names = append(names, role.Object.Name)
			for _, inherited := range s.lineages[role].Inherited {
				names = append(names, inherited.Object.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// HasRole tells whether somebody is a member of a Role, or of one that inherits it.
func (s *Snapshot) HasRole(namespace, name string, who *v1alpha1.Identity) bool {
	for _, subject := range s.subjectsOf(who) {
		for _, role := range s.members[memberKey{namespace, subject}] {
			if s.lineages[role].Includes(name) {
				return true
			}
		}
	}
	return false
}

func selects(p *catalog.Permission, action *v1alpha1.Action) bool {
	return p.Selector == nil || p.Selector.Matches(labels.Set(action.Labels))
}

// Grants tells whether a permission is about a verb on an Action.
func Grants(p *catalog.Permission, action *v1alpha1.Action, verb v1alpha1.Verb) bool {
	return slices.Contains(p.Verbs, verb) && selects(p, action) &&
		(p.Selector != nil || slices.Contains(p.Names, action.Name) || slices.Contains(p.Names, catalog.AllActions))
}
