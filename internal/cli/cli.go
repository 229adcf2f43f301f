// Package cli is `kubectl signoff`: what people try and find out before they ask, and how they ask, look and decide. Everything is done with
// the caller's own rights, by the same API as with plain kubectl.
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
)

// The exit codes. Scripts rely on them.
const (
	// exitYes says that all is well: allowed, permitted, passed.
	exitYes = 0
	// exitNo says that the answer is no: refused, not permitted, failed.
	exitNo = 1
	// exitError says that there is no answer.
	exitError = 2
	// exitDenied says that a request which was waited for was denied by an approver.
	exitDenied = 3
	// exitEnded says that a request which was waited for ended without success in another way: it failed, expired or was cancelled.
	exitEnded = 4
	// exitTimeout says that a request which was waited for is not over yet.
	exitTimeout = 5
)

// Program is the plugin. It is used once.
type Program struct {
	// IO is where it reads and writes.
	IO genericiooptions.IOStreams
	// Clock tells the time.
	Clock clock.PassiveClock

	// lines are what a person types.
	lines *bufio.Reader
}

var (
	// errNo ends a command whose answer is no, and has been given.
	errNo = errors.New("no")
	// errSaid ends a command without an answer, which has been said.
	errSaid = errors.New("said")
)

// Run runs the command that the arguments name, and gives the exit code.
func (p *Program) Run(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitYes
	case errors.Is(err, errNo):
		return exitNo
	case errors.Is(err, errSaid):
		return exitError
	}
	if known := (*ending)(nil); errors.As(err, &known) {
		if known.text != "" {
			p.say("%s", known.text)
		}
		return known.code
	}
	// The library indents what it suggests by tabs, which would be escaped.
	_, _ = fmt.Fprintln(p.IO.ErrOut, "error: "+safe(strings.TrimSpace(strings.ReplaceAll(err.Error(), "\n\t", "\n  "))))
	return exitError
}

// many says that a command takes as many arguments as one likes.
const many = -1

// takes checks how many arguments there are, and says which one is missing, with an example.
func takes(least, most int) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			wanted := strings.Fields(command.Use)[1:]
			return fmt.Errorf("%s is missing.  Such as: %s", strings.TrimSuffix(wanted[len(args)], "..."), exampleOf(command))
		case most != many && len(args) > most:
			return fmt.Errorf("%q is one argument too many.  Such as: %s", args[most], exampleOf(command))
		}
		return nil
	}
}

// exampleOf is the first command of the examples.
func exampleOf(command *cobra.Command) string {
	for line := range strings.Lines(command.Example) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "kubectl signoff "+command.Name()) || strings.HasPrefix(line, "kubectl signoff audit "+command.Name()) {
			return line
		}
	}
	return command.UseLine()
}

// group makes a command that only holds others say so when it is given a word that names none of them. The library would print help, and end well.
func group(command *cobra.Command) *cobra.Command {
	command.Args = cobra.ArbitraryArgs
	command.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
		cmd.SuggestionsMinimumDistance = 2 // as the library has it for the root
		if meant := cmd.SuggestionsFor(args[0]); len(meant) > 0 {
			text += "\n\nDid you mean this?\n\t" + strings.Join(meant, "\n\t")
		}
		return errors.New(text)
	}
	return command
}

func (p *Program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "kubectl-signoff",
		Short: "Ask, decide and look, and try policies before you ask",
		Long: `Ask for Actions and decide on what others ask for; see what waits for you and why; try policies and requests before you ask.

It does what kubectl can do as well, with your own rights and by the same API, and shows more: "request" makes an ActionRequest, "approve"
and "deny" write a vote. "test" needs no cluster, and "explain" asks by a dry run.`,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl signoff"},
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	// The commands for completion keep where they write when they are made.
	root.SetIn(p.IO.In)
	root.SetOut(p.IO.Out)
	root.SetErr(p.IO.ErrOut)
	root.AddCommand(p.actions(), p.request(), p.list(), p.show(), p.inbox(), p.approve(), p.deny(), p.withdraw(), p.cancel(), p.resolve(), p.wait(), p.whoami(), p.doctor())
	root.AddCommand(p.test(), p.explain(), p.canI(), p.whoCan(), p.audit(), p.mcp(), p.version())
	p.completion(root)
	return root
}
