package setup

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// TestDrained asks a server of webhooks over one connection before and after its process is told to end.
func TestDrained(t *testing.T) {
	mux := http.NewServeMux()
	server := &drained{Server: webhook.NewServer(webhook.Options{WebhookMux: mux})}
	server.Register("/hook", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	host := httptest.NewServer(mux)
	t.Cleanup(host.Close)
	closes := func() bool {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, host.URL+"/hook", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := host.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		if answer.StatusCode != http.StatusTeapot {
			t.Errorf("it does not answer: %s", answer.Status)
		}
		return answer.Close
	}
	told, tell := context.WithCancel(t.Context())
	ends := server.after(told, 10*time.Second)
	if closes() {
		t.Error("a connection is used once only, although nothing ends")
	}
	tell()
	for until := time.Now().Add(10 * time.Second); !closes(); {
		if time.Now().After(until) {
			t.Fatal("the API server may use a connection that is about to be closed")
		}
	}
	if ends.Err() != nil {
		t.Error("the process ended at once")
	}
}

// TestNotDrained: a process that serves nobody ends when it is told to.
func TestNotDrained(t *testing.T) {
	told, tell := context.WithCancel(t.Context())
	ends := (&drained{}).after(told, 0)
	tell()
	<-ends.Done()
}
