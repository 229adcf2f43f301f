package snapshot

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
)

// maxRemembered bounds for how many Actions and namespaces it is remembered which policies can be about a request.
const maxRemembered = 8192

// policyIndex holds all policies. It never changes but for what it remembers of its own answers.
type policyIndex struct {
	// entries are sorted by name.
	entries []PolicyEntry
	memory  atomic.Pointer[policyMemory]
}

// policyMemory remembers answers, because the same Actions are asked for again and again.
type policyMemory struct {
	answers sync.Map
	count   atomic.Int64
}

// place is where a request comes from and what it asks for.
type place struct {
	action    *catalog.Action
	namespace string
}

// Candidates are the ActionPolicies that can be about a request.
type Candidates struct {
	// Entries are sorted by name. The list must not be changed.
	Entries []PolicyEntry
	// AskForObjects says that one of them asks what the request would write.
	AskForObjects bool

	// within are the places in Entries of those that select objects by the names of namespaces only, anywhere of all others.
	within   map[string][]int
	anywhere []int
}

func candidates(entries []PolicyEntry) *Candidates {
	c := &Candidates{Entries: slices.Clip(entries), within: map[string][]int{}}
	for i := range entries {
		policy := entries[i].Policy
		c.AskForObjects = c.AskForObjects || len(policy.Objects) > 0 || policy.NeedsObjects
		namespaces := policy.Namespaces()
		if namespaces == nil {
			c.anywhere = append(c.anywhere, i)
		}
		for _, namespace := range namespaces {
			c.within[namespace] = append(c.within[namespace], i)
		}
	}
	return c
}

// Writing gives those that can be about a request that writes objects in some namespaces; "" is that of objects that have none.
func (c *Candidates) Writing(namespaces []string) []PolicyEntry {
	places := slices.Clone(c.anywhere)
	for _, namespace := range namespaces {
		places = append(places, c.within[namespace]...)
	}
	slices.Sort(places)
	places = slices.Compact(places)
	entries := make([]PolicyEntry, len(places))
	for i, at := range places {
		entries[i] = c.Entries[at]
	}
	return entries
}

func indexPolicies(policies map[string]PolicyEntry) *policyIndex {
	index := &policyIndex{entries: slices.SortedFunc(maps.Values(policies), byPolicyName)}
	index.memory.Store(&policyMemory{})
	return index
}

func byPolicyName(a, b PolicyEntry) int {
	return cmp.Compare(a.Policy.Object.Name, b.Policy.Object.Name)
}

// about gives the policies that can be about a request for an Action, without a look at all of them where it was asked before.
func (x *policyIndex) about(action *catalog.Action, namespace string) *Candidates {
	memory, at := x.memory.Load(), place{action, namespace}
	if known, ok := memory.answers.Load(at); ok {
		return known.(*Candidates) //nolint:forcetypeassert // nothing else is stored below
	}
	found := candidates(x.walk(action.Object, namespace, func(p *catalog.Policy) bool { return p.Writes(action.Steps.Kinds()) }))
	if memory.count.Add(1) > maxRemembered {
		// Forgetting everything now and then costs less than keeping track of what was asked last.
		x.memory.CompareAndSwap(memory, &policyMemory{})
		return found
	}
	memory.answers.Store(at, found)
	return found
}

func (x *policyIndex) walk(action *v1alpha1.Action, namespace string, also func(*catalog.Policy) bool) []PolicyEntry {
	var found []PolicyEntry
	for i := range x.entries {
		if policy := x.entries[i].Policy; policy.Matches(action, namespace) && also(policy) {
			found = append(found, x.entries[i])
		}
	}
	return found
}

// Policies gives the ActionPolicies that can be about a request: as far as its Action and its namespace tell, and the kinds that the Action
// writes. Which objects of these kinds, only the request tells.
func (s *Snapshot) Policies(action *v1alpha1.Action, requestNamespace string) *Candidates {
	if compiled := s.actions[key(action)].action; compiled != nil && compiled.Object == action {
		return s.policies.about(compiled, requestNamespace)
	}
	return candidates(s.policies.walk(action, requestNamespace, func(*catalog.Policy) bool { return true }))
}

// AllPolicies gives every ActionPolicy, by name. The list must not be changed.
func (s *Snapshot) AllPolicies() []PolicyEntry { return s.policies.entries }

// Actions gives every Action that compiles, by namespace and name.
func (s *Snapshot) Actions() []*catalog.Action {
	all := make([]*catalog.Action, 0, len(s.actions))
	for _, entry := range s.actions {
		if entry.action != nil {
			all = append(all, entry.action)
		}
	}
	slices.SortFunc(all, func(a, b *catalog.Action) int {
		return cmp.Or(cmp.Compare(a.Object.Namespace, b.Object.Namespace), cmp.Compare(a.Object.Name, b.Object.Name))
	})
	return all
}

// Invalid counts the objects that do not compile, by kind. Every kind that can fail to compile is there.
func (s *Snapshot) Invalid() map[string]int {
	counts := map[string]int{"Action": 0, "Role": 0, "Calendar": 0, "ActionPolicy": 0, "Team": 0}
	for _, entry := range s.actions {
		counts["Action"] += one(len(entry.errs) > 0)
	}
	for _, entry := range s.roles {
		counts["Role"] += one(len(entry.errs) > 0)
	}
	for _, entry := range s.calendars {
		counts["Calendar"] += one(len(entry.errs) > 0)
	}
	for _, team := range s.teams.objects {
		counts["Team"] += one(len(s.CheckTeam(team)) > 0)
	}
	for i := range s.policies.entries {
		counts["ActionPolicy"] += one(s.policies.entries[i].Err != nil)
	}
	return counts
}

// MissingCalendars counts the Calendars that the rules of Actions and policies name, and that are not there or do not compile. Those of policies are
// in the namespace of the operator.
func (s *Snapshot) MissingCalendars(operatorNamespace string) int {
	missing := map[types.NamespacedName]struct{}{}
	look := func(namespace string, names []string) {
		for _, name := range names {
			if _, err := s.CalendarOf(namespace, name); err != nil {
				missing[types.NamespacedName{Namespace: namespace, Name: name}] = struct{}{}
			}
		}
	}
	for _, action := range s.Actions() {
		look(action.Object.Namespace, action.Calendars())
	}
	for _, entry := range s.AllPolicies() {
		look(operatorNamespace, entry.Policy.Calendars())
	}
	return len(missing)
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}
