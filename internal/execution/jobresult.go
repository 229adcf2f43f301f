package execution

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/steps"
	"github.com/signoff-dev/signoff/internal/visible"
)

// maxResult is the bound of the API for the termination message and the log of a Job.
const maxResult = 4096

// look finds out how the Job ended: as its last pod did. Where the ServiceAccount may not look, nobody knows.
func (t *task) look(ctx context.Context, job *batchv1.Job) error {
	t.status.Job = nil
	pod, err := t.lastPod(ctx, job)
	if err != nil || pod == nil {
		return onlyTransient(err)
	}
	ended := endedContainer(pod, t.ownContainer())
	if ended == nil {
		return nil
	}
	t.status.Job = &v1alpha1.JobResult{ExitCode: ended.State.Terminated.ExitCode, Message: lastOf(ended.State.Terminated.Message)}
	if lines := t.step.LogLines; lines > 0 {
		log, err := t.clients.Log(ctx, t.record.Spec.ActionRef.Namespace, t.record.Spec.ServiceAccountName, &LogQuery{
			Namespace: pod.Namespace, Pod: pod.Name, Container: ended.Name, Lines: int64(lines),
		})
		if errors.Is(err, errLongLog) {
			t.goOnUnseen(err)
			return nil
		}
		if err := onlyTransient(err); err != nil {
			return err
		}
		t.status.Job.Log = lastOf(log)
	}
	return nil
}

// goOnUnseen goes on without what could not be looked at of how a Job ended, and says so where people look for it.
func (t *task) goOnUnseen(why error) {
	if t.status.Job == nil {
		t.unseen = oneLine(fmt.Sprintf("(how it ended could not be looked at: %v)", why))
		return
	}
	t.unseen = oneLine(fmt.Sprintf("%s%v)", noLog, why))
	t.status.Job.Log = t.unseen
}

// noLog begins what stands in the place of a log that could not be read.
const noLog = "(log could not be read: "

// onlyTransient drops errors that will not go away: that nobody can look is no reason to fail what is done.
func onlyTransient(err error) error {
	if err != nil && isTransient(err) {
		return err
	}
	return nil
}

func (t *task) lastPod(ctx context.Context, job *batchv1.Job) (*corev1.Pod, error) {
	resource, err := t.resource(v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: job.Namespace, Name: "any"})
	if err != nil {
		return nil, err
	}
	list, err := resource.List(ctx, metav1.ListOptions{LabelSelector: batchv1.ControllerUidLabel + "=" + string(job.UID), Limit: maxPods})
	if err != nil {
		return nil, err
	}
	// A label can be on anybody's pod.
	list.Items = slices.DeleteFunc(list.Items, func(pod unstructured.Unstructured) bool { return !metav1.IsControlledBy(&pod, job) })
	slices.SortFunc(list.Items, func(a, b unstructured.Unstructured) int {
		return cmp.Or(a.GetCreationTimestamp().Compare(b.GetCreationTimestamp().Time), strings.Compare(a.GetName(), b.GetName()))
	})
	if len(list.Items) == 0 {
		return nil, nil //nolint:nilnil // no pod is an answer, not an error
	}
	pod := &corev1.Pod{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[len(list.Items)-1].Object, pod); err != nil {
		return nil, fmt.Errorf("failed to decode the pod: %w", err)
	}
	return pod, nil
}

// maxPods is more than a Job of ours can have: it starts no second pod for a failed one.
const maxPods = 16

// ownContainer names the container of the step, as people have agreed to it: a webhook can put another one in front of it. Empty: nobody can tell.
func (t *task) ownContainer() string {
	wanted := &unstructured.Unstructured{}
	if err := wanted.UnmarshalJSON(t.step.Writes[0].Body.Raw); err != nil {
		return ""
	}
	job, err := typed(wanted)
	if err != nil || len(job.Spec.Template.Spec.Containers) == 0 {
		return ""
	}
	return cmp.Or(job.Annotations[steps.AnnotationContainer], job.Spec.Template.Spec.Containers[0].Name)
}

// endedContainer is the container that failed, or else the first one that ended: that of the step before others, which are in the order of the pod,
// since the kubelet sorts what it tells of them by name. After an init container that failed none of the others has begun.
func endedContainer(pod *corev1.Pod, own string) *corev1.ContainerStatus {
	for i := range pod.Status.InitContainerStatuses {
		status := &pod.Status.InitContainerStatuses[i]
		if status.State.Terminated != nil && status.State.Terminated.ExitCode != 0 && !isSidecar(pod, status.Name) {
			return status
		}
	}
	statuses := slices.Clone(pod.Status.ContainerStatuses)
	rank := func(name string) int {
		if name == own {
			return -1
		}
		return slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == name })
	}
	slices.SortStableFunc(statuses, func(a, b corev1.ContainerStatus) int { return rank(a.Name) - rank(b.Name) })
	var ended *corev1.ContainerStatus
	for i := range statuses {
		status := &statuses[i]
		switch terminated := status.State.Terminated; {
		case terminated == nil:
		case terminated.ExitCode != 0:
			return status
		case ended == nil:
			ended = status
		}
	}
	return ended
}

// isSidecar tells whether an init container runs beside the others: it is killed once they have ended, which is no failure.
func isSidecar(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool {
		return c.Name == name && c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
	})
}

// lastOf keeps the end of a text, without what does not show: a terminal would obey it.
func lastOf(text string) string {
	clean := strings.Map(func(r rune) rune {
		if !visible.Shows(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	runes := []rune(strings.TrimRight(clean, "\n"))
	return string(runes[max(len(runes)-maxResult, 0):])
}

// ending says in a word how the Job ended, for a message.
func (t *task) ending() string {
	result := t.status.Job
	if result == nil {
		return strings.TrimRight("; "+t.unseen, "; ")
	}
	if result.Message == "" {
		return fmt.Sprintf("; it exited with %d", result.ExitCode)
	}
	return fmt.Sprintf("; it exited with %d: %s", result.ExitCode, oneLine(result.Message))
}

// jobVar is the variable job of outputs.
func (t *task) jobVar() any {
	if t.status.Job == nil {
		return expression.Said("nobody could look how the Job ended: the ServiceAccount needs the right to list pods where the Job runs, and the pod must still be there")
	}
	out := map[string]any{"exitCode": int64(t.status.Job.ExitCode), "message": t.status.Job.Message, "log": t.status.Job.Log}
	if strings.HasPrefix(t.status.Job.Log, noLog) {
		delete(out, "log") // no output is made of what stands in its place
	}
	return out
}
