package execution

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

func contextOfCleanup() context.Context { return context.Background() }

// jobManifest is a Job whose pod ends as the annotation says. The API server writes some of it otherwise.
func jobManifest(labels, ends, command string) string {
	if ends != "" {
		ends = env.PodAnnotation + ": " + ends
	}
	return `{apiVersion: batch/v1, kind: Job, metadata: {namespace: NS, name: task, labels: ` + labels + `},
		spec: {backoffLimit: 0, template: {metadata: {annotations: {` + ends + `}}, spec: {
		restartPolicy: Never, hostNetwork: false, volumes: [{name: v, emptyDir: {sizeLimit: 1024Ki}}], initContainers: [], containers: [{name: app, image: "registry.example/tool:1", command: [` + command + `], args: [],
		env: [{name: EMPTY, value: ""}, {name: FULL, value: a}], volumeMounts: [{name: v, mountPath: /v, readOnly: false}], resources: {limits: {cpu: 1000m, memory: 1024Mi}, requests: {cpu: 0.5}}}]}}}}`
}

const ours = `{signoff.dev/request-uid: ` + string(requestUID) + `, signoff.dev/step: run}`

func jobStep(ends string) string {
	return `{name: run, writes: [{operation: CreateJob, object: {apiVersion: batch/v1, kind: Job, namespace: NS, name: task}, fieldManager: m, body: ` + jobManifest(ours, ends, "rake") + `}]}`
}

func (p *play) jobs() int {
	p.t.Helper()
	list, err := admin.BatchV1().Jobs(p.namespace).List(p.t.Context(), metav1.ListOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return len(list.Items)
}

func (p *play) deleteJob() {
	p.t.Helper()
	if err := admin.BatchV1().Jobs(p.namespace).Delete(p.t.Context(), "task", metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}); err != nil {
		p.t.Fatal(err)
	}
}

// start creates the Job and demands that its uid is stored.
func (p *play) start() {
	p.t.Helper()
	out := p.want(v1alpha1.StepStarted, "waiting for Job")
	if !out.Intent || out.Status.Basis == "" || len(out.Waiting) != 1 {
		p.t.Fatalf("the uid of the Job must be stored, and the Job be watched: %+v", out)
	}
}

// end steps until the step has ended.
func (p *play) end() v1alpha1.StepStatus {
	p.t.Helper()
	eventually(p.t, func(context.Context) error {
		if out := p.next(); out.Status.State == v1alpha1.StepStarted {
			return fmt.Errorf("still %+v", out.Status)
		}
		return nil
	})
	return p.status
}

func TestJobEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, ends string
		state        v1alpha1.StepState
		words        string
	}{
		"Complete": {"its pod ends well", "", v1alpha1.StepDone, ""},
		"Failed":   {"its pod fails, and is not tried again", env.PodFails, v1alpha1.StepFailed, "failed: BackoffLimitExceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, jobStep(tc.ends))
			p.start()
			status := p.end()
			if status.State != tc.state || !strings.Contains(status.Message, tc.words) {
				t.Errorf("%s: got %+v", tc.reason, status)
			}
			if tc.state == v1alpha1.StepFailed && !strings.Contains(status.Message, "kubectl logs -n "+p.namespace+" job/task") {
				t.Errorf("the message does not say where to look: %q", status.Message)
			}
		})
	}
}

// TestJobAtMostOnce interrupts a Job at each point.
func TestJobAtMostOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		before func(*play)
		state  v1alpha1.StepState
		words  string
		jobs   int
	}{
		"Crash": {"it was created, but that was not stored: it is taken over", func(p *play) {
			p.start()
			p.status = v1alpha1.StepStatus{}
			p.restart()
		}, v1alpha1.StepStarted, "waiting for Job", 1},
		"Stored": {"it is only looked at", func(p *play) { p.start(); p.restart() }, v1alpha1.StepStarted, "waiting for Job", 1},
		"Gone": {"somebody deleted it: it is never created again", func(p *play) {
			p.start()
			p.deleteJob()
		}, v1alpha1.StepFailed, "was deleted before its end was seen", 0},
		"Replaced": {"somebody put another one in its place", func(p *play) {
			p.start()
			p.deleteJob()
			p.apply(jobManifest(ours, env.PodRuns, "rake"))
		}, v1alpha1.StepFailed, "was replaced by another one", 1},
		"Foreign": {"somebody has a Job of that name", func(p *play) { p.apply(jobManifest("{}", env.PodRuns, "rake")) },
			v1alpha1.StepFailed, "which this request did not create", 1},
		"Forged": {"labels can be copied; what runs is what was agreed to", func(p *play) { p.apply(jobManifest(ours, env.PodRuns, "evil")) },
			v1alpha1.StepFailed, "It is not taken over, and may be running: kubectl get -n ", 1},
		"Altered": {"a policy has changed it on its way", func(p *play) { p.start(); p.alters(); p.crash(v1alpha1.StepStatus{}) },
			v1alpha1.StepFailed, "It is not taken over, and may be running: kubectl get -n ", 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, jobStep(env.PodRuns))
			tc.before(p)
			out := p.want(tc.state, tc.words)
			if got := p.jobs(); got != tc.jobs {
				t.Errorf("%s: %d Jobs, want %d", tc.reason, got, tc.jobs)
			}
			if said := out.Status.Message; name != "Foreign" && (strings.Contains(said, "did not create") || strings.Contains(said, "delete it")) {
				t.Errorf("%s: it may be its own, and it says %q", tc.reason, said)
			}
		})
	}
}

// alters puts a Job in the place of the one that was created, as a policy would have changed it.
func (p *play) alters() {
	p.t.Helper()
	p.deleteJob()
	p.apply(strings.ReplaceAll(jobManifest(ours, env.PodRuns, "rake"), "registry.example/", "mirror.example/"))
}

func TestJobTimesOut(t *testing.T) {
	p := newPlay(t, jobStep(env.PodRuns))
	p.step.Timeout = "10m"
	p.start()
	p.clock.SetTime(p.clock.Now().Add(10*time.Minute - time.Second))
	p.want(v1alpha1.StepStarted)
	p.clock.SetTime(p.clock.Now().Add(2 * time.Second))
	p.want(v1alpha1.StepFailed, "did not end within the timeout of the step (10m0s)", "kubectl delete -n "+p.namespace+" job/task")
}
