package auditlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/seal"
)

const (
	outboxFile = "outbox.jsonl"
	ackFile    = "acknowledged.json"
	// maxBatchLines and maxBatchBytes bound what is sent at once. One line is always sent, however long.
	maxBatchLines = 200
	maxBatchBytes = 512 << 10
	compactFrom   = 4 << 20
	// startShare is the part of an outbox that is kept free for what has been started.
	startShare = 10
)

// endOfCheckpoint is how a checkpoint ends in canonical form, and no other line.
var endOfCheckpoint = []byte(`"type":"` + audit.TypeCheckpoint + "\"}\n")

// acknowledged is how far the receiver has a log.
type acknowledged struct {
	Chain string `json:"chain"`
	Count int64  `json:"count"`
}

// mark is when a line came into the outbox.
type mark struct {
	count int64
	at    time.Time
}

// outbox is a log in a file of which the receiver has the first lines. What it has is removed from time to time, back to a checkpoint, from which
// the log can be gone on with.
type outbox struct {
	*file
	dir string
	max int64
	// lastCheckpoint is where the last checkpoint begins, and compactAt how long the file is before it is made smaller.
	lastCheckpoint, compactAt int64
	// compactFrom is how much must have been delivered before the outbox is made smaller.
	compactFrom int64
	// count is the number of the last line.
	count int64

	// mu guards what the sender reads: the file below, and how far it has been synced and acknowledged.
	mu sync.Mutex
	in handle
	// opened is how often the outbox was opened: within one time, only compact puts another file in the place of this one.
	opened  int
	visible int64
	ack     acknowledged
	acked   int64
	last    int64
	marks   []mark
	wake    chan struct{}
}

func newOutbox(dir string, most int64, d disk) *outbox {
	return &outbox{file: &file{path: filepath.Join(dir, outboxFile), disk: d}, dir: dir, max: most, compactFrom: compactFrom, wake: make(chan struct{}, 1)}
}

// open also finds out how much of the outbox the receiver has.
func (o *outbox) open(ring *seal.Keyring, each func(*audit.Fact)) (*audit.Tail, error) {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return nil, fmt.Errorf("failed to make the outbox: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.in = nil
	tail, err := o.file.open(ring, func(*audit.Fact) {})
	if err != nil {
		return nil, err
	}
	o.opened++
	o.in, o.visible, o.acked, o.last, o.count, o.marks = o.out, o.size, 0, 0, 0, nil
	o.lastCheckpoint, o.compactAt = 0, o.compactFrom
	o.ack = o.readAck()
	if tail == nil {
		o.ack = acknowledged{}
		return nil, nil //nolint:nilnil // there is no log to go on with
	}
	if o.ack.Chain != tail.End.Chain {
		o.ack = acknowledged{Chain: tail.End.Chain}
	}
	o.ack.Count = min(o.ack.Count, tail.End.Count)
	return tail, o.survey(each)
}

// survey reads all lines.
func (o *outbox) survey(each func(*audit.Fact)) error {
	return audit.Read(io.NewSectionReader(o.out, 0, o.size), func(f *audit.Fact) error {
		o.last, o.count = f.Number, f.Number
		if f.Type == audit.TypeCheckpoint {
			o.lastCheckpoint = f.Offset
		}
		if f.Number <= o.ack.Count {
			o.acked = f.Offset + f.Size
		} else {
			o.marks = append(o.marks, mark{f.Number, f.Time})
		}
		if f.Offset >= o.size-seedWindow {
			each(f)
		}
		return nil
	})
}

// readAck reads how far the receiver has the log. Where that cannot be told, everything is sent again.
func (o *outbox) readAck() acknowledged {
	var a acknowledged
	raw, err := os.ReadFile(filepath.Join(o.dir, ackFile))
	if err != nil || json.Unmarshal(raw, &a) != nil || a.Count < 0 {
		return acknowledged{}
	}
	return a
}

// Write appends a line, after making room where there is something to remove.
func (o *outbox) Write(line []byte) (int, error) {
	if err := o.compact(); err != nil {
		return 0, err
	}
	at := o.size
	n, err := o.file.Write(line)
	if err != nil {
		return n, err
	}
	o.count++
	if bytes.HasSuffix(line, endOfCheckpoint) {
		o.lastCheckpoint = at
	}
	return n, nil
}

func (o *outbox) begin(chain string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ack = acknowledged{Chain: chain}
}

func (o *outbox) sync() (run func() error, done func()) {
	sync, synced := o.file.sync()
	out, size, count := o.out, o.size, o.count
	o.mu.Lock()
	opened := o.opened
	o.mu.Unlock()
	run = func() error {
		// What compact has put in the place of the file was synced, with all that was in it.
		if err := sync(); err != nil && !o.compacted(out, opened) {
			return err
		}
		return nil
	}
	return run, func() {
		synced()
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.in != out || size <= o.visible {
			return
		}
		o.visible, o.last = size, count
		o.marks = append(o.marks, mark{count, o.disk.now()})
		o.rouse()
	}
}

// compacted tells whether the outbox was made smaller since it was opened for the so-many-th time and had this file, and is whole.
func (o *outbox) compacted(out handle, opened int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.opened == opened && o.in != nil && o.in != out
}

func (o *outbox) rouse() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) room(start bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	most := o.max
	if start {
		most -= o.max / startShare
	}
	if o.size-o.acked >= most {
		return fmt.Errorf("the outbox is full: %d MiB wait for a receiver", o.max>>20)
	}
	return nil
}

func (o *outbox) aside() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.in = nil
	return o.file.aside()
}

func (o *outbox) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.in = nil
	return o.file.close()
}

// compact removes what the receiver has, where that is much. Where it fails before anything has changed, the outbox stays as it is.
func (o *outbox) compact() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	from := min(o.acked, o.lastCheckpoint)
	if o.in == nil || from < o.compactAt || from < o.size/2 {
		return nil
	}
	o.compactAt = from + o.compactFrom
	out, err := o.rewritten(from)
	if err != nil {
		// It is tried again when more has been delivered.
		return nil
	}
	_ = o.out.Close()
	size := o.size - from
	o.out, o.in, o.size, o.synced, o.visible = out, out, size, size, size
	o.acked, o.lastCheckpoint, o.compactAt = o.acked-from, o.lastCheckpoint-from, o.compactFrom
	if o.last < o.count {
		o.last, o.marks = o.count, append(o.marks, mark{o.count, o.disk.now()})
		o.rouse()
	}
	// Until the name outlives a crash, nothing may be written: the old file would come back without it.
	if err := syncDir(o.dir); err != nil {
		o.in = nil
		return err
	}
	return nil
}

// rewritten makes a file of what remains, in the place of the outbox.
func (o *outbox) rewritten(from int64) (handle, error) {
	name := o.path + ".new"
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	out, _, err := o.disk.open(name)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.NewOffsetWriter(out, 0), io.NewSectionReader(o.out, from, o.size-from))
	if err == nil {
		err = out.Sync()
	}
	if err == nil {
		err = os.Rename(name, o.path)
	}
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// batch gives the next lines to send, and how many they are. None: the receiver has everything.
func (o *outbox) batch(most int) ([]byte, int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.in == nil || o.acked >= o.visible {
		return nil, 0, nil
	}
	for size := int64(maxBatchBytes); ; size = audit.MaxLine + 1 {
		raw := make([]byte, min(size, o.visible-o.acked))
		if n, err := o.in.ReadAt(raw, o.acked); n < len(raw) {
			return nil, 0, fmt.Errorf("failed to read the outbox: %w", err)
		}
		end, lines := 0, 0
		for lines < most {
			next := bytes.IndexByte(raw[end:], '\n') + 1
			if next == 0 {
				break
			}
			end, lines = end+next, lines+1
		}
		if lines > 0 {
			return raw[:end], lines, nil
		}
		if size > maxBatchBytes {
			return nil, 0, errors.New("failed to read the outbox: it has no whole line")
		}
	}
}

// acknowledge notes that the receiver has the next lines. That is lost with the process at worst: they are sent again then.
func (o *outbox) acknowledge(size, lines int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.in == nil {
		return nil
	}
	o.acked += int64(size)
	o.ack.Count += int64(lines)
	for len(o.marks) > 0 && o.marks[0].count <= o.ack.Count {
		o.marks = o.marks[1:]
	}
	raw, err := json.Marshal(o.ack)
	if err != nil {
		return fmt.Errorf("failed to note what was delivered: %w", err)
	}
	name := filepath.Join(o.dir, ackFile)
	if err := os.WriteFile(name+".new", raw, 0o600); err != nil {
		return fmt.Errorf("failed to note what was delivered: %w", err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return fmt.Errorf("failed to note what was delivered: %w", err)
	}
	return nil
}

// waiting is how many lines and bytes wait, and since when the oldest does.
func (o *outbox) waiting() (lines, size int64, since time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.marks) > 0 {
		since = o.marks[0].at
	}
	return max(o.last-o.ack.Count, 0), max(o.visible-o.acked, 0), since
}
