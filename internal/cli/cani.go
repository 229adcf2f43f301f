package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// canIOptions are the flags of `can-i`.
type canIOptions struct {
	quiet         bool
	configuration configuration
}

func (p *Program) canI() *cobra.Command {
	o := &canIOptions{}
	command := &cobra.Command{
		Use:   "can-i VERB NAMESPACE/ACTION",
		Short: "Find out whether a Role lets you do something with an Action",
		Long: `Finds out whether a Role lets you do something with an Action, and which one: request, approve, cancel, break-glass, request-on-behalf,
resolve or delegate. It reads the Action, the Roles beside it and the Teams that they name, with your own rights, also where --as asks about
somebody else. What rules then say to a request is for "explain" to tell.

Who counts as an agent, and which ServiceAccounts may approve, says the configuration of Signoff, which lies in no object of the cluster. Without
--configuration nobody is an agent and no ServiceAccount approves, as where nothing is configured.

The exit code is 0 for yes, also where a condition must hold, 1 for no, and 2 if there is no answer.`,
		Example: `  kubectl signoff can-i request platform/deploy-service

  # Somebody else
  kubectl signoff can-i approve platform/deploy-service --as bob --as-group security

  # In a script
  if kubectl signoff can-i -q request platform/restart; then …; fi`,
		Args: cobra.ExactArgs(2),
	}
	c := connect(command)
	command.ValidArgsFunction = c.completeQuestion
	command.Flags().Lookup("namespace").Hidden = true // the Action is named with its own
	command.RunE = func(cmd *cobra.Command, args []string) error { return p.runCanI(cmd.Context(), c, args, o) }
	o.configuration.flag(command)
	command.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "say nothing, and only give the exit code")
	return command
}

func (p *Program) runCanI(ctx context.Context, c *connection, args []string, o *canIOptions) error {
	q, err := questionOf(args)
	if err != nil {
		return err
	}
	rules, err := o.configuration.rules()
	if err != nil {
		return err
	}
	who, err := c.whoAmI(ctx)
	if err != nil {
		return err
	}
	v, err := c.look(ctx, q.action)
	if err != nil {
		return err
	}
	yes, lines := v.permitted(ctx, q, who, rules)
	lines = append(lines, o.proviso(q, who)...)
	if !o.quiet {
		err = p.answer(v, lines)
	}
	if err == nil && !yes {
		err = errNo
	}
	return err
}

// answer prints an answer, and what cannot be relied on.
func (p *Program) answer(v *view, lines []string) error {
	for _, text := range v.invalid {
		_, _ = fmt.Fprintln(p.IO.ErrOut, "warning: "+text)
	}
	return p.print(outputText, 0, nil, func() string { return strings.Join(lines, "\n") + "\n" })
}

// proviso says of an answer that it rests on a configuration which nobody named.
func (o *canIOptions) proviso(q *question, who *authenticationv1.UserInfo) []string {
	if _, isAccount := identity.ServiceAccount(who.Username); !isAccount || q.verb != v1alpha1.VerbApprove || o.configuration != "" {
		return nil
	}
	return []string{"  That is so where nothing is configured. If the configuration of Signoff names it, ask with --configuration FILE."}
}

// permitted answers the question, with the Roles and conditions that the answer rests on.
func (v *view) permitted(ctx context.Context, q *question, info *authenticationv1.UserInfo, rules *identity.Rules) (bool, []string) {
	who := &v1alpha1.Identity{Username: info.Username, UID: info.UID, Groups: info.Groups}
	if q.verb == v1alpha1.VerbApprove {
		if may, why := rules.MayVote(ctx, who); !may {
			return false, []string{"no: " + why}
		}
	}
	switch q.verb {
	case v1alpha1.VerbBreakGlass:
		who = gate.Commander(who)
	case v1alpha1.VerbApprove:
		who = gate.InPerson(who)
	case v1alpha1.VerbRequest, v1alpha1.VerbCancel:
	}
	granted := v.snapshot.Permissions(v.action, q.verb, who)
	if len(granted) == 0 {
		return false, []string{
			fmt.Sprintf("no: no Role in namespace %s gives %q on %s to %s", q.action.Namespace, q.verb, q.action.Name, loginText(info.Username, info.Groups)),
			fmt.Sprintf("  Who can: kubectl signoff who-can %s %s", q.verb, q.action),
		}
	}
	var lines []string
	if at := slices.IndexFunc(granted, func(p *catalog.Permission) bool { return p.When == nil }); at >= 0 {
		granted = granted[at : at+1]
	}
	for i, permission := range granted {
		lines = append(lines, yesText(i, conditionOf(permission), v.roleText(permission, who)))
	}
	if q.verb == v1alpha1.VerbApprove {
		lines = append(lines, "  A stage must name "+who.Username+" as well, and nobody approves what they asked for.")
	}
	return true, lines
}

// conditionOf is the condition of a permission, in the words of its author where there are some. Empty: none.
func conditionOf(permission *catalog.Permission) string {
	switch {
	case permission.When == nil:
		return ""
	case permission.Message != "":
		return permission.Message
	}
	return oneLine(permission.When.Source())
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func yesText(number int, demand, role string) string {
	switch {
	case demand == "":
		return fmt.Sprintf("yes (%s)", role)
	case number == 0:
		return fmt.Sprintf("yes, when: %s (%s)", demand, role)
	}
	return fmt.Sprintf("or when: %s (%s)", demand, role)
}

// roleText names the Role by which somebody holds a permission.
func (v *view) roleText(permission *catalog.Permission, who *v1alpha1.Identity) string {
	from := permission.Role.Object
	for _, holder := range v.snapshot.Holding(from.Namespace, from.Name) {
		if v.snapshot.Is(who, &holder.Object.Spec.Members) {
			return roleName(holder, from.Name)
		}
	}
	return "Role " + from.Namespace + "/" + from.Name
}

func roleName(holder *catalog.Role, from string) string {
	text := fmt.Sprintf("Role %s/%s", holder.Object.Namespace, holder.Object.Name)
	if holder.Object.Name != from {
		text += ", which inherits " + from
	}
	return text
}

// granting gives the permissions by which a Role gives a verb on the Action, those that it inherits included.
func (v *view) granting(q *question, role *catalog.Role) []*catalog.Permission {
	return slices.DeleteFunc(slices.Clone(v.snapshot.Lineage(role).Permissions()), func(p *catalog.Permission) bool {
		return !snapshot.Grants(p, v.action, q.verb)
	})
}
