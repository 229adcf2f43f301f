package podrunner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// follow watches the Pods of the node.
func (n *Node) follow(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(n.clients, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", Name).String()
	}))
	informer := factory.Core().V1().Pods().Informer()
	seen := func(object any) {
		if pod, ok := object.(*corev1.Pod); ok {
			n.look(ctx, pod.DeepCopy())
		}
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    seen,
		UpdateFunc: func(_, object any) { seen(object) },
		DeleteFunc: n.gone,
	}); err != nil {
		return fmt.Errorf("failed to follow Pods: %w", err)
	}
	n.work.Go(func() { informer.RunWithContext(ctx) })
	return nil
}

// look starts a Pod that is new, and ends one that somebody deletes.
func (n *Node) look(ctx context.Context, pod *corev1.Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	cancel, running := n.running[pod.UID]
	switch {
	case pod.DeletionTimestamp != nil && running:
		cancel()
	case pod.DeletionTimestamp != nil:
		n.work.Go(func() { n.remove(ctx, pod) })
	case pod.Status.Phase == corev1.PodPending && !running:
		own, cancel := context.WithCancel(ctx)
		n.running[pod.UID] = cancel
		n.work.Go(func() { n.live(ctx, own, pod) })
	}
}

// gone ends a Pod that is no longer there.
func (n *Node) gone(object any) {
	if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = unknown.Obj
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	n.forgetLog(pod)
	n.mu.Lock()
	defer n.mu.Unlock()
	if cancel, running := n.running[pod.UID]; running {
		cancel()
	}
}

// live is the life of a Pod: own ends when the Pod shall, and ctx when the node does.
func (n *Node) live(ctx, own context.Context, pod *corev1.Pod) {
	started := metav1.Now()
	ended, err := n.run(own, pod)
	if err != nil {
		ended = &corev1.ContainerStateTerminated{ExitCode: 128, Reason: "CannotRun", Message: err.Error()}
	}
	ended.StartedAt, ended.FinishedAt = started, metav1.Now()
	phase := corev1.PodSucceeded
	if ended.ExitCode != 0 {
		phase = corev1.PodFailed
	}
	n.tell(ctx, pod, phase, corev1.ContainerState{Terminated: ended})
	n.mu.Lock()
	deleted := own.Err() != nil && ctx.Err() == nil
	n.running[pod.UID]()
	delete(n.running, pod.UID)
	n.mu.Unlock()
	if deleted {
		n.remove(ctx, pod)
	}
}

// run runs the container of a Pod to its end.
func (n *Node) run(ctx context.Context, pod *corev1.Pod) (_ *corev1.ContainerStateTerminated, err error) {
	if err := supported(pod); err != nil {
		return nil, err
	}
	container := &pod.Spec.Containers[0]
	root := filepath.Join(n.roots(), string(pod.UID))
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	image := n.options.Images[container.Image]
	p := &process{root: root, user: userOf(pod), grace: graceOf(pod), dir: container.WorkingDir, command: commandOf(container, image)}
	if p.environment, err = n.environment(ctx, pod); err != nil {
		return nil, err
	}
	if err := n.furnish(ctx, pod, image, root, p.user); err != nil {
		return nil, err
	}
	log := filepath.Join(n.logDir(), string(pod.UID))
	n.keepLog(pod, log)
	n.tell(ctx, pod, corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}})
	exit, err := p.run(ctx, log)
	if err != nil {
		return nil, err
	}
	ended := &corev1.ContainerStateTerminated{ExitCode: int32(exit), Reason: "Completed", Message: lastWords(root, container)}
	if exit != 0 {
		ended.Reason = "Error"
	}
	return ended, nil
}

// tell writes how a Pod is doing. It is told again until it is stored or the Pod is gone.
func (n *Node) tell(ctx context.Context, pod *corev1.Pod, phase corev1.PodPhase, state corev1.ContainerState) {
	container := &pod.Spec.Containers[0]
	running := state.Running != nil
	ready := metav1.ConditionFalse
	if running {
		ready = metav1.ConditionTrue
	}
	now := metav1.Now()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": corev1.PodStatus{
		Phase: phase, StartTime: &now,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionStatus(ready), LastTransitionTime: now}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: container.Name, Image: container.Image, ImageID: container.Image, State: state, Ready: running, Started: &running,
		}},
	}})
	if err != nil {
		return // it is made of values that can be written
	}
	for ctx.Err() == nil {
		_, err := n.clients.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return
		}
		pause(ctx)
	}
}

// remove takes a Pod away that has ended.
func (n *Node) remove(ctx context.Context, pod *corev1.Pod) {
	now := int64(0)
	for ctx.Err() == nil {
		err := n.clients.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &pod.UID}})
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return
		}
		pause(ctx)
	}
}

func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
}

// maxLastWords is how much of a termination message a kubelet reads.
const maxLastWords = 4096

// lastWords is the termination message.
func lastWords(root string, container *corev1.Container) string {
	content, err := os.ReadFile(filepath.Join(root, container.TerminationMessagePath))
	if err != nil {
		return "" // it wrote none
	}
	return string(content[:min(len(content), maxLastWords)])
}
