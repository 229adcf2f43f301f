package auditlog

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/config"
)

// receiver takes what is sent to it.
type receiver struct {
	*httptest.Server
	mu sync.Mutex
	// answers are given first, one for each request; then it says yes. 0: it takes the lines, and its answer is lost.
	answers []int
	// lines are those that it has taken, and asked is how often it was asked.
	lines []string
	asked int
	last  http.Header
	// taken says that lines were taken.
	taken chan struct{}
}

func newReceiver(t testing.TB, answers ...int) *receiver {
	t.Helper()
	r := &receiver{answers: answers, taken: make(chan struct{}, 1000)}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	r.last = request.Header.Clone()
	answer := http.StatusNoContent
	if len(r.answers) > 0 {
		answer, r.answers = r.answers[0], r.answers[1:]
	}
	if answer != 0 && answer > 299 {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(answer)
		return
	}
	r.lines = append(r.lines, strings.SplitAfter(strings.TrimSuffix(string(body), "\n"), "\n")...)
	r.taken <- struct{}{}
	if answer == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(answer)
}

// log is what was taken, without what was sent again.
func (r *receiver) log() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	var text strings.Builder
	seen := map[string]bool{}
	for _, line := range r.lines {
		line = strings.TrimSuffix(line, "\n") + "\n"
		if !seen[line] {
			text.WriteString(line)
		}
		seen[line] = true
	}
	return []byte(text.String())
}

// has waits until the receiver has so many facts, in their order.
func (r *receiver) has(t testing.TB, keys Keys, n int) *content {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if c := read(t, keys, r.log()); len(c.order) >= n {
			return whole(t, keys, r.log(), n)
		}
		select {
		case <-r.taken:
		case <-deadline:
			t.Fatalf("the receiver was asked %d times and has\n%s", r.asked, r.log())
		}
	}
}

func httpSink(url, dir string) config.AuditSink {
	return config.AuditSink{HTTP: &config.AuditHTTP{URL: url, OutboxDir: dir}}
}

// deliver sends what is in the outbox, with pauses as short as they can be, until the function that it gives is called.
func deliver(t testing.TB, l *Log) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		for ctx.Err() == nil {
			if sent, err := l.senders[0].next(ctx); !sent || err != nil {
				l.senders[0].wait(ctx, time.Millisecond, l.senders[0].outbox.wake)
			}
		}
	})
	stop = sync.OnceFunc(func() { cancel(); group.Wait() })
	t.Cleanup(stop)
	return stop
}

// TestReceiver is about a receiver that fails in every way: nobody waits for it, and it gets everything in order.
func TestReceiver(t *testing.T) {
	cases := map[string]struct {
		reason  string
		answers []int
	}{
		"Up":           {"nothing is wrong", nil},
		"Errors":       {"it fails for a while", []int{500, 503, 429, 500}},
		"Redirects":    {"evidence goes nowhere else", []int{301, 307, 302}},
		"Refuses":      {"a person must repair it, and nothing is lost until then", []int{401, 404, 400}},
		"AnswersLost":  {"it has the lines, and its answers do not arrive: it gets them again", []int{0, 0, 0}},
		"TooLarge":     {"it wants less at once", []int{413, 413, 413}},
		"Mixed":        {"everything at once", []int{0, 500, 413, 0, 302}},
		"ErrorsBefore": {"it is not up at first", []int{502}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			keys := newTestKeys(t, "controller")
			r := newReceiver(t, tc.answers...)
			l := newTestLog(t, options(keys, httpSink(r.URL, t.TempDir())))
			mustWrite(t, l, 1, 2)
			stop := deliver(t, l)
			mustWrite(t, l, 3, 4, 5, 6, 7)
			c := r.has(t, keys, 7)
			stop()
			if c.report.Checkpoints == 0 {
				t.Errorf("%s: checkpoints are delivered too", tc.reason)
			}
			if r.asked < len(tc.answers) {
				t.Errorf("%s: asked %d times", tc.reason, r.asked)
			}
		})
	}
}

// TestReceiverDown is about a receiver that is not there: nobody waits, and what was written outlives the process.
func TestReceiverDown(t *testing.T) {
	keys := newTestKeys(t, "controller")
	dir := t.TempDir()
	l := newTestLog(t, options(keys, httpSink("http://127.0.0.1:1/", dir)))
	stop := deliver(t, l)
	mustWrite(t, l, 1, 2, 3, 4)
	if err := l.Ready(); err != nil {
		t.Errorf("a receiver that is down keeps nothing from starting: %v", err)
	}
	if lines, size, since := l.senders[0].outbox.waiting(); lines != 6 || size == 0 || since.IsZero() {
		t.Errorf("got %d lines, %d bytes since %s", lines, size, since)
	} else {
		// What came to the outbox long before that, or at the same time, is told apart.
		if err := l.Delivered(since.Add(-deliveryMargin - time.Second)); err != nil {
			t.Errorf("what is older than all that waits has been delivered: %v", err)
		}
		if err := l.Delivered(since); err == nil || !strings.Contains(err.Error(), "audit sink http: 6 lines wait for the receiver") {
			t.Errorf("what waits has not: %v", err)
		}
	}
	stop()
	abandon(l)
	r := newReceiver(t)
	again := newTestLog(t, options(keys, httpSink(r.URL, dir)))
	mustWrite(t, again, 3, 4, 5)
	deliver(t, again)
	r.has(t, keys, 5)
}

// TestAcknowledged is about what a receiver has: it is not sent again after a restart.
func TestAcknowledged(t *testing.T) {
	keys := newTestKeys(t, "controller")
	dir := t.TempDir()
	r := newReceiver(t)
	l := newTestLog(t, options(keys, httpSink(r.URL, dir)))
	mustWrite(t, l, 1, 2, 3, 4)
	stop := deliver(t, l)
	r.has(t, keys, 4)
	for lines := int64(1); lines > 0; lines, _, _ = l.senders[0].outbox.waiting() {
		l.senders[0].wait(t.Context(), time.Millisecond, nil)
	}
	if err := l.Delivered(time.Now()); err != nil {
		t.Errorf("the receiver has everything: %v", err)
	}
	stop()
	abandon(l)
	had := len(r.lines)
	again := newTestLog(t, options(keys, httpSink(r.URL, dir)))
	mustWrite(t, again, 1, 2, 3, 4, 5)
	deliver(t, again)
	r.has(t, keys, 5)
	if got := len(r.lines) - had; got != 3 {
		t.Errorf("after a restart, %d lines were sent, want that it goes on, fact 5 and a checkpoint", got)
	}
}

// TestOutboxCutAnywhere is about a process that died at any byte of what it wrote, whatever of it the receiver had.
func TestOutboxCutAnywhere(t *testing.T) {
	keys := newTestKeys(t, "controller")
	dir := t.TempDir()
	l := newTestLog(t, options(keys, httpSink("http://127.0.0.1:1/", dir)))
	mustWrite(t, l, 1, 2, 3)
	abandon(l)
	raw := mustRead(t, filepath.Join(dir, outboxFile))
	chain := l.sinks[0].ended.Chain
	for _, size := range cuts(raw) {
		whole := strings.Count(string(raw[:size]), "\n")
		got := ""
		l := newTestLog(t, options(keys, httpSink("http://127.0.0.1:1/", dir)))
		box := l.senders[0].outbox
		box.disk = (&faulty{space: -1, lazy: true}).disk()
		if err := os.WriteFile(filepath.Join(dir, outboxFile), raw[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, ackFile), []byte(`{"chain":"`+chain+`","count":`+string(rune('0'+min(whole, size%4)))+`}`), 0o600); err != nil {
			t.Fatal(err)
		}
		got = strings.Join(strings.SplitAfter(string(raw[:size]), "\n")[:min(whole, size%4)], "")
		mustWrite(t, l, 1, 2, 3, 4)
		for {
			body, lines, err := box.batch(2)
			if err != nil {
				t.Fatal(err)
			}
			if lines == 0 {
				break
			}
			got += string(body)
			if err := box.acknowledge(len(body), lines); err != nil {
				t.Fatal(err)
			}
		}
		abandon(l)
		c := read(t, keys, []byte(got))
		if diff := cmp.Diff(map[string]int{"r-001": 1, "r-002": 1, "r-003": 1, "r-004": 1}, c.count); c.report.Gap != nil || diff != "" {
			t.Fatalf("cut at %d of %d: %v %s", size, len(raw), c.report.Gap, diff)
		}
	}
}

// TestCompact is about an outbox that does not grow for ever, and goes on with its log although its beginning is gone.
func TestCompact(t *testing.T) {
	keys := newTestKeys(t, "controller")
	dir := t.TempDir()
	r := newReceiver(t)
	n, most := 0, int64(0)
	for range 6 {
		l := newTestLog(t, options(keys, httpSink(r.URL, dir)))
		l.senders[0].outbox.compactFrom = 4096
		stop := deliver(t, l)
		for range 15 {
			n++
			mustWrite(t, l, n)
			r.has(t, keys, n)
			most = max(most, l.senders[0].outbox.size)
		}
		stop()
		abandon(l)
	}
	c := whole(t, keys, r.log(), n)
	if len(c.report.Chains) != 1 {
		t.Errorf("got %d logs", len(c.report.Chains))
	}
	if total := int64(len(r.log())); most > total/3 {
		t.Errorf("the outbox had up to %d bytes, and %d were delivered", most, total)
	}
}

// TestCompactWhileSynced is about an outbox that is made smaller while what was written before is synced: the file that was synced is closed then, and not the
// one of that name, and nothing is wrong for that.
func TestCompactWhileSynced(t *testing.T) {
	keys := newTestKeys(t, "controller")
	r := newReceiver(t)
	l := newTestLog(t, options(keys, httpSink(r.URL, t.TempDir())))
	s, box := l.sinks[0], l.senders[0].outbox
	box.compactFrom = 1
	slow := &slowDisk{}
	box.disk.open = slow.opens(box.disk.open)
	mustWrite(t, l, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	for sent := true; sent; {
		var err error
		if sent, err = l.senders[0].next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := box.out
	box.compactAt = box.size // not before what is written now is synced
	slow.during = func() {
		slow.during = nil
		box.compactAt = 1
		if _, err := s.append([]audit.Event{fact(11)}); err != nil {
			t.Error(err)
		}
	}
	if err := l.Write(fact(10)); err != nil {
		t.Errorf("what was written is there, and it says: %v", err)
	}
	if box.out == before {
		t.Fatal("the outbox was not made smaller")
	}
	if err := l.Ready(); err != nil {
		t.Errorf("nothing is wrong, and it says: %v", err)
	}
	mustWrite(t, l, 10, 11, 12)
	stop := deliver(t, l)
	r.has(t, keys, 12)
	stop()
	// What is wrong with the disk still is.
	slow.fails = errDisk
	if err := l.Write(fact(13)); !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
}

// slowDisk lets something happen while a file is synced.
type slowDisk struct {
	during func()
	fails  error
}

type slowFile struct {
	handle
	disk *slowDisk
}

func (d *slowDisk) opens(open func(string) (handle, int64, error)) func(string) (handle, int64, error) {
	return func(path string) (handle, int64, error) {
		h, size, err := open(path)
		return &slowFile{h, d}, size, err
	}
}

func (f *slowFile) Sync() error {
	if f.disk.during != nil {
		f.disk.during()
	}
	if f.disk.fails != nil {
		return f.disk.fails
	}
	return f.handle.Sync()
}

// TestOutboxFull is about a receiver that is down for too long: nothing starts before nothing can be written at all, and when the receiver is
// back, everything is there.
func TestOutboxFull(t *testing.T) {
	keys := newTestKeys(t, "controller")
	r := newReceiver(t)
	l := newTestLog(t, options(keys, httpSink(r.URL, t.TempDir())))
	l.senders[0].outbox.max = 8192
	n := 0
	for l.Ready() == nil {
		n++
		mustWrite(t, l, n)
	}
	n++
	mustWrite(t, l, n)
	var err error
	for err == nil {
		n++
		err = l.Write(fact(n))
	}
	var failed *Error
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "the outbox is full") {
		t.Errorf("got %v", err)
	}
	mustWrite(t, l, 1) // it is there
	deliver(t, l)
	r.has(t, keys, n-1)
	for l.Ready() != nil {
		l.senders[0].wait(t.Context(), time.Millisecond, nil)
	}
	mustWrite(t, l, n)
	r.has(t, keys, n)
}

// TestSlowReceiver is about a receiver that does not answer: nobody waits for it.
func TestSlowReceiver(t *testing.T) {
	keys := newTestKeys(t, "controller")
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer slow.Close()
	defer close(release)
	l := newTestLog(t, options(keys, httpSink(slow.URL, t.TempDir())))
	stop := deliver(t, l)
	defer stop()
	for n := range 20 {
		mustWrite(t, l, n)
	}
	if lines, _, _ := l.senders[0].outbox.waiting(); lines < 20 {
		t.Errorf("got %d lines", lines)
	}
}

// TestHeaders is about what is sent beside the facts, and that it is read anew.
func TestHeaders(t *testing.T) {
	keys := newTestKeys(t, "controller")
	dir := t.TempDir()
	server := newReceiver(t)
	secure := httptest.NewTLSServer(server)
	defer secure.Close()
	files := map[string]string{
		"ca":      string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})),
		"token":   "s3cret\n",
		"headers": "# who we are\nX-Scope-OrgID: signoff\n\nContent-Type: text/plain\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sink := httpSink(secure.URL, filepath.Join(dir, "outbox"))
	sink.HTTP.CAFile, sink.HTTP.BearerTokenFile, sink.HTTP.HeadersFile = dir+"/ca", dir+"/token", dir+"/headers"
	l := newTestLog(t, options(keys, sink))
	mustWrite(t, l, 1)
	if sent, err := l.senders[0].next(t.Context()); err != nil || !sent {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"Authorization": "Bearer s3cret", "X-Scope-Orgid": "signoff", "Content-Type": "application/x-ndjson", "User-Agent": "signoff"} {
		if got := server.last.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if err := os.WriteFile(dir+"/token", []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, l, 2)
	if _, err := l.senders[0].next(t.Context()); err != nil || server.last.Get("Authorization") != "Bearer new" {
		t.Errorf("got %v, %q", err, server.last.Get("Authorization"))
	}
	for _, text := range []string{"no header", "Bad Name: a", "X: a\x01b"} {
		if err := os.WriteFile(dir+"/headers", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, l, 3)
		if _, err := l.senders[0].next(t.Context()); err == nil || strings.Contains(err.Error(), text) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// TestStrangerIsNoReceiver is about somebody else who answers: nothing is sent to them.
func TestStrangerIsNoReceiver(t *testing.T) {
	keys := newTestKeys(t, "controller")
	server := newReceiver(t)
	secure := httptest.NewUnstartedServer(server)
	secure.Config.ErrorLog = nil
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	secure.StartTLS()
	defer secure.Close()
	l := newTestLog(t, options(keys, httpSink(secure.URL, t.TempDir())))
	mustWrite(t, l, 1)
	if _, err := l.senders[0].next(t.Context()); err == nil || len(server.lines) > 0 {
		t.Errorf("got %v, %v", err, server.lines)
	}
}

// TestMetrics is about what operators watch.
func TestMetrics(t *testing.T) {
	keys := newTestKeys(t, "controller")
	r := newReceiver(t)
	l := newTestLog(t, options(keys, httpSink(r.URL, t.TempDir())))
	shows := func() map[string]float64 {
		t.Helper()
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(shown)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]float64{}
		for _, family := range families {
			values[family.GetName()] = family.GetMetric()[0].GetGauge().GetValue()
		}
		return values
	}
	mustWrite(t, l, 1, 2)
	if got := shows(); got["signoff_audit_outbox_lines"] != 4 || got["signoff_audit_outbox_bytes"] == 0 || got["signoff_audit_outbox_oldest_seconds"] <= 0 {
		t.Errorf("got %v", got)
	}
	if _, err := l.senders[0].next(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, value := range shows() {
		if value != 0 {
			t.Errorf("%s is %v although everything was delivered", name, value)
		}
	}
}
