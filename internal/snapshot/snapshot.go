// Package snapshot is an immutable, indexed, compiled view of the governing objects (Actions, Roles, Teams, Calendars,
// ActionPolicies, Delegations) in memory, and knows whether it is fit to decide on. A decision reads one snapshot and takes no lock.
package snapshot

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/calendar"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/identity"
)

// Snapshot is one state of the governing objects. It never changes.
type Snapshot struct {
	roleIndex
	actions   map[types.NamespacedName]actionEntry
	roles     map[types.NamespacedName]roleEntry
	teams     teamIndex
	calendars map[types.NamespacedName]calendarEntry
	policies  *policyIndex
	synced    bool

	delegations delegationIndex
}

type actionEntry struct {
	object *v1alpha1.Action
	action *catalog.Action
	errs   field.ErrorList
}

type roleEntry struct {
	role *catalog.Role
	errs field.ErrorList
}

type calendarEntry struct {
	calendar *calendar.Calendar
	errs     field.ErrorList
}

// PolicyEntry is an ActionPolicy. Where Err is set, the policy cannot be judged: nobody can tell what it demands.
type PolicyEntry struct {
	Policy *catalog.Policy
	Err    error
}

// subject is one name by which somebody can be meant, and what kind of name it is.
type subject struct {
	kind byte
	name string
}

func userSubject(name string) subject           { return subject{'u', name} }
func groupSubject(name string) subject          { return subject{'g', name} }
func serviceAccountSubject(name string) subject { return subject{'s', name} }
func teamSubject(name string) subject           { return subject{'t', name} }

// Synced tells whether the snapshot holds everything that the API server had. Before, nothing can be decided.
func (s *Snapshot) Synced() bool { return s.synced }

// Action finds an Action. The list says why it cannot be used; both are nil where there is none.
func (s *Snapshot) Action(ref v1alpha1.ActionReference) (*catalog.Action, field.ErrorList) {
	entry := s.actions[types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}]
	return entry.action, entry.errs
}

// ActionObject finds an Action as it is stored, whether it is valid or not. Nil: there is none.
func (s *Snapshot) ActionObject(ref v1alpha1.ActionReference) *v1alpha1.Action {
	return s.actions[types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}].object
}

// ActionNames lists the Actions of a namespace, sorted.
func (s *Snapshot) ActionNames(namespace string) []string {
	var names []string
	for key := range s.actions {
		if key.Namespace == namespace {
			names = append(names, key.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Calendars gives the Calendars of a namespace to expressions.
func (s *Snapshot) Calendars(namespace string) expression.Calendars { return calendars{s, namespace} }

// CalendarOf finds a Calendar.
func (s *Snapshot) CalendarOf(namespace, name string) (*calendar.Calendar, error) {
	entry, ok := s.calendars[types.NamespacedName{Namespace: namespace, Name: name}]
	if !ok {
		return nil, fmt.Errorf("there is no Calendar %q in namespace %s", name, namespace)
	}
	if len(entry.errs) > 0 {
		return nil, fmt.Errorf("Calendar %s/%s is not valid: %w", namespace, name, entry.errs.ToAggregate())
	}
	return entry.calendar, nil
}

type calendars struct {
	snapshot  *Snapshot
	namespace string
}

// Calendar implements expression.Calendars.
func (c calendars) Calendar(name string) (expression.Calendar, error) {
	cal, err := c.snapshot.CalendarOf(c.namespace, name)
	if err != nil {
		return nil, err
	}
	return cal, nil
}

// subjectsOf gives every name by which somebody can be meant.
func (s *Snapshot) subjectsOf(who *v1alpha1.Identity) []subject {
	subjects := directSubjects(who)
	for _, team := range s.teams.of(subjects) {
		subjects = append(subjects, teamSubject(team))
	}
	return subjects
}

func directSubjects(who *v1alpha1.Identity) []subject {
	subjects := make([]subject, 0, len(who.Groups)+8)
	if account, ok := identity.ServiceAccount(who.Username); ok {
		subjects = append(subjects, serviceAccountSubject(account))
	} else {
		subjects = append(subjects, userSubject(who.Username))
	}
	for _, group := range who.Groups {
		subjects = append(subjects, groupSubject(group))
	}
	return subjects
}

// TeamsOf lists the Teams that somebody belongs to, directly or through a Team below, sorted.
func (s *Snapshot) TeamsOf(who *v1alpha1.Identity) []string { return s.teams.of(directSubjects(who)) }

// Is tells whether somebody is one of these subjects.
func (s *Snapshot) Is(who *v1alpha1.Identity, members *v1alpha1.Subjects) bool {
	named := subjectsIn(members)
	return slices.ContainsFunc(s.subjectsOf(who), func(have subject) bool { return slices.Contains(named, have) })
}

// Leads tells whether somebody leads a Team.
func (s *Snapshot) Leads(who *v1alpha1.Identity, team string) bool {
	leads := s.teams.leads[team]
	return slices.ContainsFunc(directSubjects(who), func(have subject) bool { return slices.Contains(leads, have) })
}

func subjectsIn(s *v1alpha1.Subjects) []subject {
	if s == nil {
		return nil
	}
	var all []subject
	for _, user := range s.Users {
		all = append(all, userSubject(user))
	}
	for _, group := range s.Groups {
		all = append(all, groupSubject(group))
	}
	for _, team := range s.Teams {
		all = append(all, teamSubject(team))
	}
	for _, account := range s.ServiceAccounts {
		all = append(all, serviceAccountSubject(account))
	}
	return all
}
