package crash

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/seal"
	"github.com/signoff-dev/signoff/test/env"
)

// observed configures the audit log.
func (w *world) observed(cfg *config.Configuration) {
	cfg.Audit.Checkpoints.Lines = 20
	cfg.Audit.Sinks = []config.AuditSink{
		{File: &config.AuditFile{Path: w.auditFile()}},
		{HTTP: &config.AuditHTTP{URL: w.observer.URL, OutboxDir: filepath.Join(w.evidence, "outbox")}},
	}
}

func (w *world) auditFile() string { return filepath.Join(w.evidence, "audit.jsonl") }

// receive fails every third time, and every third time takes what is sent without saying so.
func (w *world) receive(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(in.Body)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch rand.IntN(3) {
	case 0:
		out.WriteHeader(http.StatusServiceUnavailable)
	case 1:
		w.received.Write(body)
		panic(http.ErrAbortHandler)
	default:
		w.received.Write(body)
	}
}

// unrepeated is what was received, without what was sent again.
func (w *world) unrepeated() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out bytes.Buffer
	seen := map[string]bool{}
	for _, line := range strings.SplitAfter(w.received.String(), "\n") {
		if !seen[line] {
			out.WriteString(line)
		}
		seen[line] = true
	}
	return out.Bytes()
}

// checkEvidence counts what is in the audit log: it is whole, and nothing is missing.
func (w *world) checkEvidence() {
	published := &corev1.ConfigMap{}
	w.get(env.SystemNamespace, keys.DocumentName, published)
	document, err := keys.ParseDocument([]byte(published.Data[keys.DocumentKey]))
	if err != nil {
		w.Fatal(err)
	}
	ring, err := document.Keyring()
	if err != nil {
		w.Fatal(err)
	}
	raw, err := os.ReadFile(w.auditFile())
	if err != nil {
		w.Fatal(err)
	}
	repeated := w.checkLog("the file", raw, ring)
	w.Logf("%d facts are in the file more than once", repeated)
	// A receiver that failed several times in a row is left alone for up to a minute.
	deadline := time.Now().Add(4 * time.Minute)
	for {
		text := w.unrepeated()
		if w.complete(text) == "" {
			w.checkLog("the receiver", text, ring)
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("the receiver lacks %s", w.complete(text))
		}
		pause(w.Context(), 100*time.Millisecond)
	}
}

func (w *world) checkLog(name string, raw []byte, ring *seal.Keyring) int {
	report, err := audit.Verify(bytes.NewReader(raw), ring)
	if err != nil || report.Gap != nil {
		w.Errorf("%s: %v %v", name, err, report.Gap)
		return 0
	}
	if len(report.Chains) != 1 {
		w.Errorf("%s: every process goes on with the log; there are %d", name, len(report.Chains))
	}
	if lacks := w.complete(raw); lacks != "" {
		w.Errorf("%s lacks %s", name, lacks)
	}
	counts, repeated := map[string]int{}, 0
	_ = audit.Read(bytes.NewReader(raw), func(f *audit.Fact) error {
		if counts[f.ID+f.Data.State]++; counts[f.ID+f.Data.State] > 1 {
			repeated++
		}
		return nil
	})
	if repeated > requests {
		w.Errorf("%s: %d facts are there again, which is more than a crash explains", name, repeated)
	}
	return repeated
}

// complete says what is missing in a log.
func (w *world) complete(raw []byte) string {
	has := map[string]bool{}
	err := audit.Read(bytes.NewReader(raw), func(f *audit.Fact) error {
		has[f.Subject+" "+f.Type+f.Data.Step] = true
		return nil
	})
	if err != nil {
		return err.Error()
	}
	for i := range requests {
		want := []string{audit.TypeRequested, audit.TypeStarted, audit.TypeStep + "append", audit.TypeSucceeded}
		if i%2 == 1 {
			want = append(want, audit.TypeStageOpened, audit.TypeStageVoted, audit.TypeStageClosed)
		}
		for _, of := range want {
			if key := fmt.Sprintf("%s/%s %s", env.WorkNamespace, name(i), of); !has[key] {
				return key
			}
		}
	}
	return ""
}
