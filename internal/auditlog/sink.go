package auditlog

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"github.com/signoff-dev/signoff/internal/audit"
)

const (
	// remembered is how many facts a sink knows to have been written.
	remembered = 32768
	// reopenAfter is how long a sink that failed is left alone.
	reopenAfter = time.Second
)

// Keys signs checkpoints, and knows all public keys.
type Keys interface {
	audit.Keys
	// Refresh looks whether there are other keys, and tells whether it could.
	Refresh() bool
}

// Error says that a sink takes no facts at the moment.
type Error struct {
	// Sink is its name.
	Sink  string
	cause error
}

func (e *Error) Error() string { return fmt.Sprintf("audit sink %s: %s", e.Sink, cause(e.cause)) }

// Unwrap gives what is wrong with the sink.
func (e *Error) Unwrap() error { return e.cause }

var (
	errEnded = errors.New("this process ends, or leads no more")
	errAside = errors.New("the log was begun anew meanwhile")
)

// sink is one log, and what it is written to.
type sink struct {
	name    string
	medium  medium
	keys    Keys
	cluster string
	// lines is after how many lines a checkpoint is written.
	lines int64
	clock clock.PassiveClock
	log   logr.Logger

	// turn is held while what was written is synced, so that many lines are synced at once.
	turn sync.Mutex
	// mu guards what follows.
	mu     sync.Mutex
	writer *audit.Writer
	out    *tracked
	// ended is where the log was when it was last written, and synced how many of its lines outlive the process.
	ended  audit.Position
	synced int64
	// seen holds where facts were written.
	seen *lru.Cache
	// broken is why the sink takes nothing until retry.
	broken error
	retry  time.Time
	closed bool
}

// tracked notes whether writing failed, because then how much of the line was written is not known.
type tracked struct {
	*sink
	failed bool
}

// Write implements io.Writer.
func (t *tracked) Write(line []byte) (int, error) {
	n, err := t.medium.Write(line)
	t.failed = t.failed || err != nil
	return n, err
}

// key names a fact. A review that is decided while another vote comes in is decided again, and each of them is a fact.
func key(e *audit.Event) string { return e.ID + "\x00" + e.Data.State }

// write writes the facts that are not known to have been written, and returns when all outlive the process.
func (s *sink) write(events []audit.Event) error {
	at, err := s.append(events)
	if err != nil {
		failures.WithLabelValues(s.name, stageWrite).Inc()
		return &Error{Sink: s.name, cause: err}
	}
	if err := s.flush(at); err != nil {
		failures.WithLabelValues(s.name, stageWrite).Inc()
		return &Error{Sink: s.name, cause: err}
	}
	return nil
}

// append gives the place after the last of the facts.
func (s *sink) append(events []audit.Event) (audit.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	unusable := s.usable()
	var last audit.Position
	for i := range events {
		known, ok := s.seen.Get(key(&events[i]))
		if ok {
			last = later(last, known.(audit.Position)) //nolint:forcetypeassert // nothing else is put in
		}
		if ok && s.durable(last) {
			continue
		}
		if unusable != nil {
			return last, unusable
		}
		if ok {
			continue
		}
		if err := s.medium.room(false); err != nil {
			return last, err
		}
		at, err := s.writer.Append(&events[i])
		if err != nil {
			return last, s.failed(err)
		}
		s.seen.Add(key(&events[i]), at)
		last, s.ended = at, at
		written.WithLabelValues(s.name).Inc()
	}
	if s.writer != nil && s.writer.Unsigned() >= s.lines {
		s.sign()
	}
	return last, nil
}

// durable tells whether what was written up to a place outlives the process.
func (s *sink) durable(at audit.Position) bool {
	return at.Chain == s.ended.Chain && at.Count <= s.synced
}

func later(a, b audit.Position) audit.Position {
	if b.Count > a.Count {
		return b
	}
	return a
}

// failed tells a sink that cannot be gone on with from a fact that cannot be written.
func (s *sink) failed(err error) error {
	if s.out != nil && s.out.failed {
		s.breaks(err)
	}
	s.log.Error(err, "failed to write a fact", "sink", s.name)
	return err
}

// flush makes what was written up to a place outlive the process.
func (s *sink) flush(at audit.Position) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	switch {
	case at.Count == 0 || s.durable(at):
		s.mu.Unlock()
		return nil
	case at.Chain != s.ended.Chain:
		s.mu.Unlock()
		return errAside
	case s.writer == nil:
		defer s.mu.Unlock()
		return s.broken
	}
	end := s.ended
	run, done := s.medium.sync()
	s.mu.Unlock()
	err := run()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.breaks(err)
		return err
	}
	done()
	if s.ended.Chain == end.Chain {
		s.synced = max(s.synced, end.Count)
	}
	return nil
}

// breaks keeps everybody away until the sink has been opened again.
func (s *sink) breaks(err error) {
	s.writer, s.broken, s.retry = nil, err, s.clock.Now().Add(reopenAfter)
}

// ready says why nothing can be started.
func (s *sink) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	return s.medium.room(true)
}

// usable opens the sink if it is not open, and says why nothing can be written.
func (s *sink) usable() error {
	switch {
	case s.closed:
		return errEnded
	case s.writer != nil:
		return nil
	case s.broken != nil && s.clock.Now().Before(s.retry):
		return s.broken
	}
	if err := s.open(); err != nil {
		s.log.Error(err, "failed to open an audit sink", "sink", s.name)
		failures.WithLabelValues(s.name, stageWrite).Inc()
		s.breaks(err)
		return err
	}
	s.broken = nil
	return nil
}

// open goes on with the log, or begins one.
func (s *sink) open() error {
	tail, err := s.tail()
	if err != nil {
		return err
	}
	now := s.clock.Now()
	out := &tracked{sink: s}
	if tail != nil {
		s.writer, err = audit.Resume(out, s.keys, s.cluster, tail, now)
	} else {
		s.writer, err = s.begin(out, now)
	}
	if err != nil {
		s.writer = nil
		return err
	}
	s.ended, s.out = s.writer.End(), out
	run, done := s.medium.sync()
	if err := run(); err != nil {
		return err
	}
	done()
	s.synced = s.ended.Count
	written.WithLabelValues(s.name).Inc()
	return nil
}

// begin begins a log. Where an earlier one of this process ended is known.
func (s *sink) begin(out *tracked, now time.Time) (*audit.Writer, error) {
	name := make([]byte, 16)
	if _, err := rand.Read(name); err != nil {
		return nil, fmt.Errorf("failed to name audit log: %w", err)
	}
	var previous *audit.Position
	if s.ended.Count > 0 {
		previous = &s.ended
	}
	chain := hex.EncodeToString(name)
	w, err := audit.Start(out, s.keys, s.cluster, chain, previous, now)
	if err == nil {
		s.seen = lru.New(remembered)
		s.medium.begin(chain)
	}
	return w, err
}

// tail looks where the log ends. One that cannot be gone on with is put aside, unless a key is not known: then another look may tell.
func (s *sink) tail() (*audit.Tail, error) {
	seen := lru.New(remembered)
	note := func(f *audit.Fact) { seen.Add(key(&f.Event), audit.Position{Chain: f.Chain, Count: f.Number}) }
	tail, err := s.medium.open(s.keys.Keyring(), note)
	if errors.Is(err, audit.ErrUnfit) && s.keys.Refresh() {
		tail, err = s.medium.open(s.keys.Keyring(), note)
	}
	switch {
	case err == nil && tail != nil && tail.End.Chain != s.ended.Chain:
		s.seen = seen
	case errors.Is(err, audit.ErrUnfit) && !unknownKey(err):
		s.log.Error(err, "an audit log cannot be gone on with; it is put aside, and a new one begins", "sink", s.name)
		failures.WithLabelValues(s.name, stageAside).Inc()
		if err := s.medium.aside(); err != nil {
			return nil, err
		}
		return s.medium.open(s.keys.Keyring(), note)
	}
	return tail, err
}

func unknownKey(err error) bool {
	var gap *audit.Gap
	return errors.As(err, &gap) && gap.Kind == audit.GapUnknownKey
}

// sign writes a checkpoint. Without a key there is none: the facts are written all the same, and signed later.
func (s *sink) sign() {
	if s.writer == nil || s.writer.Unsigned() == 0 {
		return
	}
	if err := s.writer.Checkpoint(s.clock.Now()); err != nil {
		failures.WithLabelValues(s.name, stageSign).Inc()
		_ = s.failed(err)
		return
	}
	s.ended = s.writer.End()
	written.WithLabelValues(s.name).Inc()
}

// settle signs what has not been signed.
func (s *sink) settle() {
	s.mu.Lock()
	s.sign()
	at := s.ended
	s.mu.Unlock()
	if err := s.flush(at); err != nil {
		s.log.Error(err, "failed to sync an audit sink", "sink", s.name)
	}
}

// close signs all lines, and lets others open the sink.
func (s *sink) close() error {
	s.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.writer, s.broken = true, nil, errEnded
	return s.medium.close()
}
