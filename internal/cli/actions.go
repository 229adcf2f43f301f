package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli/typed"
	"github.com/signoff-dev/signoff/internal/visible"
)

// actionsOptions are the flags of `actions`.
type actionsOptions struct {
	all        bool
	everywhere *bool
	outputs    *outputs
}

func (p *Program) actions() *cobra.Command {
	o := &actionsOptions{}
	command := &cobra.Command{
		Use:   "actions [ACTION]",
		Short: "List what you can ask for",
		Long: `Lists the Actions that a Role lets you ask for, with their inputs, and whether approval is needed: never, sometimes or always. REQUEST says
whether you may: yes, a condition, or unknown where you may not read the Roles or Teams that say it. --all lists the others too.

With ACTION it shows one: what it is for, every input, and an example. It looks in all namespaces, or where you may not list those, in that
of your kubeconfig and in those that requests there name. Name one with -n: where you see no Action in it, those are listed that requests in
it name.`,
		Example: `  kubectl signoff actions
  kubectl signoff actions platform/deploy-service`,
		Args: takes(0, 1),
	}
	c := p.connect(command)
	command.ValidArgsFunction = p.completes(c, (*session).actionsSeen)
	command.RunE = func(cmd *cobra.Command, args []string) error { return p.runActions(cmd, c, args, o) }
	command.Flags().BoolVar(&o.all, "all", false, "also Actions that you may not ask for")
	o.everywhere = allNamespaces(command)
	o.outputs = outputFlags(command, "")
	return command
}

func (p *Program) runActions(command *cobra.Command, c *connection, args []string, o *actionsOptions) error {
	if err := o.outputs.check(true); err != nil {
		return err
	}
	s, err := p.session(command, c)
	if err != nil {
		return err
	}
	s.chosen = s.chosen && !*o.everywhere
	if len(args) > 0 {
		return s.showAction(command.Context(), args[0], o.outputs)
	}
	return s.listActions(command.Context(), o)
}

func (s *session) listActions(ctx context.Context, o *actionsOptions) error {
	find := s.catalog
	if s.chosen {
		find = s.catalogHere
	}
	found, err := find(ctx)
	if err != nil {
		return err
	}
	g, err := s.govern(ctx, found)
	if err != nil {
		return err
	}
	answers, err := requestColumn(found, g)
	if err != nil {
		return err
	}
	if !o.all {
		row := -1
		found.Rows = slices.DeleteFunc(found.Rows, func(metav1.TableRow) bool { row++; return answers[row] == mayNo })
	}
	for _, line := range g.blind() {
		s.say("note: %s", line)
	}
	if len(found.Rows) == 0 && o.outputs.forPeople() {
		s.say("you see nothing that you could ask for")
	}
	return s.printTable(o.outputs, found, true)
}

// catalogHere lists the Actions of the namespace that was named. Where one sees none there, those that requests in it name are what "request" finds.
func (s *session) catalogHere(ctx context.Context) (*table, error) {
	found, err := s.list(ctx, actions, s.namespace, "")
	if err != nil && !errors.Is(err, errForbidden) || err == nil && len(found.Rows) > 0 {
		return found, err
	}
	near, readable, failed := s.nearCatalogs(ctx)
	if failed != nil || !readable || len(near.Rows) == 0 {
		return found, err
	}
	s.say("note: you see no Action in namespace %s; these are where requests in it come from", s.namespace)
	return near, nil
}

// requestColumn adds a column that says whether one may ask, and gives its cells.
func requestColumn(found *table, g *governing) ([]string, error) {
	answers := make([]string, len(found.Rows))
	for i := range found.Rows {
		action, err := typedAs[v1alpha1.Action](found.object(i))
		if err != nil {
			return nil, err
		}
		answers[i] = g.mayRequest(action)
		found.Rows[i].Cells = append(found.Rows[i].Cells, answers[i])
	}
	if len(found.Rows) > 0 {
		found.ColumnDefinitions = append(slices.Clone(found.ColumnDefinitions), metav1.TableColumnDefinition{Name: "Request", Type: "string"})
	}
	return answers, nil
}

// showAction shows one Action.
func (s *session) showAction(ctx context.Context, name string, o *outputs) error {
	ref, err := s.find(ctx, name)
	if err != nil {
		return err
	}
	object, err := s.get(ctx, actions, ref.Namespace, ref.Name)
	if err != nil {
		return err
	}
	if !o.forPeople() {
		return s.printObject(o, object, "%s")
	}
	action, err := typedAs[v1alpha1.Action](object)
	if err != nil {
		return err
	}
	found := &table{Table: metav1.Table{Rows: []metav1.TableRow{{}}}}
	found.Rows[0].Object.Object = object
	g, err := s.govern(ctx, found)
	if err != nil {
		return err
	}
	lines := aboutAction(action, g.mayRequest(action))
	for i := range lines {
		lines[i] = visible.Escaped(lines[i])
	}
	return s.printLines(lines)
}

// aboutAction tells what one must know to ask for an Action.
func aboutAction(action *v1alpha1.Action, may string) []string {
	ref := action.Namespace + "/" + action.Name
	lines := append([]string{fmt.Sprintf("%s: %s", ref, action.Spec.Title)}, strings.FieldsFunc(action.Spec.Description, func(r rune) bool { return r == '\n' })...)
	lines = append(lines, "You may ask for it: "+may)
	if action.Status.Approval != "" {
		lines = append(lines, "Approval is needed: "+action.Status.Approval)
	}
	if ready := meta.FindStatusCondition(action.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Status != metav1.ConditionTrue {
		lines = append(lines, "Not ready: "+ready.Message)
	}
	if temporary := action.Spec.Temporary; temporary != nil {
		lines = append(lines, temporaryText(temporary))
	}
	example := "kubectl signoff request " + ref
	inputs := typed.Inputs(schemaOf(action).Structural())
	if len(inputs) > 0 {
		lines = append(lines, "Inputs:")
	}
	for i := range inputs {
		lines = append(lines, inputText(&inputs[i]))
		if inputs[i].Required {
			example += " " + inputs[i].Name + "=…"
		}
	}
	return append(lines, "Ask: "+example)
}

func temporaryText(temporary *v1alpha1.Temporary) string {
	text := fmt.Sprintf("It is temporary: --duration says for how long, at most %s", temporary.MaxDuration)
	if temporary.DefaultDuration != "" {
		text += fmt.Sprintf(" (default %s)", temporary.DefaultDuration)
	}
	return text
}

func inputText(input *typed.Input) string {
	text := fmt.Sprintf("  %s (%s)", input.Name, input.Kind)
	switch {
	case input.Required:
		text += ", required"
	case input.Default != "":
		text += ", default " + input.Default
	}
	if input.Description != "" {
		text += ": " + oneLine(input.Description)
	}
	return text
}
