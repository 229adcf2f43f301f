package plugin

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// line is that between somebody and the API server, which can be cut.
type line struct {
	*httptest.Server
	cut atomic.Bool
	// watches are those that were begun, and lost what came while it was cut.
	watches, lost atomic.Int32
}

// lineOf makes a line of somebody.
func lineOf(t *testing.T, who env.Person) *line {
	t.Helper()
	transport, err := rest.TransportFor(who.Config)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(who.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	l := &line{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.cut.Load() {
			l.lost.Add(1)
			panic(http.ErrAbortHandler) // the connection ends without an answer
		}
		if r.URL.Query().Get("watch") != "" {
			l.watches.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(l.Close)
	return l
}

// TestWaitWhileNobodyAnswers says so once, in the words of the plugin and not in those of a library, and goes on.
func TestWaitWhileNobodyAnswers(t *testing.T) {
	asked(t, users.Alice, "wait-away", "text=a", "level=high")
	reaches(t, "wait-away", v1alpha1.PhaseAwaitingApproval)
	between := lineOf(t, users.Alice)
	login(t, users.Alice)
	var told bytes.Buffer
	command := exec.CommandContext(t.Context(), programOf(t), "wait", "-n", "payments", "wait-away", "--timeout", "60s", "--server", between.URL)
	command.Stderr = &told
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "that it watches", func() (bool, string) { return between.watches.Load() > 0, "" })
	between.cut.Store(true)
	between.CloseClientConnections()
	eventually(t, "that it tries again and again", func() (bool, string) { return between.lost.Load() > 2, "" })
	between.cut.Store(false)
	kubectl(t, users.Alice, "", "cancel", "-n", "payments", "wait-away", "--reason", "enough").says(t, 0)
	err := command.Wait()
	if exited := (*exec.ExitError)(nil); !errors.As(err, &exited) || exited.ExitCode() != 4 {
		t.Errorf("it ended with %v", err)
	}
	if text := told.String(); strings.Count(text, "no answer from the API server; still trying\n") != 1 || strings.Contains(text, "Watch failed") {
		t.Errorf("it says:\n%s", text)
	}
}
