package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/signoff-dev/signoff/internal/cli/agent"
)

func (p *Program) mcp() *cobra.Command {
	command := &cobra.Command{
		Use:   "mcp",
		Short: "Let an agent ask, over the Model Context Protocol",
		Long: `Serves an agent over the Model Context Protocol, on the standard input and output: it can list and describe Actions, find out what would be
decided, ask, wait and cancel. It cannot approve: there is no tool for that.

It acts as whoever the kubeconfig says, with nobody's rights but theirs. Give the agent an identity of its own. One that could approve is not
served: neither at the start nor, should it change meanwhile, when it asks or cancels. --catalog says where Actions and Roles are, to be looked
at; without, the namespaces that requests name are. Where no Role can be read, a note says so.

The exit code is 0 if the agent ended it, 1 if the identity is not served, and 2 if there is no answer.`,
		Example: `  kubectl signoff mcp --kubeconfig /etc/agent/kubeconfig -n payments --catalog platform`,
		Args:    takes(0, 0),
	}
	c := p.connect(command)
	for _, name := range []string{"as", "as-group", "as-uid"} {
		command.Flags().Lookup(name).Hidden = true // an agent asks as itself
	}
	var catalogs []string
	command.Flags().StringSliceVar(&catalogs, "catalog", nil, "a namespace in which Actions are that the agent asks for; may be given several times")
	_ = command.RegisterFlagCompletionFunc("catalog", p.completes(c, (*session).someNamespaces))
	command.RunE = func(cmd *cobra.Command, _ []string) error { return p.runMCP(cmd.Context(), c, catalogs) }
	return command
}

func (p *Program) runMCP(ctx context.Context, c *connection, catalogs []string) error {
	namespace, err := c.namespace()
	if err != nil {
		return err
	}
	d := &desk{flags: c.flags, clock: p.Clock, namespace: namespace, catalogs: catalogs, notes: p.IO.ErrOut}
	who, err := d.servable(ctx)
	if err != nil {
		return err
	}
	server, err := agent.NewServer(d, who, moduleVersion())
	if err != nil {
		return err
	}
	err = server.Run(ctx, agent.Lines(p.IO.In, p.IO.Out))
	if err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
		return fmt.Errorf("failed to talk to the agent: %w", err)
	}
	return nil
}

// servable gives the name of whoever asks, unless they could approve.
func (d *desk) servable(ctx context.Context) (string, error) {
	config, err := d.flags.ToRESTConfig()
	if err != nil {
		return "", fmt.Errorf("failed to find the cluster: %w", err)
	}
	if config.Impersonate.UserName != "" {
		return "", errors.New("an agent asks as itself: leave out --as, also in the kubeconfig, and give it an identity of its own")
	}
	s, err := d.session("")
	if err != nil {
		return "", err
	}
	who, err := s.connection.whoAmI(ctx)
	if err != nil {
		return "", err
	}
	able, err := s.mayApproveAnywhere(ctx)
	switch {
	case errors.Is(err, errForbidden):
		// No tool decides, and Signoff itself lets no agent approve: whoever starts it is told what could not be looked at.
		_, _ = fmt.Fprintf(d.notes, "note: it cannot be told whether %s could approve: %v.\n", who.Username, err)
	case err != nil:
		return "", fmt.Errorf("failed to find out whether %s could approve, so it is not served: %w", who.Username, err)
	case able != "":
		return "", &ending{exitNo, fmt.Sprintf("refused: %s could approve what agents ask for: %s.\n"+
			"  Give the agent an identity of its own that cannot: see docs/guides/agents.md.", who.Username, able)}
	}
	return who.Username, nil
}

// lookTimeout is how long it may take at most to look in all namespaces before an agent is served.
const lookTimeout = time.Minute

// mayApproveAnywhere says by what whoever asks could approve in any namespace. To run out of time is an error: nobody is served on half of the answer.
func (s *session) mayApproveAnywhere(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	namespaces, err := s.namespaces(ctx)
	if err != nil {
		return "", err
	}
	return s.mayApprove(ctx, namespaces)
}

// silent is where nobody reads: the answer is all that an agent is told.
func silent() genericiooptions.IOStreams {
	return genericiooptions.IOStreams{In: nothing{}, Out: io.Discard, ErrOut: io.Discard}
}

type nothing struct{}

// Read implements io.Reader.
func (nothing) Read([]byte) (int, error) { return 0, io.EOF }
