package catalog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// MaxInherited bounds how many Roles one Role inherits, over others too. It bounds what one Role can cost.
const MaxInherited = 64

// Lineage is what a Role inherits.
type Lineage struct {
	// Role is whose lineage it is.
	Role *Role
	// Inherited are the Roles whose permissions members hold as well, over others too, sorted by name.
	Inherited []*Role
	// Missing are names in spec.inherits of Roles that are not there or do not compile. They give nothing.
	Missing []string
	// Errs say why the Role inherits nothing at all, whatever it names. It has its own permissions nevertheless.
	Errs field.ErrorList
}

// Permissions gives what members of the Role hold, inherited permissions included.
func (l *Lineage) Permissions() []*Permission {
	if len(l.Inherited) == 0 {
		return l.Role.Permissions
	}
	all := slices.Clone(l.Role.Permissions)
	for _, role := range l.Inherited {
		all = append(all, role.Permissions...)
	}
	return all
}

// Includes tells whether who holds the Role holds another one as well: itself, or one that it inherits.
func (l *Lineage) Includes(name string) bool {
	return l.Role.Object.Name == name ||
		slices.ContainsFunc(l.Inherited, func(r *Role) bool { return r.Object.Name == name })
}

// Family finds out what the Roles of one namespace inherit. What it found out it remembers; it is not safe for concurrent use.
//
// Roles that inherit each other in a circle were written at the same moment, because the webhook refuses the second of two. Such a Role
// inherits nothing: nobody can tell what was meant.
type Family struct {
	// find gives a Role by its name; nil where there is none, or it does not compile.
	find  func(name string) *Role
	known map[string]*Lineage
	// The rest serves the search for circles: the order in which Roles were come upon, and those whose circle is still open.
	order map[string]int
	open  []*Role
}

// NewFamily makes a family of the Roles that find gives.
func NewFamily(find func(name string) *Role) *Family {
	return &Family{find: find, known: map[string]*Lineage{}, order: map[string]int{}}
}

// Of gives what a Role inherits.
func (f *Family) Of(role *Role) *Lineage {
	name := role.Object.Name
	if f.known[name] == nil {
		f.visit(role)
	}
	return f.known[name]
}

// visit finds circles as Tarjan does: the Roles that can reach each other come off the stack together, after all that they inherit. It
// gives the earliest Role on the stack that can be reached.
func (f *Family) visit(role *Role) int {
	name := role.Object.Name
	if len(role.Object.Spec.Inherits) == 0 {
		f.known[name] = &Lineage{Role: role}
		return len(f.open)
	}
	at := len(f.open)
	f.order[name], f.open = at, append(f.open, role)
	earliest := at
	for _, parent := range role.Object.Spec.Inherits {
		next := f.find(parent)
		if next == nil || f.known[parent] != nil {
			continue
		}
		if seen, ok := f.order[parent]; ok {
			earliest = min(earliest, seen)
			continue
		}
		earliest = min(earliest, f.visit(next))
	}
	if earliest == at {
		f.settle(f.open[at:])
		f.open = f.open[:at]
	}
	return earliest
}

// settle says what Roles inherit that can reach each other; mostly that is one Role.
func (f *Family) settle(together []*Role) {
	for _, role := range together {
		l := &Lineage{Role: role}
		if names := role.Object.Spec.Inherits; len(together) > 1 || slices.Contains(names, role.Object.Name) {
			l.Errs = field.ErrorList{circle(role, together)}
		} else {
			f.inherit(l)
		}
		f.known[role.Object.Name] = l
		delete(f.order, role.Object.Name)
	}
}

// inherit collects what a Role inherits, when that is known of everything that it names.
func (f *Family) inherit(l *Lineage) {
	for _, name := range l.Role.Object.Spec.Inherits {
		parent := f.find(name)
		if parent == nil {
			l.Missing = append(l.Missing, name)
			continue
		}
		l.Inherited = append(append(l.Inherited, parent), f.known[name].Inherited...)
	}
	slices.SortFunc(l.Inherited, func(a, b *Role) int { return cmp.Compare(a.Object.Name, b.Object.Name) })
	l.Inherited = slices.Compact(l.Inherited)
	if l.Errs = excess(l); len(l.Errs) > 0 {
		l.Inherited = nil
	}
}

// excess says why a Role must not inherit what it names.
func excess(l *Lineage) field.ErrorList {
	path := field.NewPath("spec", "inherits")
	if count := len(l.Inherited); count > MaxInherited {
		return field.ErrorList{field.Invalid(path, count, fmt.Sprintf("a Role inherits at most %d Roles, those that others bring included", MaxInherited))}
	}
	var errs field.ErrorList
	for _, from := range l.Inherited {
		if !slices.ContainsFunc(from.Permissions, func(p *Permission) bool { return slices.Contains(p.Verbs, v1alpha1.VerbApprove) }) {
			continue
		}
		for _, group := range l.Role.Object.Spec.Members.Groups {
			for _, err := range CheckApprover(ApproverGroups, group, path) {
				errs = append(errs, field.Invalid(path, from.Object.Name, fmt.Sprintf("it gives \"approve\", and group %s is a member: %s", group, err.Detail)))
			}
		}
	}
	return errs
}

// circle shows how a Role comes back to itself: a shortest way, so that people see what to take out.
func circle(role *Role, together []*Role) *field.Error {
	by := map[string]*Role{}
	for _, r := range together {
		by[r.Object.Name] = r
	}
	start := role.Object.Name
	from := map[string]string{}
	for queue := []string{start}; len(queue) > 0; queue = queue[1:] {
		for _, next := range by[queue[0]].Object.Spec.Inherits {
			if _, seen := from[next]; by[next] == nil || seen {
				continue
			}
			from[next] = queue[0]
			queue = append(queue, next)
		}
	}
	way := []string{start}
	for at := from[start]; at != start; at = from[at] {
		way = append(way, at)
	}
	slices.Reverse(way[1:])
	index := slices.Index(role.Object.Spec.Inherits, append(way, start)[1])
	return field.Invalid(field.NewPath("spec", "inherits").Index(index), role.Object.Spec.Inherits[index],
		"Roles would inherit each other in a circle: "+Way(append(way, start)))
}

// maxWay bounds how much of a circle is shown.
const maxWay = 8

// Way shows a way through names, as "a → b → a".
func Way(names []string) string {
	if len(names) > maxWay {
		names = slices.Concat(names[:maxWay-2], []string{"…"}, names[len(names)-1:])
	}
	return strings.Join(names, " → ")
}
