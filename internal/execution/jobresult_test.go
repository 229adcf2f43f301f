package execution

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestEndedContainer is about which container tells how a pod ended: its exit code, its message and its log are shown.
func TestEndedContainer(t *testing.T) {
	ended := func(name string, code int32) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}}
	}
	waits := corev1.ContainerStatus{Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}}
	list := func(statuses ...corev1.ContainerStatus) []corev1.ContainerStatus { return statuses }
	spec := corev1.PodSpec{
		Containers:     []corev1.Container{{Name: "injected"}, {Name: "main"}, {Name: "audit"}, {Name: "other"}},
		InitContainers: []corev1.Container{{Name: "proxy", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}, {Name: "prepare"}},
	}
	for name, tc := range map[string]struct {
		reason        string
		init, regular []corev1.ContainerStatus
		own, want     string
	}{
		"First":      {"all went well", nil, list(ended("main", 0), ended("other", 0)), "main", "main"},
		"ByName":     {"the kubelet sorts them", nil, list(ended("audit", 0), ended("injected", 0), ended("main", 0)), "main", "main"},
		"Named":      {"it is that of the step", nil, list(ended("audit", 0), ended("main", 0), ended("other", 0)), "other", "other"},
		"NotIts":     {"without it, it is the first of the pod", nil, list(ended("audit", 0), ended("injected", 0), ended("other", 0)), "main", "injected"},
		"BothFailed": {"its own says more", nil, list(ended("audit", 1), ended("main", 2), ended("other", 3)), "main", "main"},
		"TwoFailed":  {"the order is that of the pod", nil, list(ended("audit", 1), ended("injected", 4), ended("main", 0)), "main", "injected"},
		"Failed":     {"it is why the Job failed", nil, list(ended("main", 0), ended("other", 3)), "main", "other"},
		"Init":       {"nothing after it has begun", list(ended("prepare", 7)), list(waits), "main", "prepare"},
		"SecondInit": {"the first one went well", list(ended("first", 0), ended("prepare", 7)), list(waits), "main", "prepare"},
		"InitWell":   {"it only prepares", list(ended("prepare", 0)), list(ended("main", 0)), "main", "main"},
		"Sidecar":    {"it was killed since all had ended", list(ended("proxy", 143)), list(ended("main", 0)), "main", "main"},
		"None":       {"nothing has ended", list(ended("prepare", 0)), list(waits), "main", ""},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: spec, Status: corev1.PodStatus{InitContainerStatuses: tc.init, ContainerStatuses: tc.regular}}
			got := ""
			if status := endedContainer(pod, tc.own); status != nil {
				got = status.Name
			}
			if got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

// TestOwnContainer: what is shown of a Job is that of the container of the step, and not of the one that the kubelet or a webhook puts first.
func TestOwnContainer(t *testing.T) {
	for name, tc := range map[string]struct{ reason, metadata, want string }{
		"First": {"unless it says otherwise, it is the first one", `{}`, "of main"},
		"Named": {"it says so", `{"annotations":{"signoff.dev/container":"report"}}`, "of report"},
	} {
		t.Run(name, func(t *testing.T) {
			p, answers := newAnsweredJob(t, "Complete")
			p.step.LogLines = 0
			p.step.Writes[0].Body.Raw = []byte(`{"apiVersion":"batch/v1","kind":"Job","metadata":` + tc.metadata + `,"spec":{"template":{"spec":{"containers":[{"name":"main"},{"name":"report"}]}}}}`)
			var statuses []string
			for _, container := range []string{"audit", "main", "report"} {
				statuses = append(statuses, `{"name":"`+container+`","state":{"terminated":{"exitCode":0,"message":"of `+container+`"}}}`)
			}
			answers["/pods"] = `{"apiVersion":"v1","kind":"PodList","items":[{"metadata":{"namespace":"a","name":"task-1","ownerReferences":[{"apiVersion":"batch/v1","kind":"Job","name":"task","uid":"u","controller":true}]},
				"spec":{"containers":[{"name":"audit"},{"name":"main"},{"name":"report"}]},"status":{"containerStatuses":[` + strings.Join(statuses, ",") + `]}}]}`
			if out := p.want(v1alpha1.StepDone); out.Status.Job == nil || out.Status.Job.Message != tc.want {
				t.Errorf("%s: got %+v", tc.reason, out.Status.Job)
			}
		})
	}
}
