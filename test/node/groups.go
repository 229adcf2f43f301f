package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// hierarchies is where control groups are.
const hierarchies = "/sys/fs/cgroup"

// groups are the control groups of all Pods, one below each hierarchy. Namespaces do not end them, so that we remove them.
type groups struct {
	name string
	dirs []string
}

// groupPrefix begins the names of ours. The rest is the id of the process that made them.
const groupPrefix = "signoff-node-"

// newGroups makes them, and removes those of processes that were killed.
func newGroups() (*groups, error) {
	g := &groups{name: "/" + groupPrefix + strconv.Itoa(os.Getpid())}
	roots, err := groupRoots()
	if err != nil {
		return nil, err
	}
	for _, root := range roots {
		if err := removeOrphans(root, alive); err != nil {
			return nil, fmt.Errorf("failed to remove what a process that was killed has left: %w", err)
		}
		dir := filepath.Join(root, g.name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, errors.Join(fmt.Errorf("failed to make a control group: %w", err), g.remove())
		}
		g.dirs = append(g.dirs, dir)
	}
	return g, nil
}

// groupRoots gives the one hierarchy of the second version of control groups, or the many of the first.
func groupRoots() ([]string, error) {
	second, err := isSecondVersion(hierarchies)
	if err != nil || second {
		return []string{hierarchies}, err
	}
	entries, err := os.ReadDir(hierarchies)
	if err != nil {
		return nil, fmt.Errorf("failed to find the control groups: %w", err)
	}
	var roots []string
	for _, entry := range entries {
		// Links are second names of others.
		if dir := filepath.Join(hierarchies, entry.Name()); entry.IsDir() {
			roots = append(roots, dir)
		}
	}
	return roots, nil
}

func isSecondVersion(dir string) (bool, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return false, fmt.Errorf("failed to find the control groups in %s: %w", dir, err)
	}
	return stat.Type == unix.CGROUP2_SUPER_MAGIC, nil
}

// remove removes them with everything below. Their processes have been killed, which takes the kernel a moment.
func (g *groups) remove() error {
	var err error
	for range 50 {
		err = nil
		for _, dir := range g.dirs {
			err = errors.Join(err, removeTree(dir))
		}
		if err == nil {
			return nil
		}
		<-time.After(100 * time.Millisecond)
	}
	return fmt.Errorf("failed to remove the control groups: %w", err)
}

// removeOrphans removes the groups below dir whose processes are not alive any more.
func removeOrphans(dir string, alive func(pid int) bool) error {
	left, err := filepath.Glob(filepath.Join(dir, groupPrefix+"*"))
	if err != nil {
		return err
	}
	for _, group := range left {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(group), groupPrefix))
		if err != nil || alive(pid) {
			continue // not ours, or in use
		}
		if err := removeTree(group); err != nil {
			return err
		}
	}
	return nil
}

// alive tells whether there is such a process.
func alive(pid int) bool { return !errors.Is(unix.Kill(pid, 0), unix.ESRCH) }

// removeTree removes a group after those below it. What looks like files in them cannot be removed, and goes with them.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			err = errors.Join(err, removeTree(filepath.Join(dir, entry.Name())))
		}
	}
	if err != nil {
		return err
	}
	return os.Remove(dir)
}
