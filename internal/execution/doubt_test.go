package execution

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// crash ends the process before it could store what it did since the status was this.
func (p *play) crash(stored v1alpha1.StepStatus) {
	p.status = stored
	p.restart()
}

// TestJobTooLate lets the time of a Job end while nobody runs.
func TestJobTooLate(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		before func(*play)
		state  v1alpha1.StepState
		words  string
		jobs   int
	}{
		"Created": {"it runs, although nothing says so: it is taken over", func(p *play) { p.start(); p.crash(v1alpha1.StepStatus{}) }, v1alpha1.StepStarted, "waiting for Job", 1},
		"Lost":    {"the same, where the answer was lost and not the process", func(p *play) { p.start(); p.status = v1alpha1.StepStatus{} }, v1alpha1.StepStarted, "waiting for Job", 1},
		"Again": {"it is the second one that runs", func(p *play) {
			p.step.Retries = 1
			at := metav1.NewTime(p.clock.Now().Add(-time.Second))
			p.status = v1alpha1.StepStatus{Name: "run", State: v1alpha1.StepStarted, Attempts: 1, RetryAt: &at, Message: "attempt 2 of 2"}
			stored := p.status
			p.start()
			p.crash(stored)
		}, v1alpha1.StepStarted, "waiting for Job", 1},
		"NeverAgain": {"the second one was not created", func(p *play) {
			at := metav1.NewTime(p.clock.Now().Add(-time.Second))
			p.status = v1alpha1.StepStatus{Name: "run", State: v1alpha1.StepStarted, Attempts: 1, RetryAt: &at, Message: "attempt 2 of 2"}
		}, v1alpha1.StepFailed, "attempt 2 of 2; execution.timeout (30m0s) is over", 0},
		"Never":   {"it was not created", func(*play) {}, v1alpha1.StepFailed, "nothing was started", 0},
		"Foreign": {"somebody else did", func(p *play) { p.apply(jobManifest("{}", env.PodRuns, "rake")) }, v1alpha1.StepFailed, "nothing was started", 1},
		"Blind": {"nobody can look", func(p *play) { p.start(); p.crash(v1alpha1.StepStatus{}); p.record.Spec.ServiceAccountName = "weak" }, v1alpha1.StepFailed,
			"it cannot be told whether Job", 1},
		"Altered": {"there is one that may be it", func(p *play) { p.start(); p.alters(); p.crash(v1alpha1.StepStatus{}) }, v1alpha1.StepFailed,
			"was created: a Job of that name has the labels of this step, and is not as the step has it", 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, jobStep(env.PodRuns))
			tc.before(p)
			p.later(time.Hour)
			out := p.want(tc.state, tc.words)
			if got := p.jobs(); got != tc.jobs {
				t.Errorf("%s: %d Jobs, want %d", tc.reason, got, tc.jobs)
			}
			if tc.state == v1alpha1.StepFailed {
				return
			}
			if _, known := (&task{status: out.Status}).basis(basisJob); !out.Intent || !known {
				t.Errorf("%s: which Job it is must be stored: %+v", tc.reason, out)
			}
			p.want(v1alpha1.StepFailed, "did not end within execution.timeout", "kubectl delete -n "+p.namespace+" job/")
		})
	}
}

// TestAdrift asks, before an execution stops, whether a Job runs of which the Record says nothing.
func TestAdrift(t *testing.T) {
	for name, tc := range map[string]struct {
		reason           string
		before           func(*play)
		adrift, doubtful bool
	}{
		"Claimed":   {"this process has claimed it, and begun nothing", func(p *play) { p.runner.Claimed(p.record) }, false, false},
		"Taken":     {"another process has claimed it, and begun nothing", func(*play) {}, false, false},
		"Crash":     {"another process has created it", func(p *play) { p.start(); p.crash(v1alpha1.StepStatus{}) }, true, true},
		"Lost":      {"this process has", func(p *play) { p.runner.Claimed(p.record); p.start(); p.status = v1alpha1.StepStatus{} }, true, true},
		"Stored":    {"the Record says so", func(p *play) { p.start(); p.status.Basis = basisWritten; p.restart() }, false, false},
		"Condition": {"that it is to run is stored first", func(p *play) { p.step.When = "true" }, false, false},
		"Blind":     {"nobody can look: it is not said that nothing was done", func(p *play) { p.start(); p.crash(v1alpha1.StepStatus{}); p.record.Spec.ServiceAccountName = "weak" }, false, true},
		"Altered":   {"there is one that may be it: it is not taken over, and it is not said that nothing was done", func(p *play) { p.start(); p.alters(); p.crash(v1alpha1.StepStatus{}) }, false, true},
		"Foreign":   {"somebody else has created one", func(p *play) { p.apply(jobManifest("{}", env.PodRuns, "rake")) }, false, false},
		"Elsewhere": {"what another process had begun was another step", func(p *play) {
			other := &v1alpha1.RenderedStep{Name: "before", Writes: p.step.Writes}
			p.runner.Doubtful(p.record, other, v1alpha1.StepStatus{Name: "before"})
		}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, jobStep(env.PodRuns))
			tc.before(p)
			adrift, err := p.runner.Adrift(t.Context(), p.record, p.step, p.status)
			doubtful := p.runner.Doubtful(p.record, p.step, p.status)
			if err != nil || adrift != tc.adrift || doubtful != tc.doubtful {
				t.Errorf("%s: adrift is %v and doubtful %v, error %v", tc.reason, adrift, doubtful, err)
			}
		})
	}
}

// TestAdriftUnanswered: while the API server does not answer, an execution does not stop before a Job.
func TestAdriftUnanswered(t *testing.T) {
	p := newFaultyPlay(t, v1alpha1.WriteCreateJob, metav1.Status{Code: 503, Reason: metav1.StatusReasonServiceUnavailable})
	if _, err := p.runner.Adrift(t.Context(), p.record, p.step, p.status); err == nil {
		t.Error("nobody can tell, and it says that there is none")
	}
}

// TestWriteTooLate lets the time of a write end, after a crash or without.
func TestWriteTooLate(t *testing.T) {
	const merge = `{name: a, writes: [{operation: MergePatch, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: c}, fieldManager: m, body: {data: {a: b}}}]}`
	for name, tc := range map[string]struct {
		reason string
		// exists tells whether the object does.
		exists bool
		before func(*play)
		words  string
	}{
		"Claimed":  {"this process has claimed it, and begun nothing", true, func(p *play) { p.runner.Claimed(p.record) }, "nothing was written"},
		"Crash":    {"another process has written it", true, func(p *play) { p.want(v1alpha1.StepDone); p.crash(v1alpha1.StepStatus{}) }, "it cannot be told whether anything was written: sending it was interrupted. Look at ConfigMap "},
		"Unstored": {"this process has", true, func(p *play) { p.runner.Claimed(p.record); p.want(v1alpha1.StepDone); p.status = v1alpha1.StepStatus{} }, "it cannot be told whether anything was written"},
		"Refused": {"it was sent, and refused", false, func(p *play) {
			p.runner.Claimed(p.record)
			p.want(v1alpha1.StepFailed)
			p.status = v1alpha1.StepStatus{}
		}, "nothing was written"},
		"Again": {"another process was to begin the next attempt", true, func(p *play) {
			at := metav1.NewTime(p.clock.Now())
			p.status = v1alpha1.StepStatus{Name: "a", State: v1alpha1.StepStarted, Attempts: 1, RetryAt: &at, Message: "attempt 2 of 2"}
		}, "it cannot be told whether anything was written"},
		"Later": {"nobody was to begin it yet", true, func(p *play) {
			at := metav1.NewTime(p.clock.Now().Add(time.Minute))
			p.status = v1alpha1.StepStatus{Name: "a", State: v1alpha1.StepStarted, Attempts: 1, RetryAt: &at, Message: "attempt 2 of 2"}
			p.next()
		}, "attempt 2 of 2; execution.timeout (30m0s) is over"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, merge)
			if tc.exists {
				p.apply(limits)
			}
			tc.before(p)
			p.later(time.Hour)
			p.want(v1alpha1.StepFailed, tc.words)
		})
	}
}

// TestWriteUnanswered: a write that got no answer may have been done.
func TestWriteUnanswered(t *testing.T) {
	for reason, tc := range map[string]struct {
		code        int32
		said, words string
	}{
		"nobody knows what it did":      {500, "", "it cannot be told whether anything was written"},
		"a webhook is asked before":     {500, `Internal error occurred: failed calling webhook "a.example.com": failed to call webhook: connection refused`, "nothing was written"},
		"such words can be those of it": {500, `etcd is slow: failed calling webhook `, "it cannot be told whether anything was written"},
		"it did nothing":                {429, "", "nothing was written"},
	} {
		p := newFaultyPlay(t, v1alpha1.WriteMergePatch, metav1.Status{Code: tc.code, Reason: metav1.StatusReasonUnknown, Message: tc.said})
		p.runner.Claimed(p.record)
		out, err := p.call()
		if err == nil {
			t.Fatalf("%s: %+v", reason, out)
		}
		p.status = out.Status
		p.later(time.Hour)
		p.want(v1alpha1.StepFailed, tc.words)
	}
}

// TestDeleteTooLate lets the time of a deletion end, after a crash or without.
func TestDeleteTooLate(t *testing.T) {
	p := newDeletion(t, limits)
	p.runner.Claimed(p.record)
	p.later(time.Hour)
	p.want(v1alpha1.StepFailed, "nothing was deleted")
	p.crash(v1alpha1.StepStatus{})
	p.want(v1alpha1.StepFailed, "it cannot be told whether anything was deleted", "Look at ConfigMap "+p.namespace+"/c")
}
