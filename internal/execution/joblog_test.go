package execution

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// logging is a kubelet behind an API server, and so is what it gives: it goes to the first of the last lines, and ends after so many bytes.
func logging(t *testing.T, log string) *Clients {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent := log
		if limit, err := strconv.Atoi(r.URL.Query().Get("limitBytes")); err == nil {
			sent = log[:min(limit, len(log))]
		}
		_, _ = io.WriteString(w, sent)
	}))
	t.Cleanup(server.Close)
	return NewClients(&rest.Config{Host: server.URL}, nil)
}

// TestEndOfLog: what is kept of a log is its end, however long its last lines are.
func TestEndOfLog(t *testing.T) {
	for name, tc := range map[string]struct{ reason, log string }{
		"Short": {"all of it is its end", "a\nthe error\n"},
		"Line":  {"one line is longer than what is kept", strings.Repeat("x", 1<<20) + "the error\n"},
		"Lines": {"so are all of them together", strings.Repeat(strings.Repeat("y", 7<<10)+"\n", 49) + "the error\n"},
	} {
		t.Run(name, func(t *testing.T) {
			clients := logging(t, tc.log)
			log, err := clients.Log(t.Context(), "platform", "deployer", &LogQuery{Namespace: "a", Pod: "p", Container: "c", Lines: 50})
			if err != nil || !strings.HasSuffix(log, "the error\n") || len(log) != min(len(tc.log), maxLog) {
				t.Errorf("%s: %d bytes, error %v", tc.reason, len(log), err)
			}
		})
	}
}

// TestLogWithoutEnd: of a log of which nobody has come to the end nothing is kept. A Job that is complete stays so, and no output is made of it.
func TestLogWithoutEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		outputs []v1alpha1.StepOutput
		state   v1alpha1.StepState
	}{
		"Done":   {"the log is no part of what it did", nil, v1alpha1.StepDone},
		"Output": {"what is read of it would not be its end", []v1alpha1.StepOutput{{Name: "log", Expression: "job.log", Schema: runtime.RawExtension{Raw: []byte(`{"type":"string","maxLength":1000}`)}}}, v1alpha1.StepFailed},
	} {
		t.Run(name, func(t *testing.T) {
			p, answers := newAnsweredJob(t, "Complete")
			answers["/log"] = strings.Repeat("0", maxLogRead+1)
			p.step.Outputs = tc.outputs
			out := p.want(tc.state, "more than 32 MiB")
			if job := out.Status.Job; job == nil || job.Message != "said" || !strings.HasPrefix(job.Log, noLog) {
				t.Errorf("%s: %+v", tc.reason, job)
			}
		})
	}
}
