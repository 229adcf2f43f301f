package gate

import (
	"context"
	"sync"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/identity"
)

// memberships is what a snapshot knows of somebody.
type memberships interface {
	TeamsOf(who *v1alpha1.Identity) []string
	Led(who *v1alpha1.Identity) []string
	RolesOf(namespace string, who *v1alpha1.Identity) []string
}

// personVar is somebody for expressions: what the login says, and what the snapshot knows of it. Roles are those of the namespace of
// the Action.
func (g *Gate) personVar(snap memberships, namespace string, id *v1alpha1.Identity) expression.Lazy {
	return sync.OnceValue(func() any { return g.personOfLogin(snap, namespace, id) })
}

func (g *Gate) personOfLogin(snap memberships, namespace string, id *v1alpha1.Identity) map[string]any {
	_, isServiceAccount := identity.ServiceAccount(id.Username)
	extra := make(map[string]any, len(id.Extra))
	for key, values := range id.Extra {
		extra[key] = toList(values)
	}
	return map[string]any{
		"username": id.Username, "uid": id.UID, "groups": toList(id.Groups), "extra": extra, "person": id.Person,
		"teams": toList(snap.TeamsOf(id)), "leads": toList(snap.Led(id)), "roles": toList(snap.RolesOf(namespace, id)),
		"isServiceAccount": isServiceAccount, "isAgent": g.rules.IsAgent(context.Background(), id),
	}
}

func toList(values []string) []any {
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	return list
}

func toMap(values map[string]string) map[string]any {
	out := make(map[string]any, len(values))
	for k, v := range values {
		out[k] = v
	}
	return out
}
