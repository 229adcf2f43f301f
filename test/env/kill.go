package env

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

const apiServerBinary = "kube-apiserver"

// KillAPIServer kills the API server without a warning, as a machine that fails does, starts it again on the same data, and returns when it is ready.
// One call at a time.
func (c *Cluster) KillAPIServer(ctx context.Context) error {
	found, err := c.findAPIServer()
	if err != nil {
		return err
	}
	if err := syscall.Kill(found.pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("failed to kill the API server: %w", err)
	}
	if err := wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, startTimeout, true, func(context.Context) (bool, error) {
		return syscall.Kill(found.pid, 0) != nil, nil
	}); err != nil {
		return fmt.Errorf("the API server did not die: %w", err)
	}
	c.components = slices.DeleteFunc(c.components, func(p *component) bool { return p.name == apiServerBinary })
	if err := c.Launch(apiServerBinary, found.args[1:]...); err != nil {
		return err
	}
	clients, err := kubernetes.NewForConfig(c.Admin)
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		return clients.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil, nil
	})
}

// process is a running process, and how it was started.
type process struct {
	pid  int
	args []string
}

// mentioning lists the processes whose arguments contain the text.
func mentioning(text string) ([]process, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, fmt.Errorf("failed to list processes: %w", err)
	}
	var found []process
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(content), text) { // a process may end while we look
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, fmt.Errorf("failed to read which process %s is of: %w", path, err)
		}
		found = append(found, process{pid, strings.Split(strings.TrimSuffix(string(content), "\x00"), "\x00")})
	}
	return found, nil
}

// findAPIServer finds the process of the API server, which envtest does not name, and with what arguments it was started.
func (c *Cluster) findAPIServer() (*process, error) {
	own, err := mentioning(c.Dir + "/")
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(c.Binaries, apiServerBinary)
	for i := range own {
		if own[i].args[0] == binary {
			return &own[i], nil
		}
	}
	return nil, fmt.Errorf("there is no process of the API server with data in %s", c.Dir)
}
