// Package node makes this machine the only node of a test cluster, on which real Pods run, inside namespaces that end with one process.
package node

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/signoff-dev/signoff/hack/assets"
	"github.com/signoff-dev/signoff/test/env"
)

const (
	// Address is where the API server and the kubelet listen, in a network that only the node has.
	Address = "192.0.2.10"
	// PauseImage is the image of which every Pod has a container that does nothing. It must be among the images.
	PauseImage = "localhost/pod:1"

	nodeName = "node"
	// pods are their addresses; network.conflist has them too.
	pods = "10.244.0.0/16"
	// startTimeout is generous: two cores start everything at once.
	startTimeout = 90 * time.Second
)

// files configure the programs of a node.
//
//go:embed files
var files embed.FS

// Options say what the node is made of.
type Options struct {
	// Root is the root of the repository.
	Root string
	// Images are archives, as `docker save` writes them, which Pods can use.
	Images []string
}

// node is what the files are filled with.
type node struct {
	Dir, Plugins, Cgroup, PauseImage string

	kubelet string
	images  []string
	cluster *env.Cluster
}

// Start starts containerd, the kubelet and kube-proxy, and returns when Pods can run. It must be called inside, see Isolated, and the
// cluster must have been started with Address. They end with the cluster.
func Start(ctx context.Context, cluster *env.Cluster, options *Options) error {
	n := &node{Dir: filepath.Join(cluster.Dir, "node"), Cgroup: os.Getenv(cgroupVariable), PauseImage: PauseImage, images: options.Images, cluster: cluster}
	var err error
	if n.kubelet, n.Plugins, err = assets.FindNode(options.Root); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{n.configure, n.startContainerd, n.importImages, n.startKubelet, n.startProxy, n.ready} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("failed to start the node: %w", err)
		}
	}
	return nil
}

// configure writes every file that a program of the node reads.
func (n *node) configure(context.Context) error {
	for _, dir := range []string{n.Dir, filepath.Join(n.Dir, "cni")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return fmt.Errorf("failed to make a folder: %w", err)
		}
	}
	return errors.Join(
		n.write("containerd.toml", "containerd.toml"),
		n.write("kubelet.yaml", "kubelet.yaml"),
		n.write("network.conflist", "cni/network.conflist"),
		os.WriteFile(filepath.Join(n.Dir, "client-ca.crt"), n.cluster.WebhookClientCA(), 0o600),
	)
}

// write fills one of our files.
func (n *node) write(name, path string) error {
	text, err := template.New(name).Option("missingkey=error").ParseFS(files, "files/"+name)
	if err != nil {
		return fmt.Errorf("failed to read %s: %w", name, err)
	}
	var out bytes.Buffer
	if err := text.Execute(&out, n); err != nil {
		return fmt.Errorf("failed to fill %s: %w", name, err)
	}
	return os.WriteFile(filepath.Join(n.Dir, path), out.Bytes(), 0o600)
}

// startContainerd lets it find the program that it starts for each Pod beside itself.
func (n *node) startContainerd(ctx context.Context) error {
	if err := os.Setenv("PATH", n.Plugins+":"+os.Getenv("PATH")); err != nil {
		return fmt.Errorf("failed to set PATH: %w", err)
	}
	if err := n.cluster.Launch(filepath.Join(n.Plugins, "containerd"), "--config="+filepath.Join(n.Dir, "containerd.toml")); err != nil {
		return err
	}
	return n.until(ctx, "containerd answers", func(ctx context.Context) error { return n.ctr(ctx, "version") })
}

func (n *node) importImages(ctx context.Context) error {
	for _, image := range n.images {
		if err := n.ctr(ctx, "images", "import", image); err != nil {
			return err
		}
	}
	return nil
}

// ctr runs the client of containerd, in the namespace in which the kubelet looks.
func (n *node) ctr(ctx context.Context, args ...string) error {
	args = append([]string{"--address=" + filepath.Join(n.Dir, "containerd.sock"), "--namespace=k8s.io"}, args...)
	if out, err := exec.CommandContext(ctx, filepath.Join(n.Plugins, "ctr"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("failed to run ctr %s: %w: %s", args[2], err, out)
	}
	return nil
}

func (n *node) startKubelet(ctx context.Context) error {
	// Who asks the kubelet for logs is the API server, with the certificate that it shows everybody.
	if err := n.cluster.Grant(ctx, "system:kubelet-api-admin", "", env.ToUser(env.WebhookClientName)); err != nil {
		return err
	}
	kubeconfig, err := n.cluster.ComponentKubeconfig("kubelet", "system:node:"+nodeName, "system:nodes")
	if err != nil {
		return err
	}
	return n.cluster.Launch(filepath.Join(n.kubelet, "kubelet"),
		"--config="+filepath.Join(n.Dir, "kubelet.yaml"), "--kubeconfig="+kubeconfig, "--root-dir="+filepath.Join(n.Dir, "kubelet"),
		"--cert-dir="+filepath.Join(n.Dir, "kubelet-pki"), "--hostname-override="+nodeName, "--node-ip="+Address)
}

func (n *node) startProxy(context.Context) error {
	kubeconfig, err := n.cluster.ComponentKubeconfig("kube-proxy", "system:kube-proxy")
	if err != nil {
		return err
	}
	return n.cluster.Launch(filepath.Join(n.kubelet, "kube-proxy"), "--kubeconfig="+kubeconfig, "--hostname-override="+nodeName,
		"--proxy-mode=nftables", "--cluster-cidr="+pods,
		// These are settings of the whole machine, and not ours to change.
		"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0")
}

func (n *node) ready(ctx context.Context) error {
	clients, err := kubernetes.NewForConfig(n.cluster.Admin)
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	return n.until(ctx, "the node is ready", func(ctx context.Context) error {
		node, err := clients.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		return isReady(node)
	})
}

func isReady(node *corev1.Node) error {
	if len(node.Spec.Taints) > 0 {
		return fmt.Errorf("it has taints: %v", node.Spec.Taints)
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
			return errors.New(condition.Message)
		}
		if condition.Type == corev1.NodeReady {
			return nil
		}
	}
	return errors.New("it does not say whether it is ready")
}

// until waits for what must happen, and ends early when a program has ended.
func (n *node) until(ctx context.Context, what string, done func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		if err := n.cluster.Exited(); err != nil {
			return false, err
		}
		last = done(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("failed to wait until %s: %w", what, errors.Join(err, last))
	}
	return nil
}
