package catalog

import (
	"fmt"
	"strings"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Grant is the smallest thing that a permission gives: one verb on one choice of Actions under one condition.
type Grant struct {
	Verb v1alpha1.Verb
	// Actions is the name of an Action, AllActions, or a label selector where Selected is set.
	Actions  string
	Selected bool
	// When is the condition; empty: none.
	When string
}

// String shows a grant to people.
func (g Grant) String() string {
	text := fmt.Sprintf("%q on %s", g.Verb, g.Actions)
	switch {
	case g.Selected:
		text = fmt.Sprintf("%q on Actions with %s", g.Verb, g.Actions)
	case g.Actions == AllActions:
		text = fmt.Sprintf("%q on every Action", g.Verb)
	}
	if g.When == "" {
		return text
	}
	return text + " when " + shorten(strings.Join(strings.Fields(g.When), " "), 80)
}

func shorten(text string, length int) string {
	if runes := []rune(text); len(runes) > length {
		return string(runes[:length-1]) + "…"
	}
	return text
}

// GrantsOf takes permissions apart, each grant once, in the order of the permissions.
func GrantsOf(permissions []*Permission) []Grant {
	var grants []Grant
	seen := map[Grant]bool{}
	for _, p := range permissions {
		for _, grant := range p.grants() {
			if !seen[grant] {
				seen[grant] = true
				grants = append(grants, grant)
			}
		}
	}
	return grants
}

func (p *Permission) grants() []Grant {
	when := ""
	if p.When != nil {
		when = p.When.Source()
	}
	var grants []Grant
	for _, verb := range p.Verbs {
		if p.Selector != nil {
			grants = append(grants, Grant{Verb: verb, Actions: p.Selector.String(), Selected: true, When: when})
			continue
		}
		for _, name := range p.Names {
			grants = append(grants, Grant{Verb: verb, Actions: name, When: when})
		}
	}
	return grants
}

// Beyond gives the grants that somebody who holds others does not hold. Holding something on every Action is holding it on each; holding it
// without a condition is holding it under any. A selector is held by the same selector only, because labels change.
func Beyond(grants, held []Grant) []Grant {
	have := make(grantSet, len(held))
	for _, grant := range held {
		have[grant] = true
	}
	var beyond []Grant
	for _, grant := range grants {
		whole := grant
		whole.Actions, whole.Selected = AllActions, false
		if !have.covers(grant) && !have.covers(whole) {
			beyond = append(beyond, grant)
		}
	}
	return beyond
}

type grantSet map[Grant]bool

// covers tells whether a grant is held, under its own condition or under none.
func (s grantSet) covers(grant Grant) bool {
	free := grant
	free.When = ""
	return s[grant] || s[free]
}
