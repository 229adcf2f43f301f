package execution

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestRevertInSteadyWords: why something cannot be taken back is said by others, anew each time. What is shown is written, and each write would bring the next
// attempt without a pause, so it changes now and then only.
func TestRevertInSteadyWords(t *testing.T) {
	var attempts atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprintf(w, `{"apiVersion":"v1","kind":"Status","status":"Failure","code":500,"message":"etcd: request %d timed out"}`, attempts.Add(1))
	}))
	t.Cleanup(server.Close)
	p := newFaultyPlay(t, v1alpha1.WriteApply, down)
	p.runs(NewRunner(NewClients(&rest.Config{Host: server.URL}, p.runner.clients.mapper), nil, p.clock, p.wake, p.budget))
	p.record.Status.Undo = []v1alpha1.Undo{
		{Step: "s", Object: configMapRef("a", "c"), FieldManager: "m", Created: true},
		{Step: "s", Object: configMapRef("a", "d"), FieldManager: "m", UID: "u"},
	}
	says := func() string {
		t.Helper()
		left := p.runner.Revert(t.Context(), p.record).Left
		if len(left) != 2 || !strings.HasPrefix(left[0], "ConfigMap a/d is left: etcd") || !strings.HasPrefix(left[1], "ConfigMap a/c is left: etcd") {
			t.Fatalf("left: %q", left)
		}
		return strings.Join(left, "; ")
	}
	first := says()
	if p.later(sameWords - time.Second); says() != first || attempts.Load() < 4 {
		t.Error("what is shown changes with each attempt")
	}
	if p.later(time.Second); says() == first {
		t.Error("what is shown never changes")
	}
}
