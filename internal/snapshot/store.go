package snapshot

import (
	"context"
	"maps"
	"reflect"
	"sync"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	// stale says what changed since the last snapshot, which shares all else, and decides that a decision can rest on some of that.
	stale   stale
	decides bool

	dirty chan struct{}
	// turn is the snapshot that Run is making.
	turn    heartbeat.Turn
	current atomic.Pointer[Snapshot]
	// changed is called after every new snapshot on which a decision may be another one.
	changed func()
}

// stale says of which kinds objects changed.
type stale struct{ actions, roles, teams, calendars, policies, delegations bool }

// NewStore makes an empty store, whose snapshot is not fit to decide on until MarkSynced. After every new snapshot on which a decision may be
// another one it calls changed, where that is given.
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
		decides:   true,

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
		entry := entryOf(o)
		s.change(&s.stale.actions, func() { s.actions[key(o)] = entry })
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

// Update takes a governing object that was written, or read again. Where nothing has changed that a decision can rest on, such as how many requests
// a policy holds, nobody is told: each of very many requests would be judged again for nothing.
func (s *Store) Update(before, after any) {
	if !reflect.DeepEqual(content(before), content(after)) {
		s.Put(after)
		return
	}
	was, isAction := before.(*v1alpha1.Action)
	if now, ok := after.(*v1alpha1.Action); ok && isAction && !reflect.DeepEqual(was.Status, now.Status) {
		// Whoever asks is told what its status says.
		entry := entryOf(now)
		s.renew(&s.stale.actions, func() { s.actions[key(now)] = entry })
	}
}

func entryOf(o *v1alpha1.Action) actionEntry {
	compiled, errs := catalog.CompileAction(o)
	return actionEntry{o, compiled, errs}
}

// content is what a decision can rest on of a governing object. It is compared as it is, and not by its generation only: that stays where another
// definition of the kind gives other defaults.
func content(object any) any {
	switch o := object.(type) {
	case *v1alpha1.Action:
		return v1alpha1.Action{ObjectMeta: lasting(&o.ObjectMeta), Spec: o.Spec}
	case *v1alpha1.Role:
		return v1alpha1.Role{ObjectMeta: lasting(&o.ObjectMeta), Spec: o.Spec}
	case *v1alpha1.Team:
		return v1alpha1.Team{ObjectMeta: lasting(&o.ObjectMeta), Spec: o.Spec}
	case *v1alpha1.Calendar:
		return v1alpha1.Calendar{ObjectMeta: lasting(&o.ObjectMeta), Spec: o.Spec}
	case *v1alpha1.ActionPolicy:
		return v1alpha1.ActionPolicy{ObjectMeta: lasting(&o.ObjectMeta), Spec: o.Spec}
	case *v1alpha1.Delegation:
		// Who is named as one who may vote rests on its state.
		return v1alpha1.Delegation{ObjectMeta: lasting(&o.ObjectMeta), Spec: o.Spec, Status: v1alpha1.DelegationStatus{State: o.Status.State}}
	}
	return object
}

// lasting is metadata without what every write changes.
func lasting(o *metav1.ObjectMeta) metav1.ObjectMeta {
	out := *o
	out.ResourceVersion, out.ManagedFields = "", nil
	return out
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

// change makes Run make a new snapshot, on which decisions may be other ones.
func (s *Store) change(stale *bool, apply func()) {
	s.renew(stale, func() { apply(); s.decides = true })
}

// renew makes Run make a new snapshot.
func (s *Store) renew(stale *bool, apply func()) {
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
	decides := s.decides
	s.decides = false
	s.mu.Unlock()
	if decides && s.changed != nil {
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
