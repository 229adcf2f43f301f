package podrunner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// run starts the process, whose output goes to the file, and gives its exit code.
func (p *process) run(ctx context.Context, log string) (int, error) {
	if len(p.command) == 0 || p.command[0][0] != '/' {
		return 0, fmt.Errorf("the command %q must begin with an absolute path", p.command)
	}
	output, err := os.Create(log)
	if err != nil {
		return 0, fmt.Errorf("failed to make a log: %w", err)
	}
	defer func() { _ = output.Close() }()
	cmd := exec.CommandContext(ctx, p.command[0], p.command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = cmp.Or(p.dir, "/"), p.environment, output, output
	cmd.SysProcAttr = p.isolated()
	// It leads a group of its own, so that what it started ends with it.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = p.grace
	// A process that shall die with its parent dies with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("failed to start %s: %w", p.command[0], err)
	}
	err = cmd.Wait()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // fails where nothing is left
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && ctx.Err() == nil {
		return 0, fmt.Errorf("failed to wait for %s: %w", p.command[0], err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

// isolated gives the process its own root directory. Whoever is not root may do that in a user namespace, where the machine allows those.
func (p *process) isolated() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Chroot: p.root, Setpgid: true, Pdeathsig: syscall.SIGKILL,
		Credential: &syscall.Credential{Uid: uint32(p.user), Gid: uint32(p.user), NoSetGroups: true},
	}
	if os.Geteuid() == 0 {
		attr.Credential.NoSetGroups = false
		return attr
	}
	attr.Cloneflags = syscall.CLONE_NEWUSER
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: p.user, HostID: os.Geteuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: p.user, HostID: os.Getegid(), Size: 1}}
	return attr
}
