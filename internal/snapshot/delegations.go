package snapshot

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// delegationIndex finds Delegations by their uid, and by whom they let vote. Whether one is genuine, and counts now, it does not know.
type delegationIndex struct {
	byUID       map[types.UID]*v1alpha1.Delegation
	byDelegate  map[string][]*v1alpha1.Delegation
	byNamespace map[string][]*v1alpha1.Delegation
}

func indexDelegations(all map[types.NamespacedName]*v1alpha1.Delegation) delegationIndex {
	index := delegationIndex{
		byUID: make(map[types.UID]*v1alpha1.Delegation, len(all)), byDelegate: map[string][]*v1alpha1.Delegation{}, byNamespace: map[string][]*v1alpha1.Delegation{},
	}
	for _, d := range all {
		if d.DeletionTimestamp != nil {
			// Its principal has taken it back, whatever keeps it.
			continue
		}
		index.byUID[d.UID] = d
		index.byNamespace[d.Namespace] = append(index.byNamespace[d.Namespace], d)
		for _, user := range d.Spec.To.Users {
			index.byDelegate[user] = append(index.byDelegate[user], d)
		}
	}
	for _, list := range index.byDelegate {
		slices.SortFunc(list, lastsLongest)
	}
	return index
}

// lastsLongest orders Delegations: the one that ends last comes first, so that a vote counts as long as it can.
func lastsLongest(a, b *v1alpha1.Delegation) int {
	return cmp.Or(b.Spec.Until.Compare(a.Spec.Until.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// Delegation finds a Delegation by its uid. Nil: there is none.
func (s *Snapshot) Delegation(uid types.UID) *v1alpha1.Delegation { return s.delegations.byUID[uid] }

// StandIns names those who may vote now for one of the people whom subjects name, on an Action, as far as their
// Delegations were found genuine. It permits nothing: that is judged when somebody votes.
func (s *Snapshot) StandIns(action v1alpha1.ActionReference, subjects *v1alpha1.Subjects, now time.Time) []string {
	var names []string
	for _, d := range s.delegations.byNamespace[action.Namespace] {
		spec := &d.Spec
		switch {
		case d.Status.State != v1alpha1.DelegationActive || spec.Principal == nil || !now.Before(spec.Until.Time) || spec.From != nil && now.Before(spec.From.Time):
		case len(spec.Actions) > 0 && !slices.Contains(spec.Actions, action.Name):
		case s.Is(spec.Principal, subjects):
			names = append(names, spec.To.Users...)
		}
	}
	return names
}

// DelegatedTo lists the Delegations of a namespace that let somebody vote, by user name. The one that ends last comes first.
func (s *Snapshot) DelegatedTo(namespace, username string) []*v1alpha1.Delegation {
	var list []*v1alpha1.Delegation
	for _, d := range s.delegations.byDelegate[username] {
		if d.Namespace == namespace {
			list = append(list, d)
		}
	}
	return list
}
