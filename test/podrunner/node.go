// Package podrunner is a node that runs Pods as processes of this machine, without containers: enough for the Jobs of an example to run their real
// programs with the real API server.
//
// An image is a folder of programs that need nothing else. A Pod gets a copy of it as its root directory, with its volumes as folders in it, its
// environment, and a token of its ServiceAccount; its one container runs there as the user of its security context. The node reports how it
// ends, with its termination message, and serves its log.
//
// What it does not do: it pulls nothing, and knows no second container, no probes, no limits and no restarts. Volumes are written once, when the
// Pod starts. Processes see those of the machine and its network; what shall not be writable is so by its owner only. What a Pod wants
// beyond that fails it, with a message.
package podrunner

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/test/env"
)

// Name is the name of the node.
const Name = "real"

// Image is what an image name stands for.
type Image struct {
	// Dir is a folder with all that the programs need, as it is in the image.
	Dir string
	// Entrypoint is what runs where a container has no command.
	Entrypoint []string
}

// Options say what a node has.
type Options struct {
	// Dir keeps what Pods write and say. It must lie on the file system of the folders of images.
	Dir string
	// Images are what Pods can run, by name. All other Pods run elsewhere.
	Images map[string]Image
}

// Node runs Pods until it is stopped.
type Node struct {
	options Options
	api     *rest.Config
	clients kubernetes.Interface
	server  *httptest.Server
	stop    context.CancelFunc
	work    sync.WaitGroup

	mu      sync.Mutex
	running map[types.UID]context.CancelFunc
	logs    map[string]string // file, by namespace/name/container
}

// Start makes the node known, and returns once Pods with its images are sent to it.
func Start(ctx context.Context, cluster *env.Cluster, options Options) (*Node, error) {
	n := &Node{options: options, running: map[types.UID]context.CancelFunc{}, logs: map[string]string{}}
	if err := n.start(ctx, cluster); err != nil {
		n.Stop()
		return nil, fmt.Errorf("failed to start the node: %w", err)
	}
	return n, nil
}

func (n *Node) start(ctx context.Context, cluster *env.Cluster) (err error) {
	for _, dir := range []string{n.roots(), n.logDir()} {
		// Pods run as other users, who must get to their root directories.
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return fmt.Errorf("failed to make a folder for Pods: %w", err)
		}
	}
	if n.api, err = cluster.User("signoff-test-node"); err != nil {
		return err
	}
	if n.clients, err = kubernetes.NewForConfig(n.api); err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	n.server = n.serve()
	if err := n.register(ctx, cluster); err != nil {
		return err
	}
	// It outlives the start.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	n.stop = stop
	n.work.Go(func() { n.beat(running) })
	return n.follow(running)
}

// Stop ends all Pods and the node. It may be called more than once.
func (n *Node) Stop() {
	if n.stop != nil {
		n.stop()
	}
	n.work.Wait()
	if n.server != nil {
		n.server.Close()
	}
}

func (n *Node) roots() string { return filepath.Join(n.options.Dir, "roots") }

func (n *Node) logDir() string { return filepath.Join(n.options.Dir, "logs") }
