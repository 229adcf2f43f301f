package execution

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestEndedContainer is about which container tells how a pod ended: its exit code, its message and its log are shown.
func TestEndedContainer(t *testing.T) {
	ended := func(name string, code int32) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}}
	}
	waits := corev1.ContainerStatus{Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}}
	list := func(statuses ...corev1.ContainerStatus) []corev1.ContainerStatus { return statuses }
	sidecar := corev1.PodSpec{InitContainers: []corev1.Container{{Name: "proxy", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}, {Name: "prepare"}}}
	for name, tc := range map[string]struct {
		reason        string
		init, regular []corev1.ContainerStatus
		want          string
	}{
		"First":      {"all went well", nil, list(ended("main", 0), ended("other", 0)), "main"},
		"Failed":     {"it is why the Job failed", nil, list(ended("main", 0), ended("other", 3)), "other"},
		"Init":       {"nothing after it has begun", list(ended("prepare", 7)), list(waits), "prepare"},
		"SecondInit": {"the first one went well", list(ended("first", 0), ended("prepare", 7)), list(waits), "prepare"},
		"InitWell":   {"it only prepares", list(ended("prepare", 0)), list(ended("main", 0)), "main"},
		"Sidecar":    {"it was killed since all had ended", list(ended("proxy", 143)), list(ended("main", 0)), "main"},
		"None":       {"nothing has ended", list(ended("prepare", 0)), list(waits), ""},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: sidecar, Status: corev1.PodStatus{InitContainerStatuses: tc.init, ContainerStatuses: tc.regular}}
			got := ""
			if status := endedContainer(pod); status != nil {
				got = status.Name
			}
			if got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
