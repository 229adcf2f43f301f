package cli

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

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
		group(command).AddCommand(&cobra.Command{
			Use:   "kubectl",
			Short: "Print the program by which kubectl completes `kubectl signoff`",
			Long: `Prints the program by which kubectl completes "kubectl signoff", in every shell in which kubectl itself is completed. Put it on the PATH as
kubectl_complete-signoff.`,
			Example: `  kubectl signoff completion kubectl > ~/bin/kubectl_complete-signoff && chmod +x ~/bin/kubectl_complete-signoff`,
			Args:    takes(0, 0),
			RunE: func(*cobra.Command, []string) error {
				return p.print(outputText, 0, nil, func() string { return kubectlCompletion })
			},
		})
	}
}

// completeConnection completes the flags by which a cluster is found. Without, a shell offers files.
func (p *Program) completeConnection(command *cobra.Command, c *connection) {
	for flag, of := range map[string]offers{"namespace": (*session).someNamespaces, "context": (*session).contexts} {
		// It fails only for a flag that does not exist.
		_ = command.RegisterFlagCompletionFunc(flag, p.completes(c, of))
	}
	for _, flag := range []string{"as", "as-group", "as-uid"} {
		_ = command.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
}

// someNamespaces are the namespaces that one may list, or else those that the kubeconfig names.
func (s *session) someNamespaces(ctx context.Context, _ []string, _ string) []string {
	names := []string{s.namespace}
	list, err := s.objects.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).List(ctx, metav1.ListOptions{})
	if err != nil {
		list = &unstructured.UnstructuredList{}
		for _, known := range s.kubeconfig().Contexts {
			names = append(names, known.Namespace)
		}
	}
	for i := range list.Items {
		names = append(names, list.Items[i].GetName())
	}
	slices.Sort(names)
	return without(slices.Compact(names), []string{""})
}

// contexts are those of the kubeconfig.
func (s *session) contexts(context.Context, []string, string) []string {
	return slices.Sorted(maps.Keys(s.kubeconfig().Contexts))
}

// kubeconfig is what the files say that the connection is made from. What cannot be read is empty.
func (s *session) kubeconfig() *clientcmdapi.Config {
	raw, err := s.connection.flags.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return clientcmdapi.NewConfig()
	}
	return &raw
}

// among makes a completion of words that are known.
func among(words ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return offered(words, begun)
	}
}

// offered gives those words that begin as what was typed. After "=" something follows.
func offered(words []string, begun string) ([]string, cobra.ShellCompDirective) {
	found := slices.DeleteFunc(slices.Clone(words), func(word string) bool { return !strings.HasPrefix(word, begun) })
	if slices.ContainsFunc(found, func(word string) bool { return strings.HasSuffix(word, "=") }) {
		return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// question is a verb, and then an Action, as "request" offers it.
func (s *session) question(ctx context.Context, before []string, begun string) []string {
	var words []string
	switch len(before) {
	case 0:
		for _, verb := range verbs {
			words = append(words, string(verb))
		}
	case 1:
		words = s.actionsSeen(ctx, nil, begun)
	}
	return words
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
		return offered(of(s, command.Context(), before, begun), begun)
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

// anyAction are the Actions that one may see, for a flag: the words before it are about something else.
func (s *session) anyAction(ctx context.Context, _ []string, begun string) []string {
	return s.actionsSeen(ctx, nil, begun)
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
