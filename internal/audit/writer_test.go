package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/seal"
)

var errDisk = errors.New("no space left on device")

// disk is a writer that is full after so many bytes.
type disk struct {
	bytes.Buffer
	left int
}

func (d *disk) Write(p []byte) (int, error) {
	if len(p) > d.left {
		n, _ := d.Buffer.Write(p[:d.left])
		d.left = 0
		return n, errDisk
	}
	d.left -= len(p)
	return d.Buffer.Write(p)
}

func TestStart(t *testing.T) {
	keys := newKeyring(t)
	for name, tc := range map[string]struct{ reason, cluster, chain string }{
		"NoCluster": {"lines could be of any cluster", "", chainA},
		"NoChain":   {"lines could be of any log", testCluster, ""},
		"BadChain":  {"names have one form", testCluster, strings.ToUpper(chainA)},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if _, err := Start(&out, keys, tc.cluster, tc.chain, nil, noon); err == nil || out.Len() > 0 {
				t.Errorf("%s: got %v and %q", tc.reason, err, out.String())
			}
		})
	}
	if _, err := Start(&disk{}, keys, testCluster, chainA, nil, noon); !errors.Is(err, errDisk) {
		t.Errorf("a full disk: got %v", err)
	}
}

func TestAppendRefuses(t *testing.T) {
	keys := newKeyring(t)
	s := newStory(t, keys, "restart-1", false)
	vote := s.vote("bob", v1alpha1.DecisionApprove)
	for name, tc := range map[string]struct {
		reason string
		change func(e *Event)
		want   string
	}{
		"OtherType":  {"nobody could verify it", func(e *Event) { e.Type = "dev.signoff.other" }, "nobody knows the type"},
		"LogType":    {"the writer alone writes about the log", func(e *Event) { e.Type = TypeCheckpoint }, "about the log itself"},
		"NoID":       {"it could not be told from others", func(e *Event) { e.ID = "" }, "id, type or source"},
		"LongID":     {"work is bounded", func(e *Event) { e.ID = strings.Repeat("x", maxAttribute+1) }, "an attribute has 2049 bytes"},
		"NoSeal":     {"nobody proves it", func(e *Event) { e.Data.Seals = nil }, "lacks seals.vote"},
		"NoRequest":  {"it is about nothing", func(e *Event) { e.Data.Request = nil }, "lacks request"},
		"OtherStage": {"a seal proves one thing", func(e *Event) { e.Data.Stage = &seal.Stage{Name: "other"} }, "vote.v1 is of something else"},
		"OtherTime":  {"a seal proves one thing", func(e *Event) { e.Time = noon.Add(time.Hour) }, "another time"},
		"Subject":    {"people search by it", func(e *Event) { e.Subject = "x" }, "subject"},
		"Log":        {"it is not about the log", func(e *Event) { e.Data.Log = &Log{} }, "not about the log"},
		"BadText":    {"readers replace it", func(e *Event) { e.Data.Message = "\xff" }, "UTF-8"},
		"Huge":       {"work is bounded", func(e *Event) { e.Data.Message = strings.Repeat("x", MaxLine) }, "more than 4194304"},
		"Year":       {"it is not a time", func(e *Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "time"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog(t, keys, chainA, nil)
			before, size := l.End(), l.Len()
			e := vote
			tc.change(&e)
			at, err := l.Append(&e)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
			if at != before || l.End() != before || l.Len() != size {
				t.Errorf("%s: something was written", tc.reason)
			}
			l.add(vote)
		})
	}
}

// TestBroken is about a disk that is full: nothing may follow a line that was perhaps written in part.
func TestBroken(t *testing.T) {
	keys := newKeyring(t)
	s := newStory(t, keys, "restart-1", false)
	d := &disk{left: 2000}
	w := must[*Writer](t)(Start(d, keys, testCluster, chainA, nil, noon))
	e := s.requested()
	if _, err := w.Append(&e); !errors.Is(err, errDisk) {
		t.Fatalf("a full disk: got %v", err)
	}
	d.left = 1 << 20
	size := d.Len()
	if _, err := w.Append(&e); !errors.Is(err, errDisk) {
		t.Errorf("after a full disk: got %v", err)
	}
	if err := w.Checkpoint(noon); !errors.Is(err, errDisk) {
		t.Errorf("after a full disk: got %v", err)
	}
	if d.Len() != size || w.End().Count != 1 {
		t.Errorf("something was written after a line that was written in part")
	}
	tail := must[*Tail](t)(ReadTail(bytes.NewReader(d.Bytes()), int64(d.Len()), keys.ring))
	if tail.End != w.End() || tail.Size >= int64(d.Len()) {
		t.Errorf("the tail is %+v, want %+v", tail, w.End())
	}
}

func TestCheckpointWithoutKey(t *testing.T) {
	keys := newKeyring(t)
	l := newLog(t, keys, chainA, nil)
	keys.fails = errors.New("the key is lost")
	if err := l.Checkpoint(noon); !errors.Is(err, keys.fails) || l.Unsigned() != 1 {
		t.Errorf("got %v, and %d lines are not signed", err, l.Unsigned())
	}
	keys.fails = nil
	l.checkpoint()
	size := l.Len()
	l.checkpoint()
	if l.Len() != size || l.Unsigned() != 0 {
		t.Error("a checkpoint follows a checkpoint")
	}
}

func TestConcurrentWriters(t *testing.T) {
	keys := newKeyring(t)
	l := newLog(t, keys, chainA, nil)
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			s := newStory(t, keys, fmt.Sprint("restart-", i), false)
			for _, e := range []Event{s.requested(), Opened(s.ap, s.approval), s.vote("bob", v1alpha1.DecisionApprove)} {
				if _, err := l.Append(&e); err != nil {
					t.Error(err)
				}
				if err := l.Checkpoint(noon); err != nil {
					t.Error(err)
				}
				_, _ = l.End(), l.Unsigned()
			}
		})
	}
	wait.Wait()
	if got := verify(t, l.list(), keys.ring); got.Err() != nil || got.Lines < 17 {
		t.Errorf("got %+v", got)
	}
}

// TestNothingSecret greps for what must not be in a log.
func TestNothingSecret(t *testing.T) {
	keys := newKeyring(t)
	l := newFullLog(t, keys)
	if strings.Contains(l.String(), "hunter2") {
		t.Errorf("the log shows the value of an input, a body or an old value: %s", l.String())
	}
	for _, shown := range []string{`"names":["name","percent","token"]`, `"reason":"leak"`, `"comment":"because"`} {
		if !strings.Contains(l.String(), shown) {
			t.Errorf("the log does not show %s", shown)
		}
	}
}

// TestInputValues is about an installation that wants the values in its log.
func TestInputValues(t *testing.T) {
	keys := newKeyring(t)
	s := newStory(t, keys, "restart-1", false)
	values := map[string]any{"n": int64(9007199254740991), "f": 0.1, "o": map[string]any{"€": []any{nil, true, "x"}}}
	hidden := must[*Inputs](t)(NewInputs(values, false))
	shown := must[*Inputs](t)(NewInputs(values, true))
	if hidden.Digest != shown.Digest || hidden.Values != nil || !slices.Equal(hidden.Names, []string{"f", "n", "o"}) {
		t.Errorf("got %+v and %+v", hidden, shown)
	}
	l := newLog(t, keys, chainA, nil)
	l.add(Requested(s.ar, s.request, s.adoption, shown, noon))
	if got := verify(t, l.list(), keys.ring); got.Err() != nil {
		t.Error(got.Err())
	}
	if none, err := NewInputs(nil, true); none != nil || err != nil {
		t.Errorf("no inputs are %+v, %v", none, err)
	}
	if _, err := NewInputs(map[string]any{"n": 1e300}, false); err == nil {
		t.Error("a number that readers round has a digest")
	}
}

// TestLineForm is about what tools of others rely on.
func TestLineForm(t *testing.T) {
	l := newFullLog(t, newKeyring(t))
	for i, text := range l.list() {
		var got map[string]any
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		for _, attribute := range []string{"id", "source", "specversion", "type", "time", "datacontenttype", "chain", "sequence"} {
			if value, ok := got[attribute].(string); !ok || value == "" {
				t.Errorf("line %d has no %s", i+1, attribute)
			}
		}
		for name := range got {
			if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || len(name) > 20 {
				t.Errorf("line %d: %q is no name of an attribute of a CloudEvent", i+1, name)
			}
		}
		if got["specversion"] != "1.0" || got["sequence"] != fmt.Sprintf("%016d", i+1) || strings.ContainsAny(text[:len(text)-1], "\n\r") {
			t.Errorf("line %d is %s", i+1, text)
		}
	}
}

func TestReadTail(t *testing.T) {
	keys := newKeyring(t)
	full := newFullLog(t, keys)
	lines := full.list()
	for count := 1; count <= len(lines); count++ {
		for _, partial := range []string{"", lines[0][:50], "\x00\x00"} {
			text := strings.Join(lines[:count], "")
			tail, err := ReadTail(strings.NewReader(text+partial), int64(len(text+partial)), keys.ring)
			if err != nil {
				t.Fatalf("after %d lines and %q: %v", count, partial, err)
			}
			signed := int64(0)
			if count >= 8 {
				signed = 8
			}
			if count >= 14 {
				signed = 14
			}
			want := &Tail{End: verify(t, lines[:count], keys.ring).Chains[0].End, Signed: signed, Size: int64(len(text)), cluster: testCluster}
			if diff := cmp.Diff(want, tail, cmp.AllowUnexported(Tail{})); diff != "" {
				t.Errorf("after %d lines (-want +got):\n%s", count, diff)
			}
		}
	}
}

func TestReadTailRefuses(t *testing.T) {
	keys := newKeyring(t)
	for name, tc := range map[string]struct {
		reason string
		change func(l []string) []string
		want   string
	}{
		"Empty":       {"there is nothing to go on from", func([]string) []string { return nil }, "is empty"},
		"Partial":     {"there is nothing to go on from", func(l []string) []string { return []string{l[0][:50]} }, "is empty"},
		"Changed":     {"to sign what follows would make it true", func(l []string) []string { l[14] = strings.Replace(l[14], "ran", "run", 1); return l }, "Changed"},
		"Removed":     {"to sign what follows would make it true", func(l []string) []string { return slices.Delete(l, 14, 15) }, "Removed"},
		"ForgedMark":  {"it is not signed, and neither is what is before it", func(l []string) []string { l[13] = strings.Replace(l[13], `"count":13`, `"count":12`, 1); return l }, "Seal"},
		"NoBeginning": {"it is the middle of something", func(l []string) []string { return l[1:7] }, "Removed"},
		"Garbage":     {"it is something else", func(l []string) []string { return []string{"hello\n"} }, "Malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Join(tc.change(newFullLog(t, keys).list()), "")
			_, err := ReadTail(strings.NewReader(text), int64(len(text)), keys.ring)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
	if _, err := ReadTail(strings.NewReader("x"), 5, keys.ring); err == nil {
		t.Error("a log that is shorter than it was said to be was read")
	}
}

// TestReadTailOfLongLog is about a log of which only the end is read.
func TestReadTailOfLongLog(t *testing.T) {
	keys := newKeyring(t)
	l := newLog(t, keys, chainA, nil)
	s := newStory(t, keys, "restart-1", false)
	for l.Len() < tailWindow {
		e := Rejected(s.ar, "NotSealed", strings.Repeat("x", MaxLine/3), noon)
		l.add(e)
	}
	text := l.String()
	if _, err := ReadTail(strings.NewReader(text), int64(len(text)), keys.ring); err == nil || !strings.Contains(err.Error(), "no checkpoint is near its end") {
		t.Errorf("without a checkpoint: got %v", err)
	}
	l.checkpoint()
	l.add(Rejected(s.ar, "NotSealed", "x", noon))
	text = l.String()
	tail := must[*Tail](t)(ReadTail(strings.NewReader(text), int64(len(text)), keys.ring))
	if tail.End != l.End() || tail.Signed != l.End().Count-1 || tail.Size != int64(len(text)) {
		t.Errorf("got %+v, want %+v", tail, l.End())
	}
}

func TestResume(t *testing.T) {
	keys := newKeyring(t)
	for name, tc := range map[string]struct {
		reason    string
		lines     int
		unvouched []Range
	}{
		"Signed":   {"all was signed before the process ended", 14, nil},
		"Unsigned": {"two lines were not, and nobody vouches for them later either", 16, []Range{{chainA, 15, 16}}},
		"NoMark":   {"nothing was signed yet", 4, []Range{{chainA, 1, 4}}},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Join(newFullLog(t, keys).list()[:tc.lines], "")
			l := &log{t: t, keys: keys}
			l.WriteString(text)
			tail := must[*Tail](t)(ReadTail(strings.NewReader(text), int64(len(text)), keys.ring))
			l.Writer = must[*Writer](t)(Resume(&l.Buffer, keys, testCluster, tail, noon))
			l.add(Rejected(newStory(t, keys, "restart-3", false).ar, "NotSealed", "x", noon))
			l.checkpoint()
			got := verify(t, l.list(), keys.ring)
			if got.Err() != nil || got.Unsigned() != 0 || got.Lines != int64(tc.lines+3) {
				t.Fatalf("%s: got %+v, %v", tc.reason, got, got.Err())
			}
			if diff := cmp.Diff(tc.unvouched, got.Unvouched); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			lie := l.list()
			lie[tc.lines] = with(t, lie[tc.lines], func(m map[string]any) { dig(t, m, "data")["log"] = map[string]any{"signed": tc.lines} })
			if gap := verify(t, lie[:tc.lines+1], keys.ring).Gap; len(tc.unvouched) > 0 && (gap == nil || gap.Kind != GapForeign) {
				t.Errorf("%s: a process that claims more: %v", tc.reason, gap)
			}
			if _, err := Resume(&l.Buffer, keys, "other", tail, noon); err == nil {
				t.Error("the log of another cluster was gone on with")
			}
		})
	}
}
