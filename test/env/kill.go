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
	pid, args, err := c.findAPIServer()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("failed to kill the API server: %w", err)
	}
	if err := wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, startTimeout, true, func(context.Context) (bool, error) {
		return syscall.Kill(pid, 0) != nil, nil
	}); err != nil {
		return fmt.Errorf("the API server did not die: %w", err)
	}
	c.components = slices.DeleteFunc(c.components, func(p *component) bool { return p.name == apiServerBinary })
	if err := c.Launch(apiServerBinary, args...); err != nil {
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

// findAPIServer finds the process of the API server, which envtest does not name, and with what arguments it was started.
func (c *Cluster) findAPIServer() (pid int, args []string, err error) {
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, nil, fmt.Errorf("failed to list processes: %w", err)
	}
	binary := filepath.Join(c.Binaries, apiServerBinary)
	for _, path := range paths {
		content, _ := os.ReadFile(path) // empty where the process has ended meanwhile
		words := strings.Split(strings.TrimSuffix(string(content), "\x00"), "\x00")
		if words[0] != binary || !slices.ContainsFunc(words, func(word string) bool { return strings.Contains(word, c.Dir+"/") }) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		return pid, words[1:], err
	}
	return 0, nil, fmt.Errorf("there is no process of the API server with data in %s", c.Dir)
}
