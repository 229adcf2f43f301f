package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// terraform runs the program on a copy of the module.
type terraform struct {
	program, module, work string
	// variables are what it sees besides those of the runner.
	variables []string
}

// grace is how long the program has to bring its state in order after it was asked to end.
const grace = 20 * time.Second

func (t *terraform) folder() string { return filepath.Join(t.work, "module") }

func (t *terraform) planFile() string { return filepath.Join(t.work, "plan") }

// run gives what the program prints and its exit code. The error says that it could not run.
func (t *terraform) run(ctx context.Context, args ...string) (out, problem string, code int, err error) {
	cmd := exec.CommandContext(ctx, t.program, args...) //nolint:gosec // whoever writes the Job says what runs
	var stdout, stderr bytes.Buffer
	// What it says is in the log of the Job, too, but for what may hold secrets.
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.folder(), &stdout, io.MultiWriter(&stderr, os.Stderr)
	cmd.Env = append(append(os.Environ(), t.variables...), "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1", "HOME="+t.work, "TMPDIR="+t.work, "TF_CLI_CONFIG_FILE="+os.DevNull)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = grace
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && ctx.Err() == nil {
		err = nil
	}
	if err != nil {
		return "", "", 0, fmt.Errorf("failed to run %s %s: %w", t.program, args[0], errors.Join(context.Cause(ctx), err))
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), nil
}

// must is run where every exit code but zero is a failure.
func (t *terraform) must(ctx context.Context, args ...string) (string, error) {
	out, problem, code, err := t.run(ctx, args...)
	if err == nil && code != 0 {
		err = fmt.Errorf("%s %s failed: %s", t.program, args[0], plain(problem))
	}
	return out, err
}

// plain is what the program says of a problem, without the frame around it.
func plain(problem string) string {
	var words []string
	for line := range strings.Lines(problem) {
		words = append(words, strings.Fields(strings.Trim(line, "╷│╵ \n"))...)
	}
	return strings.TrimSuffix(cut(strings.Join(words, " "), maxProblem), ".")
}

// override makes the program ask us for its state, whatever the module says.
const override = "terraform {\n  backend \"http\" {}\n}\n"

// init copies the module, which may be read-only, and lets the program get what it needs.
func (t *terraform) init(ctx context.Context) error {
	if err := os.CopyFS(t.folder(), os.DirFS(t.module)); err != nil {
		return fmt.Errorf("failed to copy the module: %w", err)
	}
	if err := os.WriteFile(filepath.Join(t.folder(), "signoff_override.tf"), []byte(override), 0o600); err != nil {
		return fmt.Errorf("failed to say where the state is: %w", err)
	}
	_, err := t.must(ctx, "init", "-input=false", "-no-color")
	return err
}
