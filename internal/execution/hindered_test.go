package execution

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// down is what the API server answers while somebody else's webhook is down.
var down = metav1.Status{Code: 500, Reason: metav1.StatusReasonInternalError}

// TestHindered: what keeps a step from being done is said in the words of the API server, which are not shown anew for each try.
func TestHindered(t *testing.T) {
	p := newFaultyPlay(t, v1alpha1.WriteApply, down)
	says := func() string {
		t.Helper()
		out, err := p.call()
		if err == nil || out.Status.State != v1alpha1.StepStarted {
			t.Fatalf("%+v, %v", out, err)
		}
		return out.Status.Message
	}
	first := says()
	until := p.record.Spec.ClaimedAt.Add(30 * time.Minute).UTC().Format("15:04:05 MST")
	for _, words := range []string{"cannot be done at the moment: failed to apply ConfigMap a/c: the server says no", "tried until", until} {
		if !strings.Contains(first, words) {
			t.Errorf("%q is not in %q", words, first)
		}
	}
	p.record.Spec.Timeout = "40m"
	if p.later(time.Second); says() != first {
		t.Error("what is shown changes with each try")
	}
	if p.later(sameWords); says() == first {
		t.Error("what is shown never changes")
	}
}

// TestHinderedToTheEnd: a step whose time is over says what kept it from being done all the time, and whether it may have been done all the same.
func TestHinderedToTheEnd(t *testing.T) {
	const end = "execution.timeout (30m0s) is over"
	webhook := metav1.Status{Code: 500, Reason: metav1.StatusReasonInternalError, Message: `Internal error occurred: failed calling webhook "down.example.com"`}
	for name, tc := range map[string]struct {
		operation v1alpha1.WriteOperation
		answer    metav1.Status
		want      string
	}{
		"Unadmitted": {v1alpha1.WriteApply, webhook, `nothing was written: failed to apply ConfigMap a/c: Internal error occurred: failed calling webhook "down.example.com"; ` + end},
		"Undeleted":  {v1alpha1.WriteDelete, webhook, `nothing was deleted: failed to delete ConfigMap a/c: Internal error occurred: failed calling webhook "down.example.com"; ` + end},
		"Unknown":    {v1alpha1.WriteApply, metav1.Status{Code: 500, Message: "the server says no"}, end + ", and it cannot be told whether anything was written: failed to apply ConfigMap a/c: the server says no. Look at ConfigMap a/c"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newFaultyPlay(t, tc.operation, tc.answer)
			if tc.operation == v1alpha1.WriteDelete {
				p.step.Writes[0].Body.Raw = []byte(`{"preconditions":{"uid":"u"}}`)
			}
			p.runner.Claimed(p.record)
			if _, err := p.call(); err == nil {
				t.Fatal("it could be done")
			}
			p.later(31 * time.Minute)
			if out, err := p.call(); err != nil || out.Status.State != v1alpha1.StepFailed || out.Status.Message != tc.want {
				t.Errorf("%v, %+v", err, out.Status)
			}
		})
	}
}

// TestHinderedOtherwise: what is said at the end is why the last try failed, also where people were shown the words of the first one.
func TestHinderedOtherwise(t *testing.T) {
	p := newFaultyPlay(t, v1alpha1.WriteApply, down)
	task := p.runner.newTask(p.record, p.step, p.status)
	task.hindered("the first")
	if shown := task.hindered("the second"); !strings.Contains(shown, "the first") {
		t.Errorf("it is shown as %q", shown)
	}
	if why, is := task.isHindered(); !is || why != "the second" {
		t.Errorf("it is kept as %q", why)
	}
}

// TestHinderedLate: what may run is looked for also once its time is over, which is not said to be to come.
func TestHinderedLate(t *testing.T) {
	p := newFaultyPlay(t, v1alpha1.WriteCreateJob, down)
	p.runner.Claimed(p.record)
	p.status = v1alpha1.StepStatus{Name: "s", State: v1alpha1.StepStarted, Basis: basisJob + "u"}
	p.later(31 * time.Minute)
	out, err := p.call()
	if message := out.Status.Message; err == nil || strings.Contains(message, "tried until 2") || !strings.Contains(message, "execution.timeout (30m0s) is over, and it is tried until that is known") {
		t.Errorf("%v, %+v", err, out.Status)
	}
}

// TestNextAttemptNamesItsDay: an attempt can come after midnight.
func TestNextAttemptNamesItsDay(t *testing.T) {
	refused := metav1.Status{Code: 422, Reason: metav1.StatusReasonInvalid}
	p := newFaultyPlay(t, v1alpha1.WriteApply, refused)
	p.step.Retries = 1
	p.clock.SetTime(time.Date(2026, 11, 23, 23, 59, 55, 0, time.UTC))
	p.record.Spec.ClaimedAt = metav1.NewMicroTime(p.clock.Now())
	if out, err := p.call(); err != nil || !strings.Contains(out.Status.Message, "attempt 2 of 2 comes at 24 Nov 00:00:05 UTC") {
		t.Errorf("%v, %+v", err, out.Status)
	}
}

// TestStoppable is about steps that have begun, and of which the Record says nothing that they have done.
func TestStoppable(t *testing.T) {
	refused := metav1.Status{Code: 429, Reason: metav1.StatusReasonTooManyRequests}
	for name, tc := range map[string]struct {
		reason         string
		operation      v1alpha1.WriteOperation
		answer         metav1.Status
		basis          string
		stop, doubtful bool
	}{
		"Write":    {"nobody knows whether it was done", v1alpha1.WriteApply, down, "", true, true},
		"Refused":  {"it was not", v1alpha1.WriteApply, refused, "", true, false},
		"Delete":   {"as with a write", v1alpha1.WriteDelete, down, "", true, true},
		"Patch":    {"it was announced, and may have been sent", v1alpha1.WriteJSONPatch, down, basisIntent + "5/x", true, true},
		"Read":     {"what it is about could not be read, so nothing was sent", v1alpha1.WriteJSONPatch, down, "", true, false},
		"Job":      {"one may run: it is looked for", v1alpha1.WriteCreateJob, down, "", false, true},
		"NoJob":    {"none was created", v1alpha1.WriteCreateJob, refused, "", true, false},
		"JobRuns":  {"it is seen to its end", v1alpha1.WriteCreateJob, down, basisJob + "u", false, false},
		"Finished": {"it has done all, which others judge", v1alpha1.WriteApply, down, basisWritten + "5", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newFaultyPlay(t, tc.operation, tc.answer)
			if tc.operation == v1alpha1.WriteDelete {
				p.step.Writes[0].Body.Raw = []byte(`{"preconditions":{"uid":"u"}}`)
			}
			if tc.basis != "" && tc.operation == v1alpha1.WriteJSONPatch {
				p.step.Writes[0].Body.Raw = []byte(`[]`)
			}
			p.runner.Claimed(p.record)
			p.status = v1alpha1.StepStatus{Name: "s", State: v1alpha1.StepStarted, Basis: tc.basis}
			out, _ := p.call()
			stop, doubtful := p.runner.Stoppable(p.record, p.step, out.Status), p.runner.Doubtful(p.record, p.step, out.Status)
			if stop != tc.stop || doubtful != tc.doubtful {
				t.Errorf("%s: it may end here: %v, and is in doubt: %v; %+v", tc.reason, stop, doubtful, out.Status)
			}
		})
	}
}

// TestTryHindered: that nothing could be written now is told to those who are asked, in the words of the API server.
func TestTryHindered(t *testing.T) {
	p := newFaultyPlay(t, v1alpha1.WriteApply, down)
	p.record.Spec.Steps = []v1alpha1.RenderedStep{*p.step}
	got := p.runner.Try(t.Context(), p.record, shown)
	if len(got.Refusals) != 1 || len(got.Untried) > 0 || !strings.HasPrefix(got.Refusals[0].Message, "at the moment: ") || !strings.Contains(got.Refusals[0].Message, "the server says no") {
		t.Errorf("got %+v", got)
	}
}

// TestSecondWriteFails names what a step had written before one of its writes failed.
func TestSecondWriteFails(t *testing.T) {
	for code, ends := range map[int]bool{http.StatusForbidden: true, http.StatusInternalServerError: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if !strings.HasSuffix(r.URL.Path, "/second") {
				_, _ = fmt.Fprint(w, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"a","name":"c","resourceVersion":"5"}}`)
				return
			}
			w.WriteHeader(code)
			_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: int32(code), Message: "no"})
		}))
		t.Cleanup(server.Close)
		p := newFaultyPlay(t, v1alpha1.WriteApply, down)
		p.runs(NewRunner(NewClients(&rest.Config{Host: server.URL}, p.runner.clients.mapper), nil, p.clock, p.wake, p.budget))
		second := p.step.Writes[0]
		second.Object.Name = "second"
		p.step.Writes = append(p.step.Writes, second)
		out, err := p.call()
		if (err == nil) != ends || !strings.Contains(out.Status.Message, "Written before that, and left as it is: ConfigMap a/c") {
			t.Errorf("%d: %v, %+v", code, err, out.Status)
		}
		temporary := p.runner.newTask(&v1alpha1.Record{Spec: v1alpha1.RecordSpec{Duration: "1h"}}, p.step, v1alpha1.StepStatus{})
		if got := temporary.withWritten("no", 1); got != "no. Written before that, and taken back at the end: ConfigMap a/c" {
			t.Errorf("what is lent does not stay: %q", got)
		}
	}
}
