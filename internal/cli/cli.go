// Package cli is `kubectl signoff`: what people try and find out before they ask.
package cli

import (
	"context"
	"errors"
	"fmt"

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
)

// Program is the plugin. It is used once.
type Program struct {
	// IO is where it reads and writes.
	IO genericiooptions.IOStreams
	// Clock tells the time.
	Clock clock.PassiveClock
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
	_, _ = fmt.Fprintln(p.IO.ErrOut, "error: "+err.Error())
	return exitError
}

func (p *Program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "kubectl-signoff",
		Short: "Try policies and requests before you ask",
		Long: `Try policies and requests before you ask, and find out who may do what.

Nothing here changes anything: "test" needs no cluster, "explain" asks it by a dry run, "can-i" and "who-can" only read, and "audit" verifies
what was written.`,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl signoff"},
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	// The commands for completion keep where they write when they are made.
	root.SetIn(p.IO.In)
	root.SetOut(p.IO.Out)
	root.SetErr(p.IO.ErrOut)
	root.AddCommand(p.test(), p.explain(), p.canI(), p.whoCan(), p.audit(), p.version())
	p.completion(root)
	return root
}
