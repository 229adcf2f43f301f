// Command kubectl-signoff is the plugin `kubectl signoff`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	// Calendars need time zones, and not every machine has them.
	_ "time/tzdata"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/internal/cli"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	program := &cli.Program{
		IO:    genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
		Clock: clock.RealClock{},
	}
	return program.Run(ctx, os.Args[1:])
}
