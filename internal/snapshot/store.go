package snapshot

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/calendar"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/heartbeat"
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

	delegations map[types.NamespacedName]*v1alpha1.Delegation
	// stale says what changed since the last snapshot, which shares all else.
	stale stale

	dirty chan struct{}
	// turn is the snapshot that Run is making.
	turn    heartbeat.Turn
	current atomic.Pointer[Snapshot]
	// changed is called after every new snapshot.
	changed func()
}

// stale says of which kinds objects changed.
type stale struct{ actions, roles, teams, calendars, policies, delegations bool }

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
		stale:     stale{true, true, true, true, true, true},

		delegations: map[types.NamespacedName]*v1alpha1.Delegation{},
	}
	s.Rebuild()
	return s
}

// Current gives the latest snapshot.
func (s *Store) Current() *Snapshot { return s.current.Load() }

// MarkSynced says that every object which the API server had has been put.
func (s *Store) MarkSynced() { s.change(new(bool), func() { s.synced = true }) }

// Put takes a governing object that is new or has changed. Other objects are ignored.
func (s *Store) Put(object any) {
	switch o := object.(type) {
	case *v1alpha1.Action:
		compiled, errs := catalog.CompileAction(o)
		s.change(&s.stale.actions, func() { s.actions[key(o)] = actionEntry{o, compiled, errs} })
	case *v1alpha1.Role:
		compiled, errs := catalog.CompileRole(o)
		s.change(&s.stale.roles, func() { s.roles[key(o)] = roleEntry{compiled, errs} })
	case *v1alpha1.Team:
		s.change(&s.stale.teams, func() { s.teams[o.Name] = o })
	case *v1alpha1.Calendar:
		compiled, errs := calendar.Compile(&o.Spec, field.NewPath("spec"))
		s.change(&s.stale.calendars, func() { s.calendars[key(o)] = calendarEntry{compiled, errs} })
	case *v1alpha1.ActionPolicy:
		compiled, errs := catalog.CompilePolicy(o)
		entry := PolicyEntry{Policy: compiled, Err: errs.ToAggregate()}
		if compiled == nil {
			// What cannot be compiled still matches, so that the requests it is about wait instead of passing it by.
			entry.Policy = &catalog.Policy{Object: o}
		}
		s.change(&s.stale.policies, func() { s.policies[o.Name] = entry })
	case *v1alpha1.Delegation:
		s.change(&s.stale.delegations, func() { s.delegations[key(o)] = o })
	}
}

// Remove takes a governing object that is gone.
func (s *Store) Remove(object any) {
	switch o := object.(type) {
	case *v1alpha1.Action:
		s.change(&s.stale.actions, func() { delete(s.actions, key(o)) })
	case *v1alpha1.Role:
		s.change(&s.stale.roles, func() { delete(s.roles, key(o)) })
	case *v1alpha1.Team:
		s.change(&s.stale.teams, func() { delete(s.teams, o.Name) })
	case *v1alpha1.Calendar:
		s.change(&s.stale.calendars, func() { delete(s.calendars, key(o)) })
	case *v1alpha1.ActionPolicy:
		s.change(&s.stale.policies, func() { delete(s.policies, o.Name) })
	case *v1alpha1.Delegation:
		s.change(&s.stale.delegations, func() { delete(s.delegations, key(o)) })
	}
}

func (s *Store) change(stale *bool, apply func()) {
	s.mu.Lock()
	apply()
	*stale = true
	s.mu.Unlock()
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// Turn is the snapshot that Run is making: one that is never done hangs.
func (s *Store) Turn() *heartbeat.Turn { return &s.turn }

// Run makes a new snapshot after changes, until the context ends. Changes that come while one is being made share the next.
func (s *Store) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.dirty:
			// How long that takes is a matter of the world and not of the rules.
			end := s.turn.Begin(clock.RealClock{}.Now())
			s.Rebuild()
			end()
		}
	}
}

// Rebuild makes a new snapshot now. It shares with the one before what did not change, so that an edit of a policy costs the same
// however many Roles there are.
func (s *Store) Rebuild() {
	s.mu.Lock()
	next := s.next()
	s.current.Store(next)
	s.mu.Unlock()
	if s.changed != nil {
		s.changed()
	}
}

func (s *Store) next() *Snapshot {
	next := &Snapshot{}
	if before := s.current.Load(); before != nil {
		*next = *before
	}
	next.synced = s.synced
	if s.stale.actions {
		next.actions = maps.Clone(s.actions)
	}
	if s.stale.calendars {
		next.calendars = maps.Clone(s.calendars)
	}
	if s.stale.policies {
		next.policies = indexPolicies(s.policies)
	}
	if s.stale.teams {
		next.teams = indexTeams(maps.Clone(s.teams))
	}
	if s.stale.roles {
		next.roles = maps.Clone(s.roles)
		next.roleIndex = indexRoles(next.roles)
	}
	if s.stale.delegations {
		next.delegations = indexDelegations(s.delegations)
	}
	s.stale = stale{}
	return next
}

type namespaced interface {
	GetNamespace() string
	GetName() string
}

func key(o namespaced) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}
