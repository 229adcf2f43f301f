package execution

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/steps"
	"github.com/signoff-dev/signoff/test/env"
)

var errNotYet = errors.New("not yet")

// later lets time pass.
func (p *play) later(d time.Duration) { p.clock.SetTime(p.clock.Now().Add(d)) }

// first puts a step before the one that is played, that has ended like this.
func (p *play) first(state v1alpha1.StepState, outputs string) {
	p.record.Spec.Steps = []v1alpha1.RenderedStep{{Name: "first", Outputs: []v1alpha1.StepOutput{{
		Name: "value", Expression: "object.data.x", Schema: runtime.RawExtension{Raw: []byte(`{"type":"string","maxLength":100}`)},
	}}}, *p.step}
	p.record.Status.Steps = []v1alpha1.StepStatus{{Name: "first", State: state}}
	if outputs != "" {
		p.record.Status.Steps[0].Outputs = &runtime.RawExtension{Raw: []byte(outputs)}
	}
}

func TestWhen(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, when string
		state        v1alpha1.StepState
		words        string
	}{
		"Inputs":    {"what was asked", "inputs.mode == 'fast'", v1alpha1.StepDone, ""},
		"False":     {"it is skipped", "inputs.mode == 'slow'", v1alpha1.StepSkipped, "gave false"},
		"Object":    {"what is there", "object.data.x == 'v'", v1alpha1.StepDone, ""},
		"Requester": {"who asked", "requester.username == 'bob'", v1alpha1.StepSkipped, "gave false"},
		"Steps":     {"what a step gave", "steps.first.outputs.value == 'v' && steps.first.state == 'Done'", v1alpha1.StepDone, ""},
		"Error":     {"no error means yes, nor no", "object.data.missing == 'v'", v1alpha1.StepFailed, "cannot tell whether the step is to run"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, `{name: a, `+patchConfigMap+`}`)
			p.apply(limits)
			p.step.When = tc.when
			p.record.Spec.Variables = &runtime.RawExtension{Raw: []byte(`{"inputs":{"mode":"fast"},"requester":{"username":"alice"}}`)}
			p.first(v1alpha1.StepDone, `{"value":"v"}`)
			if tc.state == v1alpha1.StepDone {
				if out := p.want(v1alpha1.StepStarted); !out.Intent {
					t.Errorf("%s: that it runs must be stored first: %+v", tc.reason, out)
				}
			}
			p.want(tc.state, tc.words)
			if written := p.data()["a"] == "b"; written != (tc.state == v1alpha1.StepDone) {
				t.Errorf("%s: written is %v", tc.reason, written)
			}
		})
	}
}

// TestWhenOnce interrupts a step whose own write makes its condition false.
func TestWhenOnce(t *testing.T) {
	p := newPlay(t, `{name: a, when: "!('a' in object.data)", `+patchConfigMap+`}`)
	p.apply(limits)
	p.want(v1alpha1.StepStarted)
	if _, err := p.call(); err != nil {
		t.Fatal(err)
	}
	p.restart() // It has written, and that was not stored.
	p.want(v1alpha1.StepDone)
}

func TestWhenAbsent(t *testing.T) {
	p := newPlay(t, `{name: a, when: object == null, `+patchConfigMap+`}`)
	p.want(v1alpha1.StepStarted)
	p.want(v1alpha1.StepFailed, "not found")
}

func TestFailWhen(t *testing.T) {
	p := newPlay(t, `{name: a, retries: 1, failWhen: "object.data.state == 'broken'", waitFor: {expression: "object.data.state == 'good'"}, `+patchConfigMap+`}`)
	p.apply(limits)
	p.want(v1alpha1.StepStarted, "waiting for ConfigMap")
	p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: v, state: broken, a: other}}`)
	out := p.want(v1alpha1.StepStarted, "attempt 2 of 2 comes at", "failWhen holds")
	if out.At.Sub(p.clock.Now()) > firstPause || p.status.Attempts != 1 || p.status.Basis != "" || !OnlyWaits(&p.status) {
		t.Errorf("another attempt must be stored: %+v", out)
	}
	p.restart()
	if out = p.want(v1alpha1.StepStarted, "attempt 2 of 2"); out.At.IsZero() || p.data()["a"] != "other" {
		t.Errorf("it does not pause: %+v, %v", out, p.data())
	}
	p.later(firstPause)
	p.want(v1alpha1.StepFailed, "failWhen holds")
	if p.data()["a"] != "b" {
		t.Error("the second attempt did not write")
	}
}

// TestRetriesRefused is about writes that the API server refuses: nothing was done, so they can be sent again.
func TestRetriesRefused(t *testing.T) {
	const patch = `[{op: replace, path: /data/missing, value: w}]`
	for name, step := range map[string]string{
		"Patch": `{name: a, retries: 2, ` + patchConfigMap + `}`,
		"JSON":  `{name: a, retries: 2, writes: [{operation: JSONPatch, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: c}, fieldManager: m, body: ` + patch + `}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, step) // There is no ConfigMap.
			p.want(v1alpha1.StepStarted, "attempt 2 of 3", "not found")
			p.later(firstPause)
			p.want(v1alpha1.StepStarted, "attempt 3 of 3")
			p.later(firstPause)
			p.want(v1alpha1.StepStarted, "attempt 3 of 3")
			p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {missing: v}}`)
			p.later(firstPause)
			for p.status.State == v1alpha1.StepStarted {
				p.next()
			}
			p.check(Outcome{Status: p.status}, v1alpha1.StepDone)
		})
	}
}

func TestRetriesEndWithTime(t *testing.T) {
	p := newPlay(t, `{name: a, retries: 5, timeout: 15s, `+patchConfigMap+`}`)
	p.want(v1alpha1.StepStarted, "attempt 2 of 6")
	p.later(16 * time.Second)
	p.want(v1alpha1.StepFailed, "not found", "the timeout of the step (15s) is over")
}

// TestJSONPatchIsNotRepeated fails to wait after a JSON patch, which could have another result a second time.
func TestJSONPatchIsNotRepeated(t *testing.T) {
	p := newPlay(t, `{name: a, retries: 5, failWhen: "true", waitFor: {status: Current}, writes: [{operation: JSONPatch, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: c}, fieldManager: m,
		body: [{op: add, path: /data/a, value: b}]}]}`)
	p.apply(limits)
	p.want(v1alpha1.StepStarted)
	p.want(v1alpha1.StepFailed, "failWhen holds")
}

// TestJobRetried runs a second Job after the first has failed, and keeps the first for its log.
func TestJobRetried(t *testing.T) {
	p := newPlay(t, jobStep(env.PodFails))
	p.step.Retries = 1
	p.start()
	eventually(t, func(context.Context) error { return p.pausing() })
	p.later(firstPause)
	p.restart()
	p.want(v1alpha1.StepStarted, "waiting for Job "+p.namespace+"/task-2 to end")
	status := p.end()
	if status.State != v1alpha1.StepFailed || !strings.Contains(status.Message, "job/task-2") || p.jobs() != 2 {
		t.Errorf("%d Jobs, %+v", p.jobs(), status)
	}
	if status.Job == nil || status.Job.ExitCode != 1 || !strings.Contains(status.Message, "it exited with 1") {
		t.Errorf("how it ended: %+v in %q", status.Job, status.Message)
	}
}

func (p *play) pausing() error {
	if out := p.next(); out.At.IsZero() {
		return errNotYet
	}
	return nil
}

// exits ends the container of the pod of the Job.
func (p *play) exits(code int32, message string) {
	p.t.Helper()
	var pod corev1.Pod
	eventually(p.t, func(ctx context.Context) error {
		list, err := admin.CoreV1().Pods(p.namespace).List(ctx, metav1.ListOptions{})
		if err != nil || len(list.Items) != 1 || len(list.Items[0].Status.ContainerStatuses) != 1 {
			return errNotYet
		}
		pod = list.Items[0]
		return nil
	})
	pod.Status.Phase = corev1.PodSucceeded
	if code != 0 {
		pod.Status.Phase = corev1.PodFailed
	}
	now := metav1.Now()
	pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: message, FinishedAt: now, StartedAt: now}}
	if _, err := admin.CoreV1().Pods(p.namespace).UpdateStatus(p.t.Context(), &pod, metav1.UpdateOptions{}); err != nil {
		p.t.Fatal(err)
	}
}

// logged gives every log this text, since there is no kubelet that could, and notes who asks.
type logged struct {
	http.RoundTripper
	asked chan string
}

func (l *logged) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/log") {
		return l.RoundTripper.RoundTrip(r)
	}
	l.asked <- r.Header.Get("Impersonate-User") + " " + r.URL.RawQuery
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader("line\n\x1b[31mred\n"))}, nil
}

func TestJobOutputs(t *testing.T) {
	p := newPlay(t, jobStep(env.PodRuns))
	p.step.LogLines = 7
	p.step.Outputs = []v1alpha1.StepOutput{
		{Name: "text", Expression: "job.message + ' ' + job.log", Schema: runtime.RawExtension{Raw: []byte(`{"type":"string","maxLength":100}`)}},
		{Name: "code", Expression: "job.exitCode", Schema: runtime.RawExtension{Raw: []byte(`{"type":"integer"}`)}},
	}
	asked := make(chan string, 16)
	cfg := rest.CopyConfig(operator)
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { return &logged{rt, asked} })
	p.cfg = cfg
	p.restart()
	p.start()
	p.exits(0, "migrated 3")
	status := p.end()
	if status.State != v1alpha1.StepDone || status.Outputs == nil {
		t.Fatalf("got %+v", status)
	}
	if got := string(status.Outputs.Raw); got != `{"code":0,"text":"migrated 3 line\n[31mred"}` {
		t.Errorf("outputs: %s", got)
	}
	if got := <-asked; got != "system:serviceaccount:platform:deployer container=app&tailLines=7" {
		t.Errorf("the log was read as %q", got)
	}
}

// TestJobUnseen is about a ServiceAccount that may not list pods: what is done is done, and only outputs need to know.
func TestJobUnseen(t *testing.T) {
	for _, outputs := range []bool{false, true} {
		p := newPlay(t, jobStep(""))
		p.record.Spec.ServiceAccountName = "jobs-only"
		if err := cluster.Grant(t.Context(), "test-jobs", p.namespace, env.ToServiceAccount("platform", "jobs-only")); err != nil {
			t.Fatal(err)
		}
		want, words := v1alpha1.StepDone, ""
		if outputs {
			p.step.Outputs = []v1alpha1.StepOutput{{Name: "code", Expression: "job.exitCode", Schema: runtime.RawExtension{Raw: []byte(`{"type":"integer"}`)}}}
			want, words = v1alpha1.StepFailed, "nobody could look how the Job ended"
		}
		p.start()
		if status := p.end(); status.State != want || !strings.Contains(status.Message, words) || status.Job != nil {
			t.Errorf("got %+v", status)
		}
	}
}

func TestObjectOutputs(t *testing.T) {
	p := newPlay(t, `{name: a, `+patchConfigMap+`, outputs: [{name: x, expression: object.data.x, schema: {type: string, maxLength: 3}}]}`)
	p.apply(limits)
	p.want(v1alpha1.StepDone)
	if p.status.Outputs == nil || string(p.status.Outputs.Raw) != `{"x":"v"}` {
		t.Errorf("outputs: %v", p.status.Outputs)
	}
	p.status = v1alpha1.StepStatus{}
	p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: long}}`)
	p.want(v1alpha1.StepFailed, "what it gives is not as declared", "outputs.x")
}

func TestLate(t *testing.T) {
	p := newPlay(t, `{name: a, writes: [{operation: MergePatch, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: c}, fieldManager: m,
		body: {data: {a: "?"}}, late: [{path: /data/a, parts: [{text: "from "}, {expression: steps.first.outputs.value}]}]}]}`)
	p.apply(limits)
	p.first(v1alpha1.StepDone, `{"value":"${steps.first.outputs.value}"}`)
	p.want(v1alpha1.StepDone)
	if got := p.data()["a"]; got != "from ${steps.first.outputs.value}" {
		t.Errorf("got %q", got)
	}
	p.status = v1alpha1.StepStatus{}
	p.first(v1alpha1.StepSkipped, "")
	p.want(v1alpha1.StepFailed, "failed to fill in /data/a of ConfigMap c", "no such key: value")
}

func TestEndOfText(t *testing.T) {
	if got := lastOf("x\x00y\xff\n" + strings.Repeat("a", maxResult-1) + "ä\n\n"); len([]rune(got)) != maxResult || !strings.HasSuffix(got, "aä") || strings.ContainsFunc(got, func(r rune) bool { return slices.Contains([]rune{0, '\n'}, r) }) {
		t.Errorf("got %d characters", len([]rune(got)))
	}
}

// TestFinallyHasItsTime is about a step of finally that begins when the time of all others is over.
func TestFinallyHasItsTime(t *testing.T) {
	p := newPlay(t, `{name: a, when: "outcome == 'Failed'", waitFor: {expression: "false"}, writes: [{operation: MergePatch, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: c}, fieldManager: m,
		body: {data: {a: "?"}}, late: [{path: /data/a, parts: [{expression: outcome}]}]}]}`)
	p.apply(limits)
	p.record.Spec.Finally, p.record.Spec.Timeout = []v1alpha1.RenderedStep{*p.step}, "2m"
	p.record.Status.Ending = &v1alpha1.Ending{Outcome: v1alpha1.OutcomeFailed}
	p.later(time.Hour)
	p.want(v1alpha1.StepStarted)
	p.want(v1alpha1.StepStarted, "waiting for ConfigMap")
	if got := p.data()["a"]; got != "Failed" {
		t.Errorf("got %q", got)
	}
	p.later(steps.LastTimeout - time.Second)
	p.want(v1alpha1.StepStarted)
	p.later(time.Second)
	p.want(v1alpha1.StepFailed, "the timeout of the step (10m0s) is over")
}
