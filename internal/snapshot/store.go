package snapshot

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/calendar"
	"github.com/signoff-dev/signoff/internal/catalog"
)

// Store takes changes of governing objects and makes snapshots of them. Each object is compiled once, when it changes.
type Store struct {
	mu        sync.Mutex
	actions   map[types.NamespacedName]actionEntry
	roles     map[types.NamespacedName]roleEntry
	teams     map[string]*v1alpha1.Team
	calendars map[types.NamespacedName]calendarEntry
	policies  map[string]PolicyEntry
	synced    bool

	dirty   chan struct{}
	current atomic.Pointer[Snapshot]
	// changed is called after every new snapshot.
	changed func()
}

// NewStore makes an empty store, whose snapshot is not fit to decide on until MarkSynced. After every new snapshot it calls
// changed, where that is given.
func NewStore(changed func()) *Store {
	s := &Store{
		actions:   map[types.NamespacedName]actionEntry{},
		roles:     map[types.NamespacedName]roleEntry{},
		teams:     map[string]*v1alpha1.Team{},
		calendars: map[types.NamespacedName]calendarEntry{},
		policies:  map[string]PolicyEntry{},
		dirty:     make(chan struct{}, 1),
		changed:   changed,
	}
	s.Rebuild()
	return s
}

// Current gives the latest snapshot.
func (s *Store) Current() *Snapshot { return s.current.Load() }

// MarkSynced says that every object which the API server had has been put.
func (s *Store) MarkSynced() { s.change(func() { s.synced = true }) }

// Put takes a governing object that is new or has changed. Other objects are ignored.
func (s *Store) Put(object any) {
	switch o := object.(type) {
	case *v1alpha1.Action:
		compiled, errs := catalog.CompileAction(o)
		s.change(func() { s.actions[key(o)] = actionEntry{compiled, errs} })
	case *v1alpha1.Role:
		compiled, errs := catalog.CompileRole(o)
		s.change(func() { s.roles[key(o)] = roleEntry{compiled, errs} })
	case *v1alpha1.Team:
		s.change(func() { s.teams[o.Name] = o })
	case *v1alpha1.Calendar:
		compiled, errs := calendar.Compile(&o.Spec, field.NewPath("spec"))
		s.change(func() { s.calendars[key(o)] = calendarEntry{compiled, errs} })
	case *v1alpha1.ActionPolicy:
		compiled, errs := catalog.CompilePolicy(o)
		entry := PolicyEntry{Policy: compiled, Err: errs.ToAggregate()}
		if compiled == nil {
			// What cannot be compiled still matches, so that the requests it is about wait instead of passing it by.
			entry.Policy = &catalog.Policy{Object: o}
		}
		s.change(func() { s.policies[o.Name] = entry })
	}
}

// Remove takes a governing object that is gone.
func (s *Store) Remove(object any) {
	switch o := object.(type) {
	case *v1alpha1.Action:
		s.change(func() { delete(s.actions, key(o)) })
	case *v1alpha1.Role:
		s.change(func() { delete(s.roles, key(o)) })
	case *v1alpha1.Team:
		s.change(func() { delete(s.teams, o.Name) })
	case *v1alpha1.Calendar:
		s.change(func() { delete(s.calendars, key(o)) })
	case *v1alpha1.ActionPolicy:
		s.change(func() { delete(s.policies, o.Name) })
	}
}

func (s *Store) change(apply func()) {
	s.mu.Lock()
	apply()
	s.mu.Unlock()
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// Run makes a new snapshot after changes, until the context ends. Changes that come while one is being made share the next.
func (s *Store) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.dirty:
			s.Rebuild()
		}
	}
}

// Rebuild makes a new snapshot now.
func (s *Store) Rebuild() {
	s.mu.Lock()
	snapshot := &Snapshot{
		actions: maps.Clone(s.actions), roles: maps.Clone(s.roles),
		calendars: maps.Clone(s.calendars),
		policies:  slices.SortedFunc(maps.Values(s.policies), byPolicyName),
		synced:    s.synced,
	}
	teams := maps.Clone(s.teams)
	s.mu.Unlock()

	snapshot.teams = indexTeams(teams)
	snapshot.indexRoles()
	s.current.Store(snapshot)
	if s.changed != nil {
		s.changed()
	}
}

func (s *Snapshot) indexRoles() {
	s.byTenant = map[string][]*catalog.Role{}
	for _, entry := range s.roles {
		if entry.role != nil {
			namespace := entry.role.Object.Namespace
			s.byTenant[namespace] = append(s.byTenant[namespace], entry.role)
		}
	}
	s.grants = map[grantKey]map[subject][]*catalog.Permission{}
	s.granting = map[grantKey][]*catalog.Role{}
	for namespace, roles := range s.byTenant {
		slices.SortFunc(roles, func(a, b *catalog.Role) int { return cmp.Compare(a.Object.Name, b.Object.Name) })
		for _, role := range roles {
			members := subjectsIn(&role.Object.Spec.Members)
			for _, permission := range role.Permissions {
				s.indexPermission(namespace, permission, members)
			}
		}
	}
}

func (s *Snapshot) indexPermission(namespace string, p *catalog.Permission, members []subject) {
	names := p.Names
	if p.Selector != nil {
		names = []string{bySelector}
	}
	for _, verb := range p.Verbs {
		for _, name := range names {
			key := grantKey{namespace, verb, name}
			s.granting[key] = append(s.granting[key], p.Role)
			if s.grants[key] == nil {
				s.grants[key] = map[subject][]*catalog.Permission{}
			}
			for _, member := range members {
				s.grants[key][member] = append(s.grants[key][member], p)
			}
		}
	}
}

func byPolicyName(a, b PolicyEntry) int {
	return cmp.Compare(a.Policy.Object.Name, b.Policy.Object.Name)
}

type namespaced interface {
	GetNamespace() string
	GetName() string
}

func key(o namespaced) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}
