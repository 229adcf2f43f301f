// Command build makes the programs that the repository needs from Go modules, once, and shows how far it is.
//
//	go run ./hack/build set NAME [PROGRAM…]       builds the missing programs of a set and prints their folder
//	go run ./hack/build step TITLE COMMAND ARG…   runs a command that is silent for long, and shows that it is alive
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/signoff-dev/signoff/hack/assets"
)

var errUsage = errors.New("usage: build set NAME [PROGRAM…], or: build step TITLE COMMAND ARG…")

func main() {
	// Ctrl-C ends the running compiler first; nothing half-built is left, because programs are moved into place.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() > 0 {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) >= 2 && args[0] == "set":
		return runSet(ctx, args[1], args[2:])
	case len(args) >= 3 && args[0] == "step":
		return runStep(ctx, args[1], args[2], args[3:])
	}
	return errUsage
}

// runSet prints the folder on standard output, where a Makefile picks it up; all else goes to standard error.
func runSet(ctx context.Context, name string, programs []string) error {
	root, err := assets.Root()
	if err != nil {
		return err
	}
	if name == assets.ControlPlane.Name && os.Getenv(assets.EnvDirectory) != "" {
		dir, err := assets.FindControlPlane(root)
		if err != nil {
			return err
		}
		fmt.Println(dir)
		return nil
	}
	set, err := assets.Find(name)
	if err != nil {
		return err
	}
	dir, err := set.Directory(root)
	if err != nil {
		return err
	}
	if len(programs) > 0 {
		if set, err = set.Only(programs); err != nil {
			return err
		}
	}
	if err := build(ctx, set, root, dir); err != nil {
		return err
	}
	fmt.Println(dir)
	return nil
}

// runStep passes the output of the command through.
func runStep(ctx context.Context, title, command string, args []string) error {
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	watch := startWatch(title)
	defer watch.stop()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s failed: %w", title, err)
	}
	return nil
}
