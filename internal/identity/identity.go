// Package identity says who stands behind a write: the login as the API server authenticated it, and the person behind it.
package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/visible"
)

const (
	serviceAccountPrefix = "system:serviceaccount:"
	systemPrefix         = "system:"
	maxGroups            = 1000
	// personCost bounds the person expression; it reads one small object.
	personCost = 100_000
)

// Rules turn a login into an identity, by the configuration of the process.
type Rules struct {
	person    *expression.Program
	extraKeys []string
	agents    subjects
	// agentNames are the logins of agents as they are folded, and the persons behind them.
	agentNames []string
	voters     []string
}

type subjects struct{ groups, serviceAccounts []string }

// New compiles the identity rules of a configuration.
func New(cfg *config.Configuration) (*Rules, error) {
	compiler, err := expression.NewCompiler(expression.Person, nil)
	if err != nil {
		return nil, fmt.Errorf("failed to prepare the person expression: %w", err)
	}
	person, err := compiler.String(cfg.Person.Expression)
	if err != nil {
		return nil, fmt.Errorf("failed to compile person.expression: %w", err)
	}
	rules := &Rules{
		person:    person,
		extraKeys: cfg.Requester.ExtraKeys,
		agents: subjects{
			groups:          cfg.Requester.Agents.Groups,
			serviceAccounts: cfg.Requester.Agents.ServiceAccounts,
		},
		voters: cfg.Approvers.ServiceAccounts,
	}
	rules.agentNames = rules.namesOf(cfg.Requester.Agents.Users)
	return rules, nil
}

// namesOf gives logins as they are folded, and the persons behind them. Where a login alone tells no person, the login must do.
func (r *Rules) namesOf(users []string) []string {
	var names []string
	for _, user := range users {
		names = append(names, Fold(user))
		if person, err := r.Person(context.Background(), &v1alpha1.Identity{Username: user}); err == nil {
			names = append(names, person)
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

// Stamp gives the identity that is stored for a login. An error means that the write must be refused.
func (r *Rules) Stamp(ctx context.Context, info *authenticationv1.UserInfo) (v1alpha1.Identity, error) {
	if info.Username == "" {
		return v1alpha1.Identity{}, fmt.Errorf("the API server sent no user name")
	}
	if len(info.Groups) > maxGroups {
		return v1alpha1.Identity{}, fmt.Errorf("your login carries %d groups, more than the %d that can be recorded", len(info.Groups), maxGroups)
	}
	id := v1alpha1.Identity{Username: info.Username, UID: info.UID, Groups: slices.Clone(info.Groups), Extra: r.extra(info)}
	person, err := r.Person(ctx, &id)
	if err != nil {
		return v1alpha1.Identity{}, err
	}
	id.Person = person
	return id, nil
}

func (r *Rules) extra(info *authenticationv1.UserInfo) map[string]v1alpha1.ExtraValue {
	var kept map[string]v1alpha1.ExtraValue
	for _, key := range r.extraKeys {
		if values, ok := info.Extra[key]; ok {
			if kept == nil {
				kept = map[string]v1alpha1.ExtraValue{}
			}
			kept[key] = slices.Clone([]string(values))
		}
	}
	return kept
}

// Fold makes names equal that people read as one: characters that show nothing are left out first, because they keep letters apart that Unicode
// would make one, then case goes, as Unicode folds it (ß is ss), then the different ways to write a letter (NFKC), and blanks around. Each can give
// the others more to do, so that they go on until nothing changes. Look-alike letters of other scripts stay apart.
func Fold(name string) string {
	for range maxFolds {
		folded := strings.TrimSpace(norm.NFKC.String(cases.Fold().String(strings.Map(shown, name))))
		if folded == name {
			break
		}
		name = folded
	}
	return name
}

// maxFolds is more than any name takes.
const maxFolds = 16

// shown leaves out a character that shows nothing.
func shown(r rune) rune {
	if unicode.IsSpace(r) || visible.Shows(r) {
		return r
	}
	return -1
}

// Person gives the person behind a login, folded, so that exclusions compare loosely.
func (r *Rules) Person(ctx context.Context, id *v1alpha1.Identity) (string, error) {
	extra := make(map[string]any, len(id.Extra))
	for key, values := range id.Extra {
		extra[key] = toList(values)
	}
	vars := expression.Vars{Values: map[string]any{"user": map[string]any{
		"username": id.Username, "uid": id.UID, "groups": toList(id.Groups), "extra": extra,
	}}}
	person, err := r.person.EvalString(ctx, vars, expression.NewBudgetOf(personCost))
	if err != nil {
		return "", fmt.Errorf("failed to tell which person you are: %w", err)
	}
	person = Fold(person)
	if person == "" {
		return "", fmt.Errorf("failed to tell which person %q is: person.expression gave an empty string", id.Username)
	}
	return person, nil
}

// SamePerson tells whether two identities are one person: by the person expression as it is now, or as it was stamped.
func (r *Rules) SamePerson(ctx context.Context, a, b *v1alpha1.Identity) (bool, error) {
	if a.Username == b.Username || (a.Person != "" && a.Person == b.Person) {
		return true, nil
	}
	personA, err := r.Person(ctx, a)
	if err != nil {
		return false, err
	}
	personB, err := r.Person(ctx, b)
	if err != nil {
		return false, err
	}
	return personA == personB, nil
}

// IsAgent tells whether the configuration counts an identity as an agent. Being one only takes rights away, so that users are compared loosely: by
// every name of an agent, and by the person behind it.
func (r *Rules) IsAgent(ctx context.Context, id *v1alpha1.Identity) bool {
	if r.isNamedAgent(id) {
		return true
	}
	if len(r.agentNames) == 0 {
		return false
	}
	person, err := r.Person(ctx, id)
	// Whoever nobody can tell from an agent may be one.
	return err != nil || slices.Contains(r.agentNames, person)
}

// isNamedAgent tells whether an identity is an agent by what is known of it without asking for the person.
func (r *Rules) isNamedAgent(id *v1alpha1.Identity) bool {
	if account, ok := ServiceAccount(id.Username); ok && slices.Contains(r.agents.serviceAccounts, account) {
		return true
	}
	return anyOf(r.agents.groups, id.Groups) || len(r.agentNames) > 0 && anyOf(r.agentNames, []string{Fold(id.Username), id.Person})
}

// MayVote tells whether an identity is of a kind that may vote at all. Where not, the reason completes "you cannot approve: ".
func (r *Rules) MayVote(ctx context.Context, id *v1alpha1.Identity) (bool, string) {
	return r.mayVote(id, r.IsAgent(ctx, id))
}

// MayVoteAs is MayVote for an identity of which the person is known, given as that of the identity, because there may be thousands of approvers.
func (r *Rules) MayVoteAs(id *v1alpha1.Identity) bool {
	may, _ := r.mayVote(id, r.isNamedAgent(id))
	return may
}

func (r *Rules) mayVote(id *v1alpha1.Identity, isAgent bool) (bool, string) {
	if isAgent {
		return false, fmt.Sprintf("%s is an agent, not a person", id.Username)
	}
	if account, ok := ServiceAccount(id.Username); ok {
		if slices.Contains(r.voters, account) {
			return true, ""
		}
		return false, fmt.Sprintf("ServiceAccount %s is not a person; the configuration does not list it in approvers.serviceAccounts", account)
	}
	if IsSystem(id.Username) {
		return false, fmt.Sprintf("%s is a system identity, not a person", id.Username)
	}
	return true, ""
}

// IsSystem tells the name of a user or a group that Kubernetes keeps for itself.
func IsSystem(name string) bool { return strings.HasPrefix(name, systemPrefix) }

// ServiceAccount gives "namespace/name" for the user name of a ServiceAccount.
func ServiceAccount(username string) (string, bool) {
	rest, ok := strings.CutPrefix(username, serviceAccountPrefix)
	if !ok {
		return "", false
	}
	namespace, name, ok := strings.Cut(rest, ":")
	if !ok || namespace == "" || name == "" {
		return "", false
	}
	return namespace + "/" + name, true
}

// ServiceAccountUsername gives the user name of a ServiceAccount.
func ServiceAccountUsername(namespace, name string) string {
	return serviceAccountPrefix + namespace + ":" + name
}

func anyOf(wanted, have []string) bool {
	return slices.ContainsFunc(have, func(s string) bool { return slices.Contains(wanted, s) })
}

func toList(values []string) []any {
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	return list
}
