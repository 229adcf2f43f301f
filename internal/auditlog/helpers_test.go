package auditlog

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/seal"
)

const testCluster = "3f1a8c52-70b7-4a8e-9d0f-5f8d2c6b1a01"

// testKeys are the keys of a process.
type testKeys struct {
	signer *seal.Signer
	ring   *seal.Keyring
	fails  error
}

func newTestKeys(t testing.TB, name string) *testKeys {
	t.Helper()
	seed := sha256.Sum256([]byte("signoff test key " + name))
	signer, err := seal.NewSigner(seal.Controller, ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.NewKeyring(seal.PublicKey{Key: signer.Public(), Purpose: seal.Controller, NotBefore: time.Now().Add(-time.Hour).Truncate(time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	return &testKeys{signer: signer, ring: ring}
}

func (k *testKeys) Sign(p seal.Payload) (*seal.Envelope, error) {
	if k.fails != nil {
		return nil, k.fails
	}
	return k.signer.Sign(p)
}

func (k *testKeys) Keyring() *seal.Keyring { return k.ring }
func (*testKeys) Refresh() bool            { return true }

// fact is one about a request with this number.
func fact(i int) audit.Event {
	ar := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: fmt.Sprintf("r-%03d", i), UID: types.UID(fmt.Sprintf("uid-%03d", i))}}
	ar.Spec.ActionRef = v1alpha1.ActionReference{Namespace: "platform", Name: "restart"}
	return audit.Denied(ar, "Denied by bob.", time.Now().UTC().Truncate(time.Millisecond))
}

// options are those of a log with one sink, which signs after three lines.
func options(keys Keys, sink config.AuditSink) Options {
	return Options{
		Audit: config.Audit{Sinks: []config.AuditSink{sink}, Checkpoints: config.AuditCheckpoints{Lines: 3, Every: metav1.Duration{Duration: time.Hour}}},
		Keys:  keys, KeysRead: func() error { return nil }, Cluster: testCluster, Clock: clock.RealClock{}, Stdout: &bytes.Buffer{}, Log: logr.Discard(),
	}
}

func newTestLog(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { abandon(l) })
	return l
}

// abandon ends a log as a crash would: nothing is signed.
func abandon(l *Log) {
	for _, s := range l.sinks {
		_ = s.medium.close()
	}
}

func fileSink(path string) config.AuditSink {
	return config.AuditSink{File: &config.AuditFile{Path: path}}
}

// mustWrite writes facts with these numbers.
func mustWrite(t testing.TB, l *Log, numbers ...int) {
	t.Helper()
	for _, i := range numbers {
		if err := l.Write(fact(i)); err != nil {
			t.Fatalf("fact %d: %v", i, err)
		}
	}
}

// content is what a log holds.
type content struct {
	report *audit.Report
	// facts are the names of requests, in their order, and how often each is there.
	order []string
	count map[string]int
}

func read(t testing.TB, keys Keys, raw []byte) *content {
	t.Helper()
	report, err := audit.Verify(bytes.NewReader(raw), keys.Keyring())
	if err != nil {
		t.Fatal(err)
	}
	c := &content{report: report, count: map[string]int{}}
	err = audit.Read(bytes.NewReader(raw), func(f *audit.Fact) error {
		if f.Type == audit.TypeDenied {
			name := strings.TrimPrefix(f.Subject, "payments/")
			c.order, c.count[name] = append(c.order, name), c.count[name]+1
		}
		return nil
	})
	if err != nil && report.Gap == nil {
		t.Fatal(err)
	}
	return c
}

// whole expects a log without a gap that holds facts 1 to n, each once and in their order.
func whole(t testing.TB, keys Keys, raw []byte, n int) *content {
	t.Helper()
	c := read(t, keys, raw)
	if c.report.Gap != nil {
		t.Fatalf("got %v, in\n%s", c.report.Gap, raw)
	}
	for i := 1; i <= n; i++ {
		if want := fmt.Sprintf("r-%03d", i); len(c.order) < i || c.order[i-1] != want {
			t.Fatalf("fact %d should be %s: got %v", i, want, c.order)
		}
	}
	if len(c.order) != n {
		t.Fatalf("got %v, want %d facts", c.order, n)
	}
	return c
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// faulty is a disk that fails when it is told to.
type faulty struct {
	// space is how many bytes can still be written. Negative: as many as one likes.
	space int
	// sync is how syncing fails, and lazy leaves it out.
	sync error
	lazy bool
}

var errDisk = errors.New("the disk is broken")

type faultyFile struct {
	handle
	disk *faulty
}

func (f *faulty) disk() disk {
	d := realDisk(time.Now)
	open := d.open
	d.open = func(path string) (handle, int64, error) {
		h, size, err := open(path)
		return &faultyFile{h, f}, size, err
	}
	return d
}

func (f *faultyFile) WriteAt(p []byte, at int64) (int, error) {
	if f.disk.space < 0 || f.disk.space >= len(p) {
		f.disk.space -= min(len(p), max(f.disk.space, 0))
		return f.handle.WriteAt(p, at)
	}
	n, err := f.handle.WriteAt(p[:f.disk.space], at)
	f.disk.space = 0
	return n, errors.Join(err, errDisk)
}

func (f *faultyFile) Sync() error {
	if f.disk.sync != nil {
		return f.disk.sync
	}
	if f.disk.lazy {
		return nil
	}
	return f.handle.Sync()
}

func audited(t testing.TB) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	return dir, filepath.Join(dir, "audit.jsonl")
}

// cuts are where a log is cut off: at each byte of its last line, and about the end and in the midst of every other one.
func cuts(raw []byte) []int {
	last := bytes.LastIndexByte(raw[:len(raw)-1], '\n')
	var out []int
	for at := range len(raw) + 1 {
		end := at < 2 || raw[at-1] == '\n' || raw[at-2] == '\n' || at < len(raw) && raw[at] == '\n'
		if at >= last || end || at%97 == 0 {
			out = append(out, at)
		}
	}
	return out
}
