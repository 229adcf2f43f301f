package env

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// PodAnnotation on a Pod says how its containers end, where Options.Nodes simulates them. Without it the containers of a Job
// succeed at once and all others run for ever.
const PodAnnotation = "test.signoff.dev/pod"

const (
	// PodFails as value of PodAnnotation makes the containers exit with code 1.
	PodFails = "fails"
	// PodRuns as value of PodAnnotation lets the containers of a Job run until the Pod is deleted.
	PodRuns = "runs"
)

const (
	nodeName = "simulated"
	kwokUser = "signoff-test-kwok"
)

// stages tell kwok how nodes and Pods behave.
//
//go:embed files/stages.yaml
var stages []byte

// kwokRole holds the rights of kwok, and their binding to kwokUser.
//
//go:embed files/kwok-role.yaml
var kwokRole []byte

// startNodes starts kube-scheduler and one simulated node.
func (c *Cluster) startNodes(ctx context.Context) error {
	if c.options.NodeAddress != "" {
		return c.startScheduler()
	}
	if !c.options.Nodes {
		return nil
	}
	if err := errors.Join(c.Apply(ctx, kwokRole), c.createNode(ctx)); err != nil {
		return err
	}
	return errors.Join(c.startScheduler(), c.startKwok())
}

func (c *Cluster) startScheduler() error {
	kubeconfig, err := c.ComponentKubeconfig("kube-scheduler", "system:kube-scheduler")
	if err != nil {
		return err
	}
	return c.Launch("kube-scheduler", "--kubeconfig="+kubeconfig, "--secure-port=0", "--leader-elect=false",
		"--kube-api-qps=500", "--kube-api-burst=1000")
}

func (c *Cluster) startKwok() error {
	kubeconfig, err := c.ComponentKubeconfig("kwok", kwokUser)
	if err != nil {
		return err
	}
	path := filepath.Join(c.Dir, "run", "stages.yaml")
	if err := os.WriteFile(path, stages, 0o600); err != nil {
		return fmt.Errorf("failed to write the stages of kwok: %w", err)
	}
	return c.Launch("kwok", "--kubeconfig="+kubeconfig, "--config="+path, "--manage-single-node="+nodeName,
		"--node-lease-duration-seconds=40", "--node-ip=10.0.0.1", "--cidr=10.0.0.1/24")
}

func (c *Cluster) createNode(ctx context.Context) error {
	clients, err := kubernetes.NewForConfig(c.Admin)
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	room := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("1000"),
		corev1.ResourceMemory: resource.MustParse("1Ti"),
		corev1.ResourcePods:   resource.MustParse("10000"),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: nodeName, Labels: map[string]string{corev1.LabelHostname: nodeName}},
		Status:     corev1.NodeStatus{Capacity: room, Allocatable: room},
	}
	if _, err := clients.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("failed to create node %q: %w", nodeName, err)
	}
	return nil
}

var (
	errNodeNotReady = errors.New("the simulated node is not ready yet")
	errNodeTainted  = errors.New("the simulated node is still tainted")
)

func nodeIsReady(ctx context.Context, clients kubernetes.Interface) error {
	node, err := clients.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if len(node.Spec.Taints) > 0 {
		return errNodeTainted
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return errNodeNotReady
}
