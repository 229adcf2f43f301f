package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// cancelOptions are the flags of `cancel`.
type cancelOptions struct {
	reason  string
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
		Args:    cobra.MinimumNArgs(1),
	}
	c := connect(command)
	command.RunE = func(cmd *cobra.Command, args []string) error { return p.runCancel(cmd, c, args, o) }
	command.ValidArgsFunction = p.completes(c, (*session).openRequests)
	command.Flags().StringVar(&o.reason, "reason", "", "why")
	o.outputs = outputFlags(command, "cancelled")
	return command
}

func (p *Program) runCancel(command *cobra.Command, c *connection, names []string, o *cancelOptions) error {
	if err := o.outputs.check(false); err != nil {
		return err
	}
	if o.reason == "" && p.asks() {
		var err error
		if o.reason, err = p.ask("reason: "); err != nil {
			return err
		}
	}
	if o.reason == "" {
		return errors.New("say why with --reason: others will read it")
	}
	s, err := p.session(command, c)
	if err != nil {
		return err
	}
	all := &worst{}
	for _, name := range names {
		name, _ = short(requests, name)
		all.of(p, s.namespace+"/"+name, s.cancelOne(command.Context(), name, o))
	}
	return all.end()
}

// writeCancellation asks the API server to end a request.
func (s *session) writeCancellation(ctx context.Context, name, reason string) (*unstructured.Unstructured, error) {
	body, err := json.Marshal(map[string]any{"spec": map[string]any{"cancellation": map[string]any{"reason": reason}}})
	if err != nil {
		return nil, fmt.Errorf("failed to write the cancellation: %w", err)
	}
	options := metav1.PatchOptions{FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict}
	return s.objects.Resource(resourceOf(requests)).Namespace(s.namespace).Patch(ctx, name, types.MergePatchType, body, options)
}

func (s *session) cancelOne(ctx context.Context, name string, o *cancelOptions) error {
	after, err := s.writeCancellation(ctx, name, o.reason)
	s.warn(s.connection)
	switch {
	case isMissing(err):
		return s.unread(ctx, err, requests, s.namespace, name)
	case err != nil:
		return refused(err)
	}
	return s.printObject(o.outputs, after, "%s")
}
