package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// packages are those of Debian that have the programs which the node starts and which are not built from Go modules.
var packages = []struct{ program, name string }{{"runc", "runc"}, {"nft", "nftables"}, {"ip", "iproute2"}, {"openssl", "openssl"}}

// capabilities are what root must be allowed here.
var capabilities = []struct {
	number int
	name   string
}{{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}, {unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {unix.CAP_MKNOD, "CAP_MKNOD"}}

// Require says everything that this machine lacks for a node, or nothing.
func Require(ctx context.Context) error {
	checks := []func() error{requireRoot, requireCapabilities, requirePrograms, requireOverlay, requireGroups}
	var all []error
	for _, check := range checks {
		all = append(all, check())
	}
	if err := errors.Join(all...); err != nil {
		return err
	}
	// Only a try tells what a container, or a setting of the machine, forbids.
	return requireNamespaces(ctx)
}

func requireRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("needs root: this is user " + strconv.Itoa(os.Geteuid()))
	}
	return nil
}

func requireCapabilities() error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return fmt.Errorf("cannot tell which capabilities this process has: %w", err)
	}
	if missing, err := missingCapabilities(string(status)); err != nil || len(missing) > 0 {
		return errors.Join(err, fmt.Errorf("needs the capabilities %s", strings.Join(missing, ", ")))
	}
	return nil
}

// missingCapabilities reads what the kernel says of a process.
func missingCapabilities(status string) ([]string, error) {
	for line := range strings.Lines(status) {
		value, is := strings.CutPrefix(line, "CapEff:")
		if !is {
			continue
		}
		has, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil {
			return nil, fmt.Errorf("cannot read %q: %w", line, err)
		}
		var missing []string
		for _, capability := range capabilities {
			if has&(1<<capability.number) == 0 {
				missing = append(missing, capability.name)
			}
		}
		return missing, nil
	}
	return nil, errors.New("the kernel does not say which capabilities this process has")
}

func requirePrograms() error {
	var programs, missing []string
	for _, p := range packages {
		if _, err := exec.LookPath(p.program); err != nil {
			programs, missing = append(programs, p.program), append(missing, p.name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("needs %s: apt-get install --no-install-recommends %s", strings.Join(programs, ", "), strings.Join(missing, " "))
	}
	return nil
}

func requireOverlay() error {
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return fmt.Errorf("cannot tell which file systems the kernel has: %w", err)
	}
	if !slices.Contains(strings.Fields(string(known)), "overlay") {
		return errors.New("needs overlayfs, which the kernel does not have (modprobe overlay)")
	}
	return nil
}

// requireGroups makes the groups of Isolated.
func requireGroups() error {
	g, err := newGroups()
	if err != nil {
		return fmt.Errorf("needs control groups that it may change: %w", err)
	}
	return g.remove()
}

// requireNamespaces makes those of Isolated, for a program that does nothing.
func requireNamespaces(ctx context.Context) error {
	command := exec.CommandContext(ctx, "true")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	if err := command.Run(); err != nil {
		return fmt.Errorf("needs namespaces of its own for mounts, processes and the network, which this machine does not give: %w", err)
	}
	return nil
}
