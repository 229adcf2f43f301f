package snapshot

import (
	"slices"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// teamIndex answers which Teams somebody belongs to without walking the organisation.
type teamIndex struct {
	// bySubject gives, for a direct member, the Teams it is in and all Teams above them.
	bySubject map[subject][]string
	leads     map[string][]subject
	objects   map[string]*v1alpha1.Team
	below     map[string][]string
}

func indexTeams(objects map[string]*v1alpha1.Team) teamIndex {
	index := teamIndex{
		bySubject: map[subject][]string{}, leads: map[string][]subject{},
		objects: objects, below: map[string][]string{},
	}
	for name, team := range objects {
		if team.Spec.Parent != "" {
			index.below[team.Spec.Parent] = append(index.below[team.Spec.Parent], name)
		}
		index.leads[name] = subjectsIn(team.Spec.Leads)
		above := index.andAbove(name)
		for _, member := range append(subjectsIn(team.Spec.Members), index.leads[name]...) {
			index.bySubject[member] = append(index.bySubject[member], above...)
		}
	}
	for member, teams := range index.bySubject {
		slices.Sort(teams)
		index.bySubject[member] = slices.Compact(teams)
	}
	for _, below := range index.below {
		slices.Sort(below)
	}
	return index
}

// andAbove gives a Team and every Team above it. It ends although the Teams may form a circle.
func (t *teamIndex) andAbove(name string) []string {
	var above []string
	for name != "" && !slices.Contains(above, name) {
		above = append(above, name)
		team, ok := t.objects[name]
		if !ok {
			break
		}
		name = team.Spec.Parent
	}
	return above
}

func (t *teamIndex) of(subjects []subject) []string {
	var teams []string
	for _, s := range subjects {
		teams = append(teams, t.bySubject[s]...)
	}
	if len(teams) < 2 {
		return teams
	}
	slices.Sort(teams)
	return slices.Compact(teams)
}

// people lists the users that a Team names, its leads and the Teams below included, and whether it also names groups, whose
// members nobody can list.
func (t *teamIndex) people(name string, seen map[string]bool) (users []string, groups bool) {
	team, ok := t.objects[name]
	if !ok || seen[name] {
		return nil, false
	}
	seen[name] = true
	for _, subjects := range []*v1alpha1.Subjects{team.Spec.Members, team.Spec.Leads} {
		if subjects != nil {
			users = append(users, subjects.Users...)
			groups = groups || len(subjects.Groups) > 0
		}
	}
	for _, below := range t.below[name] {
		u, g := t.people(below, seen)
		users, groups = append(users, u...), groups || g
	}
	return users, groups
}

// Team finds a Team.
func (s *Snapshot) Team(name string) *v1alpha1.Team { return s.teams.objects[name] }

// AboveTeam gives a Team and every Team above it, whether they exist or not.
func (s *Snapshot) AboveTeam(name string) []string { return s.teams.andAbove(name) }

// PeopleOf lists the users that subjects name, directly or through Teams, sorted, and tells whether they also name groups,
// whose members nobody can list.
func (s *Snapshot) PeopleOf(subjects *v1alpha1.Subjects) (users []string, groups bool) {
	if subjects == nil {
		return nil, false
	}
	users = slices.Clone(subjects.Users)
	groups = len(subjects.Groups) > 0
	seen := map[string]bool{}
	for _, team := range subjects.Teams {
		u, g := s.teams.people(team, seen)
		users, groups = append(users, u...), groups || g
	}
	slices.Sort(users)
	return slices.Compact(users), groups
}
