package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// kubectlCompletion is what kubectl runs to complete `kubectl signoff`, under the name kubectl_complete-signoff.
const kubectlCompletion = `#!/bin/sh
exec kubectl signoff __complete "$@"
`

// completion adds to the shells that the library knows the program by which kubectl completes plugins.
func (p *Program) completion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, command := range root.Commands() {
		if command.Name() != "completion" {
			continue
		}
		command.Long += `
kubectl completes "kubectl signoff" where a program called kubectl_complete-signoff is on the PATH: see the command kubectl.`
		command.Example = `  source <(kubectl signoff completion bash)`
		command.AddCommand(&cobra.Command{
			Use:   "kubectl",
			Short: "Print the program by which kubectl completes `kubectl signoff`",
			Long: `Prints the program by which kubectl completes "kubectl signoff", in every shell in which kubectl itself is completed. Put it on the PATH as
kubectl_complete-signoff.`,
			Example: `  kubectl signoff completion kubectl > ~/bin/kubectl_complete-signoff && chmod +x ~/bin/kubectl_complete-signoff`,
			Args:    cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				return p.print(outputText, 0, nil, func() string { return kubectlCompletion })
			},
		})
	}
}

// completeQuestion completes VERB NAMESPACE/ACTION. What cannot be read is not offered.
func (c *connection) completeQuestion(command *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	var offers []string
	switch len(args) {
	case 0:
		for _, verb := range verbs {
			offers = append(offers, string(verb))
		}
	case 1:
		offers = c.actionNames(command.Context())
	}
	offers = slices.DeleteFunc(offers, func(offer string) bool { return !strings.HasPrefix(offer, begun) })
	return offers, cobra.ShellCompDirectiveNoFileComp
}

// actionNames are the Actions that the caller may list.
func (c *connection) actionNames(ctx context.Context) []string {
	client, err := c.own()
	if err != nil {
		return nil
	}
	actions := &v1alpha1.ActionList{}
	if err := client.Get().Resource("actions").Do(ctx).Into(actions); err != nil {
		return nil
	}
	var names []string
	for i := range actions.Items {
		names = append(names, actions.Items[i].Namespace+"/"+actions.Items[i].Name)
	}
	return names
}

// completeRequest completes an Action, its inputs and, where the Action lists them, their values.
func (c *connection) completeRequest(command *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	var offers []string
	if len(args) == 0 {
		offers = c.actionNames(command.Context())
	}
	offers = slices.DeleteFunc(offers, func(offer string) bool { return !strings.HasPrefix(offer, begun) })
	return offers, cobra.ShellCompDirectiveNoFileComp
}

// completeRequests completes the names of requests.
func (c *connection) completeRequests(command *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}
