package podrunner

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	coordinationv1 "k8s.io/client-go/applyconfigurations/coordination/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/signoff-dev/signoff/test/env"
)

// manifests hold the rights of the node, and the policy that sends Pods to it.
//
//go:embed files/node.yaml
var manifests string

const (
	beatInterval  = 10 * time.Second
	leaseSeconds  = 40
	policyTimeout = 30 * time.Second
	askAgain      = 50 * time.Millisecond
)

// register makes the node known, and waits until Pods are sent to it.
func (n *Node) register(ctx context.Context, cluster *env.Cluster) error {
	images, err := json.Marshal(slices.Sorted(maps.Keys(n.options.Images)))
	if err != nil {
		return fmt.Errorf("failed to list images: %w", err)
	}
	filled := strings.NewReplacer("IMAGES", strings.ReplaceAll(string(images), `"`, "'"), "NODE", Name).Replace(manifests)
	if err := cluster.Apply(ctx, []byte(filled)); err != nil {
		return err
	}
	if err := n.join(ctx); err != nil {
		return err
	}
	return n.awaitPolicy(ctx, cluster)
}

// join creates the node. The scheduler sends it nothing.
func (n *Node) join(ctx context.Context) error {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: Name, Labels: map[string]string{corev1.LabelHostname: Name}},
		Spec:       corev1.NodeSpec{Unschedulable: true},
	}
	create := func(ctx context.Context) (bool, error) { // its rights are seen a moment after they were given
		_, err := n.clients.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
		return err == nil, nil
	}
	if err := wait.PollUntilContextTimeout(ctx, askAgain, policyTimeout, true, create); err != nil {
		return fmt.Errorf("failed to create node %q: %w", Name, err)
	}
	address, ok := n.server.Listener.Addr().(*net.TCPAddr)
	if !ok {
		return errors.New("the node does not listen on TCP")
	}
	room := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("16Gi"), corev1.ResourcePods: resource.MustParse("100")}
	now := metav1.Now()
	patch, err := json.Marshal(map[string]any{"status": corev1.NodeStatus{
		Capacity: room, Allocatable: room,
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address.IP.String()}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(address.Port)}},
		Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Started", Message: "Pods run as processes",
			LastHeartbeatTime: now, LastTransitionTime: now,
		}},
	}})
	if err != nil {
		return fmt.Errorf("failed to write the status of the node: %w", err)
	}
	if _, err := n.clients.CoreV1().Nodes().Patch(ctx, Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		return fmt.Errorf("failed to tell the status of the node: %w", err)
	}
	return nil
}

// awaitPolicy waits until the API server sends Pods here, which it does a moment after the policy was written.
func (n *Node) awaitPolicy(ctx context.Context, cluster *env.Cluster) error {
	admin, err := kubernetes.NewForConfig(cluster.Admin)
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "where-to"}}
	for image := range n.options.Images {
		pod.Spec.Containers = []corev1.Container{{Name: "any", Image: image}}
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, askAgain, policyTimeout, true, func(ctx context.Context) (bool, error) {
		var made *corev1.Pod
		made, last = admin.CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return last == nil && made.Spec.NodeName == Name, nil
	})
	if err != nil {
		return fmt.Errorf("failed to see Pods sent to the node: %w", errors.Join(err, last))
	}
	return nil
}

// beat says that the node is alive, or Pods would be moved away from it.
func (n *Node) beat(ctx context.Context) {
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		lease := coordinationv1.Lease(Name, corev1.NamespaceNodeLease).WithSpec(coordinationv1.LeaseSpec().
			WithHolderIdentity(Name).WithLeaseDurationSeconds(leaseSeconds).WithRenewTime(metav1.NowMicro()))
		// The next beat makes good for one that is lost.
		_, _ = n.clients.CoordinationV1().Leases(corev1.NamespaceNodeLease).Apply(ctx, lease, metav1.ApplyOptions{FieldManager: Name, Force: true})
	}, beatInterval)
}
