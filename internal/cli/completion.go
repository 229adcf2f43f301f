package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli/typed"
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

// offers give what a word may become, after the words before it.
type offers func(s *session, ctx context.Context, before []string, begun string) []string

// completes makes a completion of offers. What cannot be read is not offered, and nothing is said about it.
func (p *Program) completes(c *connection, of offers) cobra.CompletionFunc {
	return func(command *cobra.Command, before []string, begun string) ([]string, cobra.ShellCompDirective) {
		quiet := &Program{IO: genericiooptions.NewTestIOStreamsDiscard(), Clock: p.Clock}
		s, err := quiet.session(command, c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found := slices.DeleteFunc(of(s, command.Context(), before, begun), func(offer string) bool { return !strings.HasPrefix(offer, begun) })
		if slices.ContainsFunc(found, func(offer string) bool { return strings.HasSuffix(offer, "=") }) {
			return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// showable are requests, and Approvals as approval/NAME.
func (s *session) showable(ctx context.Context, before []string, begun string) []string {
	const prefix = "approval/"
	switch {
	case len(before) > 0:
		return nil
	case !strings.HasPrefix(begun, prefix):
		return s.namesOf(ctx, requests, "")
	}
	names := s.namesOf(ctx, approvals, "")
	for i := range names {
		names[i] = prefix + names[i]
	}
	return names
}

// openRequests are the requests that are not over.
func (s *session) openRequests(ctx context.Context, before []string, _ string) []string {
	return without(s.namesOf(ctx, requests, "status.outcome="), before)
}

// allRequests are the requests, whether they are over or not.
func (s *session) allRequests(ctx context.Context, _ []string, _ string) []string {
	return s.namesOf(ctx, requests, "")
}

// open are the Approvals that are open.
func (s *session) open(ctx context.Context, before []string, _ string) []string {
	return without(s.namesOf(ctx, approvals, "status.state="+string(v1alpha1.ApprovalOpen)), before)
}

// actionsSeen are the Actions that one may see.
func (s *session) actionsSeen(ctx context.Context, before []string, _ string) []string {
	if len(before) > 0 {
		return nil
	}
	catalog, err := s.catalog(ctx)
	if err != nil {
		return nil
	}
	var names []string
	for i := range catalog.Rows {
		names = append(names, catalog.object(i).GetNamespace()+"/"+catalog.object(i).GetName())
	}
	return names
}

// inputsLeft are an Action, then its inputs that are not given yet and, where the Action lists them, their values.
func (s *session) inputsLeft(ctx context.Context, before []string, begun string) []string {
	if len(before) == 0 {
		return s.actionsSeen(ctx, before, begun)
	}
	ref, err := s.find(ctx, before[0])
	if err != nil {
		return nil
	}
	known, err := s.inputsOf(ctx, ref)
	if err != nil {
		return nil
	}
	schema := known.Structural()
	var found []string
	if name, _, ok := strings.Cut(begun, "="); ok {
		for _, choice := range typed.Choices(name, schema) {
			found = append(found, name+"="+choice)
		}
		return found
	}
	for _, name := range typed.Names(schema) {
		if !slices.ContainsFunc(before, func(word string) bool { return strings.HasPrefix(word, name+"=") }) {
			found = append(found, name+"=")
		}
	}
	return found
}

// namesOf are the names of objects in the namespace that is used.
func (s *session) namesOf(ctx context.Context, k kind, selector string) []string {
	list, err := s.list(ctx, k, s.namespace, selector)
	if err != nil {
		return nil
	}
	var names []string
	for i := range list.Rows {
		names = append(names, list.object(i).GetName())
	}
	return names
}

func without(names, used []string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(used, name) })
}
