package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/identity"
)

func (p *Program) whoCan() *cobra.Command {
	output := ""
	command := &cobra.Command{
		Use:   "who-can VERB ACTION",
		Short: "List the Roles that let people do something with an Action",
		Long: `Lists the Roles that let people do something with an Action: request, approve, cancel, break-glass, request-on-behalf, resolve or delegate. It
reads the Action, the Roles beside it and the Teams that they name, with your own rights. Members of groups are known to the identity provider
only. ACTION is NAMESPACE/NAME, or the name alone where only one Action that you may see has it.`,
		Example: `  kubectl signoff who-can approve platform/deploy-service

  # With the people in the Teams
  kubectl signoff who-can request platform/deploy-service -o wide`,
		Args: takes(2, 2),
	}
	c := p.connect(command)
	command.ValidArgsFunction = p.completes(c, (*session).question)
	command.Flags().Lookup("namespace").Hidden = true // the Action is named with its own
	command.RunE = func(cmd *cobra.Command, args []string) error { return p.runWhoCan(cmd, c, args, output) }
	answerFlag(command, &output, "", outputWide, outputJSON, outputYAML)
	return command
}

// Holders are those who can do something with an Action, for programs.
type Holders struct {
	Verb   v1alpha1.Verb `json:"verb"`
	Action string        `json:"action"`
	Roles  []Holder      `json:"roles"`
	// Notes say which members do not count all the same, where the Roles name such.
	Notes []string `json:"notes,omitempty"`
}

// Holder is a Role whose members can.
type Holder struct {
	// Role is the name of the Role, in the namespace of the Action.
	Role string `json:"role"`
	// Members are as the Role names them.
	Members v1alpha1.Subjects `json:"members"`
	// People are the users whom members names, those in Teams and below included.
	People []string `json:"people,omitempty"`
	// OpenEnded says that members names groups as well, whose members only the identity provider knows.
	OpenEnded bool `json:"openEnded,omitempty"`
	// Always says that one permission has no condition.
	Always bool `json:"always,omitempty"`
	// Permissions are those that give the verb.
	Permissions []HeldPermission `json:"permissions"`
}

// HeldPermission is a permission that gives the verb.
type HeldPermission struct {
	// From is the Role that the permission is inherited from. Unset: it is the Role's own.
	From string `json:"from,omitempty"`
	// When is the condition. Unset: none.
	When string `json:"when,omitempty"`
	// Message says what the condition demands.
	Message string `json:"message,omitempty"`
}

func (p *Program) runWhoCan(command *cobra.Command, c *connection, args []string, output string) error {
	if err := checkOutput(output, "", outputWide, outputJSON, outputYAML); err != nil {
		return err
	}
	q, err := p.questionOf(command, c, args)
	if err != nil {
		return err
	}
	ctx := command.Context()
	v, err := c.look(ctx, q.action)
	if err != nil {
		return err
	}
	for _, text := range v.invalid {
		_, _ = fmt.Fprintln(p.IO.ErrOut, "warning: "+text)
	}
	holders := v.holders(q)
	return p.print(output, 0, holders, func() string { return holders.table(output == outputWide) })
}

func (v *view) holders(q *question) *Holders {
	out := &Holders{Verb: q.verb, Action: q.action.String(), Roles: []Holder{}}
	for _, role := range v.snapshot.Granting(v.action, q.verb) {
		holder := Holder{Role: role.Object.Name, Members: role.Object.Spec.Members}
		holder.People, holder.OpenEnded = v.snapshot.PeopleOf(&role.Object.Spec.Members)
		for _, permission := range v.granting(q, role) {
			holder.Always = holder.Always || permission.When == nil
			holder.Permissions = append(holder.Permissions, held(permission, role))
		}
		out.Roles = append(out.Roles, holder)
	}
	out.Notes = out.provisos()
	return out
}

// provisos say which of the members that Roles name themselves do not count for the verb.
func (h *Holders) provisos() []string {
	groups, accounts := false, false
	for i := range h.Roles {
		members := &h.Roles[i].Members
		groups = groups || slices.ContainsFunc(members.Groups, identity.IsSystem)
		accounts = accounts || len(members.ServiceAccounts) > 0
	}
	var notes []string
	add := func(holds bool, note string) {
		if holds {
			notes = append(notes, note)
		}
	}
	switch h.Verb {
	case v1alpha1.VerbApprove, v1alpha1.VerbResolve:
		add(groups, byNoGroup)
		add(accounts, "A ServiceAccount counts only where the configuration of Signoff names it (approvers.serviceAccounts).")
	case v1alpha1.VerbDelegate:
		add(groups, byNoGroup)
		add(accounts, "No ServiceAccount counts: only people let others vote for them.")
	case v1alpha1.VerbBreakGlass:
		add(groups, "A ServiceAccount counts by its own name only, not by a group.")
	default:
	}
	return notes
}

const byNoGroup = "Nobody counts by a group of Kubernetes (system:…)."

func held(permission *catalog.Permission, by *catalog.Role) HeldPermission {
	out := HeldPermission{Message: permission.Message}
	if permission.Role.Object.Name != by.Object.Name {
		out.From = permission.Role.Object.Name
	}
	if permission.When != nil {
		out.When = permission.When.Source()
	}
	return out
}

// table shows the Roles to people.
func (h *Holders) table(wide bool) string {
	if len(h.Roles) == 0 {
		return fmt.Sprintf("nobody: no Role in namespace %s gives %q on it\n", strings.Split(h.Action, "/")[0], h.Verb)
	}
	text := &strings.Builder{}
	table := printers.GetNewTabWriter(text)
	_, _ = fmt.Fprintln(table, "ROLE\tMEMBERS\tCONDITION")
	for i := range h.Roles {
		holder := &h.Roles[i]
		members := gate.Members(&holder.Members)
		if wide {
			members = holder.peopleText()
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", holder.Role, members, holder.condition())
	}
	// The writer below cannot fail.
	_ = table.Flush()
	for _, note := range h.Notes {
		_, _ = fmt.Fprintln(text, note)
	}
	return text.String()
}

// maxPeople is how many people are shown of a Role before the rest is counted.
const maxPeople = 20

// peopleText names the people in a Role, and the groups and ServiceAccounts.
func (h *Holder) peopleText() string {
	people := h.People
	if len(people) > maxPeople {
		people = append(people[:maxPeople:maxPeople], fmt.Sprintf("%d more", len(h.People)-maxPeople))
	}
	rest := gate.Members(&v1alpha1.Subjects{Groups: h.Members.Groups, ServiceAccounts: h.Members.ServiceAccounts})
	if rest == "" && h.OpenEnded {
		rest = "members of groups"
	}
	parts := slices.Clone(people)
	if rest != "" {
		parts = append(parts, rest)
	}
	if len(parts) == 0 {
		return "nobody"
	}
	return strings.Join(parts, ", ")
}

// condition shows what must hold.
func (h *Holder) condition() string {
	if h.Always {
		return "-"
	}
	var texts []string
	for i := range h.Permissions {
		text := h.Permissions[i].Message
		if text == "" {
			text = oneLine(h.Permissions[i].When)
		}
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "; or ")
}
