package auditlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"github.com/signoff-dev/signoff/internal/config"
)

func TestFile(t *testing.T) {
	keys := newTestKeys(t, "controller")
	_, path := audited(t)
	l := newTestLog(t, options(keys, fileSink(path)))
	if err := l.Ready(); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, l, 1, 2, 1, 2, 3)
	if c := whole(t, keys, mustRead(t, path), 3); c.report.Checkpoints != 1 {
		t.Errorf("a checkpoint after three lines: got %d", c.report.Checkpoints)
	}
	abandon(l)
	again := newTestLog(t, options(keys, fileSink(path)))
	mustWrite(t, again, 2, 3, 4)
	c := whole(t, keys, mustRead(t, path), 4)
	if len(c.report.Chains) != 1 {
		t.Errorf("another process goes on with the log: got %d logs", len(c.report.Chains))
	}
}

// TestConcurrentFacts is about many reconciliations that write at the same time.
func TestConcurrentFacts(t *testing.T) {
	keys := newTestKeys(t, "controller")
	_, path := audited(t)
	l := newTestLog(t, options(keys, fileSink(path)))
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			for _, n := range []int{i, i / 2} {
				if err := l.Write(fact(n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	c := read(t, keys, mustRead(t, path))
	if c.report.Gap != nil || len(c.count) != 40 || len(c.order) != 40 {
		t.Errorf("got %v, %d different of %d facts", c.report.Gap, len(c.count), len(c.order))
	}
}

// TestSignsAtTheEnd is about a process that ends in order: nothing is left unsigned, and the next may write.
func TestSignsAtTheEnd(t *testing.T) {
	keys := newTestKeys(t, "controller")
	_, path := audited(t)
	l := newTestLog(t, options(keys, fileSink(path)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.Start(ctx) }()
	mustWrite(t, l, 1)
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if c := whole(t, keys, mustRead(t, path), 1); c.report.Unsigned() != 0 {
		t.Errorf("%d lines are not signed", c.report.Unsigned())
	}
	if err := l.Write(fact(2)); err == nil || !strings.Contains(err.Error(), "leads no more") {
		t.Errorf("got %v", err)
	}
	mustWrite(t, newTestLog(t, options(keys, fileSink(path))), 2)
}

// TestFileCutAnywhere is about a process that died at any byte of what it wrote: what was whole is not written again, and nothing is lost.
func TestFileCutAnywhere(t *testing.T) {
	keys := newTestKeys(t, "controller")
	_, path := audited(t)
	l := newTestLog(t, options(keys, fileSink(path)))
	mustWrite(t, l, 1, 2, 3, 4)
	abandon(l)
	raw := mustRead(t, path)
	for _, size := range cuts(raw) {
		if err := os.WriteFile(path, raw[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		again := newTestLog(t, options(keys, fileSink(path)))
		again.sinks[0].medium = &file{path: path, disk: (&faulty{space: -1, lazy: true}).disk()}
		mustWrite(t, again, 1, 2, 3, 4, 5)
		whole(t, keys, mustRead(t, path), 5)
		abandon(again)
	}
}

// TestDiskFull is about a disk that takes a part of a line and no more: nobody goes on, and once there is room again, everything is there.
func TestDiskFull(t *testing.T) {
	keys := newTestKeys(t, "controller")
	clk := testingclock.NewFakeClock(time.Now())
	for space := 0; space < 1200; space += 97 {
		_, path := audited(t)
		o := options(keys, fileSink(path))
		o.Clock = clk
		l := newTestLog(t, o)
		bad := &faulty{space: -1}
		l.sinks[0].medium = &file{path: path, disk: bad.disk()}
		mustWrite(t, l, 1, 2)
		bad.space = space
		var err error
		last := 2
		for err == nil {
			last++
			err = l.Write(fact(last))
		}
		if !errors.Is(err, errDisk) {
			t.Fatalf("got %v", err)
		}
		if err := l.Ready(); err == nil || !strings.Contains(err.Error(), "audit sink file") {
			t.Errorf("nothing may start: got %v", err)
		}
		bad.space = -1
		clk.Step(reopenAfter)
		if err := l.Ready(); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, l, last, last+1)
		whole(t, keys, mustRead(t, path), last+1)
	}
}

// TestSyncFails is about a disk that takes lines and loses them: whoever wrote is told, and they are written again before anybody goes on.
func TestSyncFails(t *testing.T) {
	keys := newTestKeys(t, "controller")
	clk := testingclock.NewFakeClock(time.Now())
	_, path := audited(t)
	o := options(keys, fileSink(path))
	o.Clock = clk
	l := newTestLog(t, o)
	bad := &faulty{space: -1}
	l.sinks[0].medium = &file{path: path, disk: bad.disk()}
	mustWrite(t, l, 1)
	bad.sync = errDisk
	if err := l.Write(fact(2)); !errors.Is(err, errDisk) {
		t.Fatalf("got %v", err)
	}
	clk.Step(reopenAfter)
	if err := l.Write(fact(2)); !errors.Is(err, errDisk) {
		t.Fatalf("it was written and not synced: got %v", err)
	}
	bad.sync = nil
	clk.Step(reopenAfter)
	mustWrite(t, l, 2, 3)
	whole(t, keys, mustRead(t, path), 3)
}

// TestFileIsTaken removes the file, and then gives it another name, while it is written: what comes then is in a file of that name.
func TestFileIsTaken(t *testing.T) {
	keys := newTestKeys(t, "controller")
	clk := testingclock.NewFakeClock(time.Now())
	_, path := audited(t)
	o := options(keys, fileSink(path))
	o.Clock = clk
	l := newTestLog(t, o)
	mustWrite(t, l, 1)
	for n, take := range []func() error{func() error { return os.Remove(path) }, func() error { return os.Rename(path, path+".1") }} {
		if err := take(); err != nil {
			t.Fatal(err)
		}
		if err := l.Write(fact(n + 2)); err == nil || !strings.Contains(err.Error(), "was removed, or given another name") {
			t.Fatalf("what is found by nobody counts as written: %v", err)
		}
		clk.Step(reopenAfter)
		mustWrite(t, l, n+2)
		if got := read(t, keys, mustRead(t, path)); got.report.Gap != nil || !slices.Equal(got.order, []string{fmt.Sprintf("r-%03d", n+2)}) {
			t.Errorf("got %v, %v", got.report.Gap, got.order)
		}
	}
}

// TestOneWriter is about a process that does not know yet that it leads no more.
func TestOneWriter(t *testing.T) {
	keys := newTestKeys(t, "controller")
	_, path := audited(t)
	mustWrite(t, newTestLog(t, options(keys, fileSink(path))), 1)
	if err := newTestLog(t, options(keys, fileSink(path))).Write(fact(2)); err == nil || !strings.Contains(err.Error(), "another process writes it") {
		t.Errorf("got %v", err)
	}
}

// TestAside is about a log that somebody changed: it stays as it is, and another one begins.
func TestAside(t *testing.T) {
	keys := newTestKeys(t, "controller")
	dir, path := audited(t)
	l := newTestLog(t, options(keys, fileSink(path)))
	mustWrite(t, l, 1, 2, 3, 4)
	abandon(l)
	changed := bytes.Replace(mustRead(t, path), []byte("payments/r-003"), []byte("payments/r-333"), 1)
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, newTestLog(t, options(keys, fileSink(path))), 1, 2, 3)
	whole(t, keys, mustRead(t, path), 3)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".broken") && bytes.Equal(mustRead(t, dir+"/"+entry.Name()), changed) {
			return
		}
	}
	t.Errorf("the changed log must stay: got %v", entries)
}

// TestUnknownKeyIsNoReasonToBeginAnew is about keys that have not all been read: the log is whole, and must not be put aside.
func TestUnknownKeyIsNoReasonToBeginAnew(t *testing.T) {
	keys := newTestKeys(t, "controller")
	_, path := audited(t)
	l := newTestLog(t, options(keys, fileSink(path)))
	mustWrite(t, l, 1, 2, 3)
	abandon(l)
	before := mustRead(t, path)
	if err := newTestLog(t, options(newTestKeys(t, "other"), fileSink(path))).Write(fact(4)); err == nil {
		t.Error("the log ends with a checkpoint by a key that is not known")
	}
	if !bytes.Equal(before, mustRead(t, path)) {
		t.Error("the log was changed")
	}
}

// TestWithoutKey is about a controller key that is lost: facts are written, and signed once it is back.
func TestWithoutKey(t *testing.T) {
	keys := newTestKeys(t, "controller")
	_, path := audited(t)
	l := newTestLog(t, options(keys, fileSink(path)))
	keys.fails = errDisk
	mustWrite(t, l, 1, 2, 3, 4)
	keys.fails = nil
	mustWrite(t, l, 5)
	if c := whole(t, keys, mustRead(t, path), 5); c.report.Checkpoints != 1 {
		t.Errorf("got %d checkpoints", c.report.Checkpoints)
	}
}

// TestStdout is about a process that writes to its standard output: each begins a log.
func TestStdout(t *testing.T) {
	keys := newTestKeys(t, "controller")
	out := &bytes.Buffer{}
	for range 2 {
		o := options(keys, config.AuditSink{Stdout: &config.AuditStdout{}})
		o.Stdout = out
		l := newTestLog(t, o)
		mustWrite(t, l, 1, 2)
		for _, s := range l.sinks {
			s.settle()
		}
	}
	c := read(t, keys, out.Bytes())
	if c.report.Gap != nil || len(c.report.Chains) != 2 || c.report.Unsigned() != 0 || c.count["r-001"] != 2 {
		t.Errorf("got %v, %d logs, %v", c.report.Gap, len(c.report.Chains), c.order)
	}
}

// pipe fails when it is told to, after a few bytes.
type pipe struct {
	bytes.Buffer
	fails bool
}

func (p *pipe) Write(line []byte) (int, error) {
	if p.fails {
		n, _ := p.Buffer.Write(line[:10])
		return n, errDisk
	}
	return p.Buffer.Write(line)
}

// TestTornStdout is about a line that was written in part: a new log begins after it, on a line of its own, and says where the old one ended.
func TestTornStdout(t *testing.T) {
	keys := newTestKeys(t, "controller")
	out := &pipe{}
	o := options(keys, config.AuditSink{Stdout: &config.AuditStdout{}})
	o.Stdout = out
	l := newTestLog(t, o)
	mustWrite(t, l, 1)
	out.fails = true
	if err := l.Write(fact(2)); !errors.Is(err, errDisk) {
		t.Fatalf("got %v", err)
	}
	out.fails = false
	l.sinks[0].retry = time.Time{}
	mustWrite(t, l, 2)
	lines := strings.Split(out.String(), "\n")
	if c := read(t, keys, []byte(strings.Join(lines[3:], "\n"))); c.report.Gap != nil || c.count["r-002"] != 1 || !strings.Contains(lines[3], `"previous"`) {
		t.Errorf("got %v in\n%s", c.report.Gap, out)
	}
}

// TestImpossibleFact is about a fact that nobody could verify: it is refused, and the others are still written.
func TestImpossibleFact(t *testing.T) {
	keys := newTestKeys(t, "controller")
	_, path := audited(t)
	l := newTestLog(t, options(keys, fileSink(path)))
	bad := fact(1)
	bad.Data.Request.UID = ""
	if err := l.Write(bad); err == nil || !strings.Contains(err.Error(), "it lacks request") {
		t.Errorf("got %v", err)
	}
	mustWrite(t, l, 1)
	whole(t, keys, mustRead(t, path), 1)
}

// TestSeveralSinks is about a sink that fails: what the other one has is not written there again.
func TestSeveralSinks(t *testing.T) {
	keys := newTestKeys(t, "controller")
	dir, path := audited(t)
	o := options(keys, fileSink(path))
	o.Audit.Sinks = append(o.Audit.Sinks, fileSink(dir+"/missing/audit.jsonl"))
	l := newTestLog(t, o)
	var failed *Error
	if err := l.Write(fact(1)); !errors.As(err, &failed) || failed.Sink != "file-2" {
		t.Fatalf("got %v", err)
	}
	if err := os.Mkdir(dir+"/missing", 0o700); err != nil {
		t.Fatal(err)
	}
	l.sinks[1].retry = time.Time{}
	mustWrite(t, l, 1, 2)
	whole(t, keys, mustRead(t, path), 2)
	whole(t, keys, mustRead(t, dir+"/missing/audit.jsonl"), 2)
}
