package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// governing is what one may read of who may do what, in the namespaces of a catalog.
type governing struct {
	who      *v1alpha1.Identity
	snapshot *snapshot.Snapshot
	// hidden are the namespaces whose Roles one may not read, and teamsHidden says that one may not read Teams.
	hidden      map[string]bool
	teamsHidden bool
}

// govern reads the Roles beside Actions, and Teams where one names some.
func (s *session) govern(ctx context.Context, found *table) (*governing, error) {
	info, err := s.connection.whoAmI(ctx)
	if err != nil {
		return nil, err
	}
	g := &governing{who: identityOf(info), hidden: map[string]bool{}}
	store, namespaces := snapshot.NewStore(nil), map[string]bool{}
	for i := range found.Rows {
		action, err := typedAs[v1alpha1.Action](found.object(i))
		if err != nil {
			return nil, err
		}
		store.Put(action)
		namespaces[action.Namespace] = true
	}
	teams := false
	for _, namespace := range slices.Sorted(maps.Keys(namespaces)) {
		named, err := s.putRoles(ctx, store, namespace)
		if errors.Is(err, errForbidden) {
			g.hidden[namespace] = true
			continue
		}
		if err != nil {
			return nil, err
		}
		teams = teams || named
	}
	if teams {
		if err := s.putTeams(ctx, store); errors.Is(err, errForbidden) {
			g.teamsHidden = true
		} else if err != nil {
			return nil, err
		}
	}
	store.MarkSynced()
	store.Rebuild()
	g.snapshot = store.Current()
	return g, nil
}

func identityOf(info *authenticationv1.UserInfo) *v1alpha1.Identity {
	return &v1alpha1.Identity{Username: info.Username, UID: info.UID, Groups: info.Groups}
}

// putRoles reads the Roles of a namespace, or of all if none is named, and says whether one names a Team.
func (s *session) putRoles(ctx context.Context, store *snapshot.Store, namespace string) (bool, error) {
	list, err := s.list(ctx, roles, namespace, "")
	if err != nil {
		return false, err
	}
	named := false
	for i := range list.Rows {
		role, err := typedAs[v1alpha1.Role](list.object(i))
		if err != nil {
			return false, err
		}
		store.Put(role)
		named = named || len(role.Spec.Members.Teams) > 0
	}
	return named, nil
}

func (s *session) putTeams(ctx context.Context, store *snapshot.Store) error {
	list, err := s.list(ctx, teams, "", "")
	if err != nil {
		return err
	}
	for i := range list.Rows {
		team, err := typedAs[v1alpha1.Team](list.object(i))
		if err != nil {
			return err
		}
		store.Put(team)
	}
	return nil
}

// Answers to whether somebody may ask.
const (
	mayYes     = "yes"
	mayNo      = "no"
	mayUnknown = "unknown"
)

// mayRequest tells whether a Role lets whoever looks ask for an Action: yes, no, unknown, or the condition.
func (g *governing) mayRequest(action *v1alpha1.Action) string {
	permissions := g.snapshot.Permissions(action, v1alpha1.VerbRequest, g.who)
	if slices.ContainsFunc(permissions, func(p *catalog.Permission) bool { return p.When == nil }) {
		return mayYes
	}
	var conditions []string
	for _, permission := range permissions {
		conditions = append(conditions, conditionOf(permission))
	}
	switch {
	case len(conditions) > 0:
		slices.Sort(conditions)
		return "when: " + strings.Join(slices.Compact(conditions), "; or ")
	case g.hidden[action.Namespace], g.teamsHidden && g.namesTeams(action):
		return mayUnknown
	}
	return mayNo
}

// namesTeams tells whether a Role that gives the right to ask names a Team.
func (g *governing) namesTeams(action *v1alpha1.Action) bool {
	return slices.ContainsFunc(g.snapshot.Granting(action, v1alpha1.VerbRequest), func(r *catalog.Role) bool { return len(r.Object.Spec.Members.Teams) > 0 })
}

// blind says what could not be read.
func (g *governing) blind() []string {
	var lines []string
	for _, namespace := range slices.Sorted(maps.Keys(g.hidden)) {
		lines = append(lines, fmt.Sprintf("you may not read the Roles in namespace %s: ask its owners for the ClusterRole signoff-catalog-reader", namespace))
	}
	if g.teamsHidden {
		lines = append(lines, "you may not read Teams, which Roles name: ask an administrator of the cluster for the ClusterRole signoff-team-reader")
	}
	return lines
}
