package env

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// keeper runs functions on one operating system thread that lives as long as the cluster. A child that asked to die with its
// parent dies with the *thread* that started it, and Go ends threads at will unless one is locked.
type keeper struct {
	work chan func()
	once sync.Once
}

func newKeeper() *keeper {
	k := &keeper{work: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for f := range k.work {
			f()
		}
	}()
	return k
}

// do runs f on the thread and returns its error.
func (k *keeper) do(f func() error) error {
	done := make(chan error, 1)
	k.work <- func() { done <- f() }
	return <-done
}

func (k *keeper) close() {
	k.once.Do(func() { close(k.work) })
}

// launcher writes a script that runs a binary, by its path or its name in Binaries, so that it is killed when the test process dies,
// however it dies, and returns the path of the script. Where setpriv (util-linux) does not exist, the binary runs without that safeguard.
func (c *Cluster) launcher(binary string) (string, error) {
	name := filepath.Base(binary)
	if !filepath.IsAbs(binary) {
		binary = filepath.Join(c.Binaries, binary)
	}
	setpriv, _ := exec.LookPath("setpriv") // empty when there is none
	if setpriv == "" {
		return binary, nil
	}
	path := filepath.Join(c.Dir, "run", name)
	script := fmt.Sprintf("#!/bin/sh\nexec %q --pdeathsig KILL -- %q \"$@\"\n", setpriv, binary)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		return "", fmt.Errorf("failed to write the launcher of %s: %w", name, err)
	}
	return path, nil
}

// component is a process beside etcd and the API server.
type component struct {
	name    string
	command *exec.Cmd
	done    chan struct{}
}

// Launch starts a binary, by its path or its name in Binaries, with its output in the logs folder. Stop stops it.
func (c *Cluster) Launch(binary string, args ...string) error {
	name := filepath.Base(binary)
	path, err := c.launcher(binary)
	if err != nil {
		return err
	}
	log, err := c.openLog(name)
	if err != nil {
		return err
	}
	p := &component{name: name, command: exec.Command(path, args...), done: make(chan struct{})}
	p.command.Stdout, p.command.Stderr = log, log
	// A group of its own keeps Ctrl-C away from it: Stop decides the order.
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.keeper.do(p.command.Start); err != nil {
		return fmt.Errorf("failed to start %s: %w", name, err)
	}
	c.components = append(c.components, p)
	go func() {
		defer close(p.done)
		_ = p.command.Wait() // the exit status is in the log, and a killed process is not an error here
	}()
	return nil
}

// openLog creates the log file of a process. Stop closes it.
func (c *Cluster) openLog(name string) (*os.File, error) {
	log, err := os.Create(filepath.Join(c.Dir, "logs", name+".log"))
	if err != nil {
		return nil, fmt.Errorf("failed to open the log of %s: %w", name, err)
	}
	c.logs = append(c.logs, log)
	return log, nil
}

// stop asks the process to end, and kills it when it has not ended in time.
func (p *component) stop(timeout time.Duration) {
	_ = p.command.Process.Signal(syscall.SIGTERM) // fails only when it has ended
	select {
	case <-p.done:
	case <-time.After(timeout):
		_ = p.command.Process.Kill()
		<-p.done
	}
}

// Exited names the components that ended although nobody stopped them.
func (c *Cluster) Exited() error {
	var ended []error
	for _, p := range c.components {
		select {
		case <-p.done:
			ended = append(ended, fmt.Errorf("%s ended: %s", p.name, p.command.ProcessState))
		default:
		}
	}
	return errors.Join(ended...)
}

// logTails returns the last lines of every log as one error, because the logs are gone after a failed start.
func (c *Cluster) logTails() error {
	const lines = 8
	paths, err := filepath.Glob(filepath.Join(c.Dir, "logs", "*.log"))
	if err != nil || c.Dir == "" {
		return err
	}
	var tails []error
	for _, path := range paths {
		content, err := os.ReadFile(path)
		all := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
		last := bytes.Join(all[max(0, len(all)-lines):], []byte("\n"))
		tails = append(tails, fmt.Errorf("end of %s:\n%s", filepath.Base(path), last), err)
	}
	return errors.Join(tails...)
}
