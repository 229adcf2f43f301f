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
	output        string
	configuration configuration
}

func (p *Program) canI() *cobra.Command {
	o := &canIOptions{}
	command := &cobra.Command{
		Use:   "can-i VERB ACTION",
		Short: "Find out whether a Role lets you do something with an Action",
		Long: `Finds out whether a Role lets you do something with an Action, and which one: request, approve, cancel, break-glass, request-on-behalf,
resolve or delegate. It reads the Action, the Roles beside it and the Teams that they name, with your own rights, also where --as asks about
somebody else. What rules then say to a request is for "explain" to tell. ACTION is NAMESPACE/NAME, or the name alone where only one Action
that you may see has it.

Who counts as an agent, and which ServiceAccounts may approve, says the configuration of Signoff, which lies in no object of the cluster. Without
--configuration nobody is an agent and no ServiceAccount approves or resolves, as where nothing is configured.

The exit code is 0 for yes, also where a condition must hold, 1 for no, and 2 if there is no answer.`,
		Example: `  kubectl signoff can-i request platform/deploy-service

  # Somebody else
  kubectl signoff can-i approve platform/deploy-service --as bob --as-group security

  # In a script
  if kubectl signoff can-i -q request platform/restart; then …; fi`,
		Args: takes(2, 2),
	}
	c := p.connect(command)
	command.ValidArgsFunction = p.completes(c, (*session).question)
	command.Flags().Lookup("namespace").Hidden = true // the Action is named with its own
	command.RunE = func(cmd *cobra.Command, args []string) error { return p.runCanI(cmd, c, args, o) }
	o.configuration.flag(command)
	answerFlag(command, &o.output, outputText, outputJSON, outputYAML)
	command.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "say nothing, and only give the exit code")
	return command
}

func (p *Program) runCanI(command *cobra.Command, c *connection, args []string, o *canIOptions) error {
	if err := checkOutput(o.output, outputText, outputJSON, outputYAML); err != nil {
		return err
	}
	asking := p
	if o.quiet {
		asking = &Program{IO: silent(), Clock: p.Clock} // which Action a name stands for is not said either
	}
	q, err := asking.questionOf(command, c, args)
	if err != nil {
		return err
	}
	rules, err := o.configuration.rules()
	if err != nil {
		return err
	}
	ctx := command.Context()
	who, err := c.whoAmI(ctx)
	if err != nil {
		return err
	}
	v, err := c.look(ctx, q.action)
	if err != nil {
		return err
	}
	out := v.permitted(ctx, q, who, rules)
	out.Notes = append(out.Notes, o.proviso(out)...)
	if !o.quiet {
		err = p.answer(v, out, o.output)
	}
	if err == nil && !out.Allowed {
		err = errNo
	}
	return err
}

// answer prints an answer, and what cannot be relied on.
func (p *Program) answer(v *view, out *Permitted, output string) error {
	for _, text := range v.invalid {
		_, _ = fmt.Fprintln(p.IO.ErrOut, "warning: "+text)
	}
	return p.print(output, 0, out, out.text)
}

// Permitted says whether a Role lets somebody do something with an Action, for programs.
type Permitted struct {
	Verb   v1alpha1.Verb `json:"verb"`
	Action string        `json:"action"`
	// Requester is who was asked about.
	Requester Requester `json:"requester"`
	// Allowed is the answer. Where all permissions have a condition, one of these must hold as well.
	Allowed bool `json:"allowed"`
	// Reason says why not.
	Reason string `json:"reason,omitempty"`
	// Permissions are those that the answer rests on: one without a condition, or else all.
	Permissions []Permission `json:"permissions,omitempty"`
	// Notes say what else matters.
	Notes []string `json:"notes,omitempty"`
}

// Permission is what a Role gives.
type Permission struct {
	// Role is the Role that somebody is in, as "namespace/name".
	Role string `json:"role"`

	HeldPermission
}

// text shows the answer to people.
func (a *Permitted) text() string {
	var lines []string
	if !a.Allowed {
		lines = append(lines, "no: "+a.Reason)
	}
	for i := range a.Permissions {
		lines = append(lines, a.Permissions[i].text(i))
	}
	for _, note := range a.Notes {
		lines = append(lines, "  "+note)
	}
	return strings.Join(lines, "\n") + "\n"
}

func (h *Permission) text(number int) string {
	role := "Role " + h.Role
	if h.From != "" {
		role += ", which inherits " + h.From
	}
	switch demand := h.demand(); {
	case demand == "":
		return fmt.Sprintf("yes (%s)", role)
	case number == 0:
		return fmt.Sprintf("yes, when: %s (%s)", demand, role)
	default:
		return fmt.Sprintf("or when: %s (%s)", demand, role)
	}
}

// proviso says of an answer that it rests on a configuration which nobody named.
func (o *canIOptions) proviso(out *Permitted) []string {
	_, isAccount := identity.ServiceAccount(out.Requester.Username)
	// It could name the ServiceAccount as one that approves, or as an agent.
	named := out.Verb == v1alpha1.VerbApprove || out.Verb == v1alpha1.VerbResolve || out.Verb == v1alpha1.VerbBreakGlass && out.Allowed
	if !isAccount || !named || o.configuration != "" {
		return nil
	}
	return []string{"That is so where nothing is configured. If the configuration of Signoff names it, ask with --configuration FILE."}
}

// permitted answers the question, with the Roles and conditions that the answer rests on.
func (v *view) permitted(ctx context.Context, q *question, info *authenticationv1.UserInfo, rules *identity.Rules) *Permitted {
	who := &v1alpha1.Identity{Username: info.Username, UID: info.UID, Groups: info.Groups}
	out := &Permitted{Verb: q.verb, Action: q.action.String(), Requester: Requester{info.Username, info.Groups}}
	if out.Reason = gate.Barred(ctx, rules, q.verb, who); out.Reason != "" {
		return out
	}
	who = gate.CountedAs(q.verb, who)
	granted := v.snapshot.Permissions(v.action, q.verb, who)
	if len(granted) == 0 {
		out.Reason = fmt.Sprintf("no Role in namespace %s gives %q on %s to %s", q.action.Namespace, q.verb, q.action.Name, loginText(info.Username, info.Groups))
		out.Notes = []string{fmt.Sprintf("Who can: kubectl signoff who-can %s %s", q.verb, q.action)}
		return out
	}
	out.Allowed = true
	if at := slices.IndexFunc(granted, func(p *catalog.Permission) bool { return p.When == nil }); at >= 0 {
		granted = granted[at : at+1]
	}
	for _, permission := range granted {
		out.Permissions = append(out.Permissions, v.permissionOf(permission, who))
	}
	if q.verb == v1alpha1.VerbApprove {
		out.Notes = []string{"A stage must name " + who.Username + " as well, and nobody approves what they asked for."}
	}
	return out
}

// conditionOf is the condition of a permission, in the words of its author where there are some. Empty: none.
func conditionOf(permission *catalog.Permission) string {
	one := held(permission, permission.Role)
	return one.demand()
}

// demand is the condition, in the words of its author where there are some. Empty: none.
func (h *HeldPermission) demand() string {
	if h.When != "" && h.Message != "" {
		return h.Message
	}
	return oneLine(h.When)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// permissionOf names the Role by which somebody holds a permission.
func (v *view) permissionOf(permission *catalog.Permission, who *v1alpha1.Identity) Permission {
	by, from := permission.Role, permission.Role.Object
	for _, holder := range v.snapshot.Holding(from.Namespace, from.Name) {
		if v.snapshot.Is(who, &holder.Object.Spec.Members) {
			by = holder
			break
		}
	}
	return Permission{Role: by.Object.Namespace + "/" + by.Object.Name, HeldPermission: held(permission, by)}
}

// granting gives the permissions by which a Role gives a verb on the Action, those that it inherits included.
func (v *view) granting(q *question, role *catalog.Role) []*catalog.Permission {
	return slices.DeleteFunc(slices.Clone(v.snapshot.Lineage(role).Permissions()), func(p *catalog.Permission) bool {
		return !snapshot.Grants(p, v.action, q.verb)
	})
}
