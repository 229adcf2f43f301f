package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
)

// listOptions are the flags of `list`.
type listOptions struct {
	everywhere, all, mine bool
	action                string
	outputs               *outputs
}

func (p *Program) list() *cobra.Command {
	o := &listOptions{}
	command := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List requests that are not over",
		Long: `Lists requests that are not over, with the columns of kubectl get: what each waits for, and who asked. --all shows those that are over as
well, and --mine only those that you asked for with this login.`,
		Example: `  kubectl signoff list -n payments
  kubectl signoff list -A --mine --all`,
		Args: takes(0, 0),
	}
	c := p.connect(command)
	command.RunE = func(cmd *cobra.Command, _ []string) error { return p.runList(cmd, c, o) }
	command.Flags().BoolVarP(&o.everywhere, "all-namespaces", "A", false, "in all namespaces")
	command.Flags().BoolVar(&o.all, "all", false, "also those that are over")
	command.Flags().BoolVar(&o.mine, "mine", false, "only those that you asked for")
	command.Flags().StringVar(&o.action, "action", "", "only those for this Action: NAMESPACE/NAME, or a name")
	_ = command.RegisterFlagCompletionFunc("action", p.completes(c, (*session).anyAction))
	o.outputs = outputFlags(command, "")
	return command
}

func (p *Program) runList(command *cobra.Command, c *connection, o *listOptions) error {
	if err := o.outputs.check(true); err != nil {
		return err
	}
	catalog, name, err := o.asked()
	if err != nil {
		return err
	}
	s, err := p.session(command, c)
	if err != nil {
		return err
	}
	ctx, namespace := command.Context(), s.namespace
	if o.everywhere {
		namespace = ""
	}
	found, err := s.list(ctx, requests, namespace, o.selector(name))
	if err != nil {
		return err
	}
	if catalog != "" {
		found.keep(func(request *unstructured.Unstructured) bool { return catalogOf(request) == catalog })
	}
	if o.mine {
		if err := s.keepMine(ctx, found); err != nil {
			return err
		}
	}
	if len(found.Rows) == 0 && o.outputs.forPeople() {
		p.say("%s", o.nothing(namespace))
	}
	return p.printTable(o.outputs, found, o.everywhere)
}

// asked reads which Action is selected. No namespace: that of any.
func (o *listOptions) asked() (namespace, name string, err error) {
	word := actionWord(o.action)
	before, after, full := strings.Cut(word, "/")
	switch {
	case !full:
		return "", word, nil
	case before == "" || after == "" || strings.Contains(after, "/"):
		return "", "", fmt.Errorf("failed to read --action %q: name the Action as NAMESPACE/NAME or NAME", o.action)
	}
	return before, after, nil
}

// catalogOf is the namespace of the Action that a request asks for.
func catalogOf(request *unstructured.Unstructured) string {
	namespace, _, _ := unstructured.NestedString(request.Object, "spec", "actionRef", "namespace")
	return namespace
}

func (o *listOptions) selector(action string) string {
	selected := fields.Set{}
	if !o.all {
		selected["status.outcome"] = ""
	}
	if action != "" {
		selected["spec.actionRef.name"] = action
	}
	return selected.String()
}

func (o *listOptions) nothing(namespace string) string {
	text := "there is no request"
	if !o.all {
		text = "no request is open"
	}
	if namespace != "" {
		text += " in namespace " + namespace
	}
	if o.action != "" {
		text += " for Action " + actionWord(o.action)
	}
	if o.mine {
		text += " that you asked for"
	}
	return text
}

// keepMine drops what others asked for.
func (s *session) keepMine(ctx context.Context, found *table) error {
	who, err := s.connection.whoAmI(ctx)
	if err != nil {
		return err
	}
	found.keep(func(request *unstructured.Unstructured) bool {
		name, _, _ := unstructured.NestedString(request.Object, "spec", "requester", "username")
		return name == who.Username
	})
	return nil
}
