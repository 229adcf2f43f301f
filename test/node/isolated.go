package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

const (
	// stageVariable tells a process of ours which part it plays: the first in the namespaces, or the one that does the work.
	stageVariable = "SIGNOFF_NODE_STAGE"
	stageFirst    = "first"
	stageInside   = "inside"
	// cgroupVariable names the control group of all Pods.
	cgroupVariable = "SIGNOFF_NODE_CGROUP"
	// endTimeout is how long the process inside may take to end by itself.
	endTimeout = 30 * time.Second
)

// namespaces are those that the machine does not share with us.
const namespaces = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC

// Inside tells whether this process is inside, where a node can be started. A main function must ask First before.
func Inside() bool { return os.Getenv(stageVariable) == stageInside }

// First tells whether this process is the first one inside: then RunFirst is all it must do.
func First() bool { return os.Getenv(stageVariable) == stageFirst }

// Isolated runs this program again, with the same arguments, inside: in namespaces for processes, mounts and the network, in which files
// that are written to /run and /var are in memory. When it ends, or when this process is killed, everything in them ends. It gives the
// exit code.
func Isolated(ctx context.Context) (int, error) {
	// The child dies with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	groups, err := newGroups()
	if err != nil {
		return 1, err
	}
	command, err := again(ctx, stageFirst, cgroupVariable+"="+groups.name)
	if err != nil {
		return 1, err
	}
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = endTimeout + 5*time.Second
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: namespaces,
		Pdeathsig:  syscall.SIGKILL,
		// A group of its own keeps Ctrl-C away from it: we tell it.
		Setpgid: true,
	}
	err = command.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		// What was wrong, it has said. One that a signal ended has no code.
		return max(1, exit.ExitCode()), groups.remove()
	case err != nil:
		return 1, errors.Join(fmt.Errorf("failed to run in namespaces of its own: %w", err), groups.remove())
	}
	return 0, groups.remove()
}

// again makes a command of this program.
func again(ctx context.Context, stage string, environment ...string) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("failed to find this program: %w", err)
	}
	command := exec.CommandContext(ctx, program, os.Args[1:]...)
	command.Env = append(os.Environ(), append(environment, stageVariable+"="+stage)...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	return command, nil
}

// RunFirst prepares the namespaces, runs this program in them, and gives its exit code. It adopts processes whose parents have ended, as
// the first process of a namespace must, and the kernel ends them all when it ends.
func RunFirst() (int, error) {
	for _, part := range []func() error{isolateFiles, isolateSettings, isolateNetwork} {
		if err := part(); err != nil {
			return 1, err
		}
	}
	command, err := again(context.Background(), stageInside)
	if err != nil {
		return 1, err
	}
	if err := command.Start(); err != nil {
		return 1, fmt.Errorf("failed to start this program inside: %w", err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		for range signals {
			_ = command.Process.Signal(syscall.SIGTERM) // fails only when it has ended
		}
	}()
	return adopt(command.Process.Pid)
}

// adopt waits for children until the one with this id ends.
func adopt(pid int) (int, error) {
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 1, fmt.Errorf("failed to wait: %w", err)
		case ended == pid && status.Signaled():
			return 128 + int(status.Signal()), nil
		case ended == pid:
			return status.ExitStatus(), nil
		}
	}
}
