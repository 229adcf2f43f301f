// Command e2e installs the chart on a real node, lets people use it, and lets everything happen to it that happens to installations.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/signoff-dev/signoff/test/node"
)

// errDifferent says that something was not as expected; what, has been printed.
var errDifferent = errors.New("something was not as expected: the lines that begin with !! say what")

func main() {
	check := flag.Bool("check", false, "only say whether this machine can do it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code, err := run(ctx, *check)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

// run plays the part of this process: this program runs itself again, inside.
func run(ctx context.Context, check bool) (int, error) {
	log.SetLogger(logr.Discard())
	switch {
	case node.First():
		return node.RunFirst()
	case node.Inside():
		return 0, inside(ctx)
	}
	if err := node.Require(ctx); err != nil {
		return 0, fmt.Errorf("nothing was tested, because this machine cannot be a node:\n%w", err)
	}
	if check {
		return 0, nil
	}
	return node.Isolated(ctx)
}
