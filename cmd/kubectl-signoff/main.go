// Command kubectl-signoff is the plugin `kubectl signoff`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	// Calendars need time zones, and not every machine has them.
	_ "time/tzdata"

	"github.com/go-logr/logr"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/internal/cli"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Whoever interrupts again wants to be gone, whatever still reads.
	context.AfterFunc(ctx, stop)
	// What libraries log is for operators; what people must know, the plugin says.
	klog.SetLogger(logr.Discard())
	program := &cli.Program{
		IO:    genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
		Clock: clock.RealClock{},
	}
	return program.Run(ctx, os.Args[1:])
}
