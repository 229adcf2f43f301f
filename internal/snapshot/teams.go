package snapshot

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/identity"
)

// teamIndex answers which Teams somebody belongs to without walking the organisation.
type teamIndex struct {
	// bySubject gives, for a direct member, the Teams it is in and all Teams above them.
	bySubject map[subject][]string
	leads     map[string][]subject
	ledBy     map[subject][]string
	objects   map[string]*v1alpha1.Team
	below     map[string][]string
	// facts are Teams as expressions see them, made when one first asks.
	facts *sync.Map
}

func indexTeams(objects map[string]*v1alpha1.Team) teamIndex {
	index := teamIndex{
		bySubject: map[subject][]string{}, leads: map[string][]subject{}, ledBy: map[subject][]string{},
		objects: objects, below: map[string][]string{}, facts: &sync.Map{},
	}
	for name, team := range objects {
		if team.Spec.Parent != "" {
			index.below[team.Spec.Parent] = append(index.below[team.Spec.Parent], name)
		}
		index.leads[name] = subjectsIn(inTeam(team.Spec.Leads))
		for _, lead := range index.leads[name] {
			index.ledBy[lead] = append(index.ledBy[lead], name)
		}
		above := index.andAbove(name)
		for _, member := range append(subjectsIn(inTeam(team.Spec.Members)), index.leads[name]...) {
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

// inTeam are the subjects that count in a Team: whoever wrote it and however, a system group is in none. It is never nil.
func inTeam(s *v1alpha1.Subjects) *v1alpha1.Subjects {
	if s == nil {
		return &v1alpha1.Subjects{}
	}
	out := *s
	out.Groups = slices.DeleteFunc(slices.Clone(s.Groups), identity.IsSystem)
	return &out
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

// Team finds a Team.
func (s *Snapshot) Team(name string) *v1alpha1.Team { return s.teams.objects[name] }

// AboveTeam gives a Team and every Team above it, whether they exist or not.
func (s *Snapshot) AboveTeam(name string) []string { return s.teams.andAbove(name) }

// CheckTeam checks what the schema of a Team cannot: names, and that no Team is above itself.
func (s *Snapshot) CheckTeam(o *v1alpha1.Team) field.ErrorList {
	spec := field.NewPath("spec")
	errs := catalog.CheckTeamSubjects(o.Spec.Members, spec.Child("members"))
	errs = append(errs, catalog.CheckTeamSubjects(o.Spec.Leads, spec.Child("leads"))...)
	if o.Spec.Contact != nil {
		errs = append(errs, catalog.CheckName(spec.Child("contact", "text"), o.Spec.Contact.Text)...)
	}
	if o.Spec.Parent == "" {
		return errs
	}
	above := s.AboveTeam(o.Spec.Parent)
	if at := slices.Index(above, o.Name); at >= 0 {
		way := slices.Concat([]string{o.Name}, above[:at+1])
		errs = append(errs, field.Invalid(spec.Child("parent"), o.Spec.Parent, "the Teams would be above each other in a circle: "+catalog.Way(way)))
	}
	return errs
}

// PeopleOf lists the users that subjects name, directly or through Teams, sorted, and tells whether they also name groups,
// whose members nobody can list.
func (s *Snapshot) PeopleOf(subjects *v1alpha1.Subjects) (users []string, groups bool) {
	if subjects == nil {
		return nil, false
	}
	users = slices.Clone(subjects.Users)
	groups = len(subjects.Groups) > 0
	seen, below, open := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, team := range subjects.Teams {
		s.teams.collect(team, seen, below, open)
	}
	users = slices.AppendSeq(users, maps.Keys(below))
	slices.Sort(users)
	return slices.Compact(users), groups || len(open) > 0
}

// GroupsOf lists the groups that subjects name, directly or through Teams, sorted: their members count, and nobody can list them.
func (s *Snapshot) GroupsOf(subjects *v1alpha1.Subjects) []string {
	if subjects == nil {
		return nil
	}
	seen, below, open := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, team := range subjects.Teams {
		s.teams.collect(team, seen, below, open)
	}
	groups := slices.AppendSeq(slices.Clone(subjects.Groups), maps.Keys(open))
	slices.Sort(groups)
	return slices.Compact(groups)
}

// Led names the Teams that somebody leads, sorted.
func (s *Snapshot) Led(who *v1alpha1.Identity) []string {
	var teams []string
	for _, have := range directSubjects(who) {
		teams = append(teams, s.teams.ledBy[have]...)
	}
	slices.Sort(teams)
	return slices.Compact(teams)
}

// Teams gives the Teams to expressions.
func (s *Snapshot) Teams() expression.Teams { return teamFacts{&s.teams} }

type teamFacts struct{ index *teamIndex }

// Team implements expression.Teams.
func (f teamFacts) Team(name string) (map[string]any, error) {
	if known, ok := f.index.facts.Load(name); ok {
		return known.(map[string]any), nil //nolint:forcetypeassert // nothing else is stored
	}
	team, ok := f.index.objects[name]
	if !ok {
		return nil, fmt.Errorf("there is no Team %q", name)
	}
	facts := f.index.describe(team)
	f.index.facts.Store(name, facts)
	return facts, nil
}

// describe shows a Team to expressions: members are the users that it or a Team below names, leads those that lead it, groups all groups
// that count as members, because nobody can list who is in them.
func (t *teamIndex) describe(team *v1alpha1.Team) map[string]any {
	members, groups := map[string]bool{}, map[string]bool{}
	t.collect(team.Name, map[string]bool{}, members, groups)
	var leads []string
	if team.Spec.Leads != nil {
		leads = team.Spec.Leads.Users
	}
	return map[string]any{
		"name": team.Name, "parent": team.Spec.Parent, "ancestors": listOf(t.andAbove(team.Name)[1:]),
		"leads": listOf(leads), "members": sortedList(members), "groups": sortedList(groups),
	}
}

func (t *teamIndex) collect(name string, seen, users, groups map[string]bool) {
	team, ok := t.objects[name]
	if !ok || seen[name] {
		return
	}
	seen[name] = true
	for _, subjects := range []*v1alpha1.Subjects{inTeam(team.Spec.Members), inTeam(team.Spec.Leads)} {
		for _, user := range subjects.Users {
			users[user] = true
		}
		for _, group := range subjects.Groups {
			groups[group] = true
		}
	}
	for _, below := range t.below[name] {
		t.collect(below, seen, users, groups)
	}
}

func sortedList(names map[string]bool) []any { return listOf(slices.Sorted(maps.Keys(names))) }

func listOf(names []string) []any {
	list := make([]any, len(names))
	for i, name := range names {
		list[i] = name
	}
	return list
}
