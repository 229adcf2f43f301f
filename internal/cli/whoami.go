package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// Myself is who asks, for programs.
type Myself struct {
	Username string   `json:"username"`
	UID      string   `json:"uid,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	// Person is who stands behind the login, as the configuration that was named says, or else a request or a vote of this login. Empty: nobody can tell.
	Person string `json:"person,omitempty"`
	// NeverApproves says why the configuration that was named lets this login approve nothing, whatever Roles say. Empty: it does not, or none was named.
	NeverApproves string `json:"neverApproves,omitempty"`
	// Teams are those that one is in, directly or through a Team below; Leads are those that one leads.
	Teams []string `json:"teams,omitempty"`
	Leads []string `json:"leads,omitempty"`
	// Roles are the Roles that one holds, as "namespace/name", with what they let one do.
	Roles []MyRole `json:"roles,omitempty"`
	// Unread says what could not be read, so that more may be so than is said here.
	Unread []string `json:"unread,omitempty"`

	teamsHidden bool
}

// MyRole is a Role that one holds.
type MyRole struct {
	Role  string   `json:"role"`
	Verbs []string `json:"verbs"`
}

func (p *Program) whoami() *cobra.Command {
	output, file := outputText, configuration("")
	command := &cobra.Command{
		Use:   "whoami",
		Short: "Say who you are, and what you hold",
		Long: `Says who you are to the API server, in which Teams you are, which Roles of Signoff you hold, and which person your login stands for. The
last is decided by the configuration of Signoff, which lies in no object: it is known where you have asked or voted before, or where you name its
file. What you may not read is named.`,
		Example: `  kubectl signoff whoami
  kubectl signoff whoami -o json

  # With the file that Signoff was started with, before anybody has asked
  kubectl signoff whoami --configuration configuration.yaml --as alice@laptop`,
		Args: takes(0, 0),
	}
	c := p.connect(command)
	command.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(output, outputText, outputJSON, outputYAML); err != nil {
			return err
		}
		s, err := p.session(cmd, c)
		if err != nil {
			return err
		}
		me, err := s.myself(cmd.Context(), file)
		if err != nil {
			return err
		}
		return p.print(output, 0, me, me.text)
	}
	answerFlag(command, &output, outputText, outputJSON, outputYAML)
	file.flag(command)
	return command
}

func (s *session) myself(ctx context.Context, file configuration) (*Myself, error) {
	info, err := s.connection.whoAmI(ctx)
	if err != nil {
		return nil, err
	}
	me := &Myself{Username: info.Username, UID: info.UID, Groups: info.Groups}
	store := snapshot.NewStore(nil)
	if err := s.putTeams(ctx, store); errors.Is(err, errForbidden) {
		me.teamsHidden = true
		me.Unread = append(me.Unread, "Teams, and Roles that one holds by a Team: ask an administrator of the cluster for the ClusterRole signoff-team-reader")
	} else if err != nil {
		return nil, err
	}
	if err := s.putAllRoles(ctx, store, me); err != nil {
		return nil, err
	}
	store.MarkSynced()
	store.Rebuild()
	who, current := identityOf(info), store.Current()
	me.Teams, me.Leads = current.TeamsOf(who), current.Led(who)
	me.Roles = rolesHeld(current, who)
	if file != "" {
		return me, me.configured(ctx, info, file)
	}
	me.Person, err = s.personOf(ctx, info.Username)
	return me, err
}

// configured says what a configuration says about the login.
func (m *Myself) configured(ctx context.Context, info *authenticationv1.UserInfo, file configuration) error {
	rules, err := file.rules()
	if err != nil {
		return err
	}
	who, err := rules.Stamp(ctx, info)
	if err != nil {
		return err
	}
	m.Person = who.Person
	_, m.NeverApproves = rules.MayVote(ctx, &who)
	return nil
}

// putAllRoles reads the Roles of all namespaces, or where one may not list those, of the catalogs that one sees.
func (s *session) putAllRoles(ctx context.Context, store *snapshot.Store, me *Myself) error {
	if _, err := s.putRoles(ctx, store, ""); !errors.Is(err, errForbidden) {
		return err
	}
	read := []string{}
	for _, namespace := range s.catalogs(ctx) {
		_, err := s.putRoles(ctx, store, namespace)
		switch {
		case err == nil:
			read = append(read, namespace)
		case !errors.Is(err, errForbidden):
			return err
		}
	}
	me.Unread = append(me.Unread, fmt.Sprintf("Roles in namespaces other than these: %s. Ask for the ClusterRole signoff-catalog-reader", orNone(read)))
	return nil
}

// catalogs are the namespaces of the Actions that one sees.
func (s *session) catalogs(ctx context.Context) []string {
	found, err := s.catalog(ctx)
	if err != nil {
		return nil
	}
	namespaces := map[string]bool{}
	for i := range found.Rows {
		namespaces[found.object(i).GetNamespace()] = true
	}
	return slices.Sorted(maps.Keys(namespaces))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// rolesHeld are the Roles that somebody is a member of, with the verbs that they give.
func rolesHeld(current *snapshot.Snapshot, who *v1alpha1.Identity) []MyRole {
	var held []MyRole
	for _, role := range current.AllRoles() {
		if !current.Is(who, &role.Object.Spec.Members) {
			continue
		}
		held = append(held, MyRole{Role: role.Object.Namespace + "/" + role.Object.Name, Verbs: verbsOf(current.Lineage(role).Permissions())})
	}
	slices.SortFunc(held, func(a, b MyRole) int { return strings.Compare(a.Role, b.Role) })
	return held
}

func verbsOf(permissions []*catalog.Permission) []string {
	var given []string
	for _, permission := range permissions {
		for _, verb := range permission.Verbs {
			given = append(given, string(verb))
		}
	}
	slices.Sort(given)
	return slices.Compact(given)
}

// personOf finds the person behind a login in what the webhook stamped: requests and votes of that login, in the namespace that is used.
func (s *session) personOf(ctx context.Context, username string) (string, error) {
	for _, look := range []struct {
		kind kind
		in   func(*unstructured.Unstructured, string) string
	}{{requests, personOfRequest}, {approvals, personOfVotes}} {
		found, err := s.list(ctx, look.kind, s.namespace, "")
		if errors.Is(err, errForbidden) {
			continue
		}
		if err != nil {
			return "", err
		}
		for i := range found.Rows {
			if person := look.in(found.object(i), username); person != "" {
				return person, nil
			}
		}
	}
	return "", nil
}

func personOfRequest(request *unstructured.Unstructured, username string) string {
	requester, _, _ := unstructured.NestedMap(request.Object, "spec", "requester")
	if person, ok := requester["person"].(string); ok && requester["username"] == username {
		return person
	}
	return ""
}

func personOfVotes(object *unstructured.Unstructured, username string) string {
	approval, err := typedAs[v1alpha1.Approval](object)
	if err != nil {
		return ""
	}
	for _, vote := range approval.Spec.Votes {
		if vote.Voter.Username == username && vote.Voter.Person != "" {
			return vote.Voter.Person
		}
	}
	return ""
}

// text shows it to people.
func (m *Myself) text() string {
	page := &page{}
	page.line("You are %s", loginText(m.Username, m.Groups))
	if m.Person != "" {
		page.line("Person: %s", m.Person)
	} else {
		page.line("Person: nobody can tell before you have asked or voted here, but with --configuration FILE; without a rule in the configuration it is your user name")
	}
	if m.NeverApproves != "" {
		page.line("Approves nothing, whatever Roles say: %s", m.NeverApproves)
	}
	if m.teamsHidden {
		page.line("Teams: you may not read them")
	} else {
		page.line("Teams: %s", orNone(m.Teams))
	}
	if len(m.Leads) > 0 {
		page.line("Leads: %s", orNone(m.Leads))
	}
	var held []string
	for _, role := range m.Roles {
		held = append(held, fmt.Sprintf("%s: %s", role.Role, strings.Join(role.Verbs, ", ")))
	}
	if len(held) == 0 {
		page.line("Roles: none")
	}
	page.list("Roles", held)
	page.list("Could not be read", m.Unread)
	return page.indented("")
}
