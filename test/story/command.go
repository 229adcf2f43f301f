package story

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// Answer is what a command did.
type Answer struct {
	// Stdout and Stderr are what it printed.
	Stdout, Stderr string
	// Exit is its exit code.
	Exit int
}

// killAfter is how long a stopped command may take before its output is no longer waited for.
const killAfter = 2 * time.Second

// run gives the command line to a shell. The error says that it could not run, or did not end in time.
func (p *Player) run(ctx context.Context, person, command string) (*Answer, error) {
	kubeconfig, ok := p.Kubeconfigs[person]
	if !ok {
		return nil, fmt.Errorf("there are no credentials for %q", person)
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	shell := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	shell.Dir, shell.Stdout, shell.Stderr = p.Dir, &stdout, &stderr
	shell.Env = append(slices.Clone(p.Environment), "KUBECONFIG="+kubeconfig)
	// The shell leads a group of its own: Ctrl-C does not reach it by itself, and what it started ends with it.
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	shell.Cancel = func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
	shell.WaitDelay = killAfter
	err := shell.Run()
	answer := &Answer{Stdout: stdout.String(), Stderr: stderr.String(), Exit: shell.ProcessState.ExitCode()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return answer, fmt.Errorf("did not end in time: %w", context.Cause(ctx))
	case err != nil && !errors.As(err, &exit):
		return nil, fmt.Errorf("failed to run the command: %w", err)
	}
	return answer, nil
}
