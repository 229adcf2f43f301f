package cli

import (
	"context"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// cancelOptions are the flags of `cancel`.
type cancelOptions struct {
	reason  string
	dryRun  bool
	outputs *outputs
}

func (p *Program) cancel() *cobra.Command {
	o := &cancelOptions{}
	command := &cobra.Command{
		Use:   "cancel REQUEST...",
		Short: "Cancel requests",
		Long: `Cancels requests: what has not started never will, and what is lent for a time is taken back now. A cancellation is final. Say why with
--reason; on a terminal you are asked.

The exit code is 0 if every cancellation was recorded, 1 if one was refused, and 2 if one got no answer.`,
		Example: `  kubectl signoff cancel -n payments checkout-1-42 --reason "not needed any more"`,
		Args:    takes(1, many),
	}
	c := p.connect(command)
	command.RunE = func(cmd *cobra.Command, args []string) error { return p.runCancel(cmd, c, args, o) }
	command.ValidArgsFunction = p.completes(c, (*session).openRequests)
	command.Flags().StringVar(&o.reason, "reason", "", "why")
	dryRunFlag(command, &o.dryRun)
	o.outputs = outputFlags(command, "cancelled")
	return command
}

func (p *Program) runCancel(command *cobra.Command, c *connection, words []string, o *cancelOptions) error {
	if err := o.outputs.check(false); err != nil {
		return err
	}
	var err error
	if o.reason, err = p.words(command.Context(), o.reason, "reason: ", "say why with --reason: others will read it"); err != nil {
		return err
	}
	s, err := p.session(command, c)
	if err != nil {
		return err
	}
	names, err := s.allNamed(words, requests)
	if err != nil {
		return err
	}
	all := &worst{}
	for _, name := range names {
		all.of(p, name.String(), s.cancelOne(command.Context(), name, o))
	}
	return all.end()
}

// writeCancellation asks the API server to end a request.
func (s *session) writeCancellation(ctx context.Context, namespace, name, reason string, try bool) (*unstructured.Unstructured, error) {
	return patchSpec(ctx, s.objects, requests, namespace, name, "cancellation", map[string]any{"reason": reason}, try)
}

func (s *session) cancelOne(ctx context.Context, name *named, o *cancelOptions) error {
	after, err := s.writeCancellation(ctx, name.namespace, name.name, o.reason, o.dryRun)
	return s.printRequest(ctx, name, after, err, o.outputs, o.dryRun)
}
