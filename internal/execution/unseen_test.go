package execution

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// answering is an API server that says what a test wants, by the end of the path. Others it fails.
func (p *play) answering(answers map[string]string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for end, answer := range answers {
			if strings.HasSuffix(r.URL.Path, end) {
				_, _ = fmt.Fprint(w, answer)
				return
			}
		}
		w.WriteHeader(http.StatusInternalServerError)
		_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: 500, Message: "dial tcp: connection refused"})
	}))
	p.t.Cleanup(server.Close)
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []schema.GroupVersionKind{{Version: "v1", Kind: "ConfigMap"}, {Version: "v1", Kind: "Pod"}, {Group: "batch", Version: "v1", Kind: "Job"}, {Group: "apps", Version: "v1", Kind: "Deployment"}} {
		mapper.Add(kind, meta.RESTScopeNamespace)
	}
	p.runs(NewRunner(NewClients(&rest.Config{Host: server.URL}, mapper), nil, p.clock, p.wake, p.budget))
}

// newAnsweredJob is a play of a Job that was created, and ended when the play begins, so.
func newAnsweredJob(t *testing.T, condition string) (*play, map[string]string) {
	t.Helper()
	p := newFaultyPlay(t, v1alpha1.WriteCreateJob, down)
	p.clock = clocktesting.NewFakePassiveClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	p.record.Spec.ClaimedAt = metav1.NewMicroTime(p.clock.Now())
	p.step.Writes[0].Object = v1alpha1.ObjectReference{APIVersion: "batch/v1", Kind: "Job", Namespace: "a", Name: "task"}
	p.step.LogLines = 10
	p.status = v1alpha1.StepStatus{Name: "s", State: v1alpha1.StepStarted, Basis: basisJob + "u"}
	answers := map[string]string{
		"/jobs/task": `{"apiVersion":"batch/v1","kind":"Job","metadata":{"namespace":"a","name":"task","uid":"u"},"status":{"conditions":[{"type":"` + condition + `","status":"True","reason":"R","message":"M","lastTransitionTime":"2026-11-23T12:00:00Z"}]}}`,
		"/pods": `{"apiVersion":"v1","kind":"PodList","items":[{"metadata":{"namespace":"a","name":"task-1","ownerReferences":[{"apiVersion":"batch/v1","kind":"Job","name":"task","uid":"u","controller":true}]},
			"status":{"containerStatuses":[{"name":"app","state":{"terminated":{"exitCode":0,"message":"said"}}}]}}]}`,
	}
	p.answering(answers)
	return p, answers
}

// TestJobResultUnread: a Job that is complete does not fail its step because nobody can see its pod or its log.
func TestJobResultUnread(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, condition string
		// without is what the API server does not answer.
		without string
		later   time.Duration
		state   v1alpha1.StepState
		words   string
	}{
		"Trying":    {"it is tried for a while", "Complete", "", lookFor - time.Second, v1alpha1.StepStarted, "cannot be done at the moment: failed to look how Job a/task ended"},
		"Log":       {"then it goes on without the log", "Complete", "", lookFor, v1alpha1.StepDone, "(log could not be read: "},
		"Pods":      {"or without anything", "Complete", "/pods", lookFor, v1alpha1.StepDone, "(how it ended could not be looked at: "},
		"TimeIsUp":  {"its time being over does not change that it is complete", "Complete", "", time.Hour, v1alpha1.StepDone, "(log could not be read: "},
		"Failed":    {"one that failed has failed as before", "Failed", "", lookFor, v1alpha1.StepFailed, "it exited with 0: said"},
		"FailedPod": {"and what is not known is said", "Failed", "/pods", lookFor, v1alpha1.StepFailed, "failed: R: M; (how it ended could not be looked at: "},
	} {
		t.Run(name, func(t *testing.T) {
			p, answers := newAnsweredJob(t, tc.condition)
			if tc.without != "" {
				delete(answers, tc.without)
			}
			p.later(tc.later)
			out, err := p.call()
			if (err != nil) != (tc.state == v1alpha1.StepStarted) || out.Status.State != tc.state || !strings.Contains(out.Status.Message, tc.words) {
				t.Fatalf("%s: %v, %+v", tc.reason, err, out.Status)
			}
			if job := out.Status.Job; tc.without == "" && tc.state != v1alpha1.StepStarted && (job == nil || job.Message != "said" || !strings.HasPrefix(job.Log, noLog)) {
				t.Errorf("%s: how it ended: %+v", tc.reason, job)
			}
		})
	}
}

// TestNoOutputOfALogThatWasNotRead: what stands in the place of a log is not what the Job wrote.
func TestNoOutputOfALogThatWasNotRead(t *testing.T) {
	p, _ := newAnsweredJob(t, "Complete")
	p.step.Outputs = []v1alpha1.StepOutput{{Name: "log", Expression: "job.log", Schema: runtime.RawExtension{Raw: []byte(`{"type":"string","maxLength":1000}`)}}}
	p.later(lookFor)
	p.want(v1alpha1.StepFailed, "what it gives is not as declared", "could not be read")
}

// TestJobOutOfSight: that a Job cannot be seen at the moment does not end its step, also once its time is over: it may run.
func TestJobOutOfSight(t *testing.T) {
	p, answers := newAnsweredJob(t, "Complete")
	job := answers["/jobs/task"]
	delete(answers, "/jobs/task")
	p.later(time.Hour)
	if out, err := p.call(); err == nil || out.Status.State != v1alpha1.StepStarted || !strings.Contains(out.Status.Message, "failed to read Job a/task") {
		t.Fatalf("%v, %+v", err, out.Status)
	}
	answers["/jobs/task"] = job
	p.want(v1alpha1.StepDone)
}

// TestNotObserved: nothing is judged by a status that is about what was there before the write.
func TestNotObserved(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, status string
		state          v1alpha1.StepState
		words          string
	}{
		"Broken":   {"it was broken before", `{"observedGeneration":1,"broken":true,"ready":false}`, v1alpha1.StepStarted, "observed 1"},
		"Ready":    {"it was ready before", `{"observedGeneration":1,"broken":false,"ready":true}`, v1alpha1.StepStarted, "observed 1"},
		"Fails":    {"it is broken now", `{"observedGeneration":2,"broken":true,"ready":false}`, v1alpha1.StepFailed, "failWhen holds"},
		"Done":     {"it is ready now", `{"observedGeneration":2,"broken":false,"ready":true}`, v1alpha1.StepDone, ""},
		"SaysNone": {"a status that does not tell is believed", `{"broken":false,"ready":true}`, v1alpha1.StepDone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newFaultyPlay(t, v1alpha1.WriteApply, down)
			p.answering(map[string]string{"/c": `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"namespace":"a","name":"c","generation":2,"resourceVersion":"5"},"status":` + tc.status + `}`})
			p.step.Writes[0].Object = v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "a", Name: "c"}
			p.step.WaitFor, p.step.FailWhen = &v1alpha1.WaitFor{Expression: "object.status.ready"}, "object.status.broken"
			p.want(tc.state, tc.words)
		})
	}
}
