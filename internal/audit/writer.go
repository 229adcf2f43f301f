package audit

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/signoff-dev/signoff/internal/canonical"
	"github.com/signoff-dev/signoff/internal/seal"
)

// Keys signs checkpoints, and knows all public keys, which are listed in them.
type Keys interface {
	Sign(seal.Payload) (*seal.Envelope, error)
	Keyring() *seal.Keyring
}

// Writer writes one log. It may be used concurrently.
type Writer struct {
	keys    Keys
	cluster string

	mu  sync.Mutex
	out io.Writer
	at  Position
	// signed is how many lines there are up to and with the last checkpoint.
	signed int64
	// broken is the first error of out: how much of the line was written is not known, so nothing may follow.
	broken error
}

// Start begins a new log. Chain names it, as 32 random hexadecimal digits. Previous is where an earlier log ended; nil: nobody knows.
func Start(out io.Writer, keys Keys, cluster, chain string, previous *Position, now time.Time) (*Writer, error) {
	if !chainID.MatchString(chain) || cluster == "" {
		return nil, errors.New("failed to start audit log: it needs the uid of the cluster, and a name of 32 hexadecimal digits")
	}
	w := &Writer{keys: keys, cluster: cluster, out: out, at: Position{Chain: chain}}
	e := Event{ID: chain + "/started", Type: TypeLogStarted, Time: now}
	if previous != nil {
		e.Data.Log = &Log{Previous: previous}
	}
	if _, err := w.append(&e); err != nil {
		return nil, err
	}
	return w, nil
}

// Resume goes on with a log that ends at tail. What is not signed there could have been written by anybody, and the first line says so.
func Resume(out io.Writer, keys Keys, cluster string, tail *Tail, now time.Time) (*Writer, error) {
	if tail.cluster != cluster {
		return nil, fmt.Errorf("failed to resume audit log: it is that of cluster %q", tail.cluster)
	}
	w := &Writer{keys: keys, cluster: cluster, out: out, at: tail.End, signed: tail.Signed}
	e := Event{
		ID: fmt.Sprintf("%s/resumed/%d", tail.End.Chain, tail.End.Count), Type: TypeLogResumed, Time: now,
		Data: Data{Log: &Log{Signed: tail.Signed, Unsigned: tail.End.Count - tail.Signed}},
	}
	if _, err := w.append(&e); err != nil {
		return nil, err
	}
	return w, nil
}

// Append writes a fact, and gives the place after it. Where it fails before anything is written, the writer can still be used; where writing
// itself fails, it cannot: what was written must be looked at by ReadTail.
func (w *Writer) Append(e *Event) (Position, error) {
	if strings.HasPrefix(e.Type, logPrefix) {
		return w.End(), fmt.Errorf("failed to write audit event: %s is about the log itself", e.Type)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.append(e)
}

// Checkpoint signs all lines so far. It does nothing where the last line is a checkpoint.
func (w *Writer) Checkpoint(now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.signed == w.at.Count {
		return nil
	}
	now = now.Truncate(time.Millisecond)
	stamp := seal.Stamp{Cluster: w.cluster, IssuedAt: now}
	p, err := seal.CheckpointPayload(w.at.Chain, seal.Position{Count: w.at.Count, Hash: w.at.Head}, w.keys.Keyring(), stamp)
	if err != nil {
		return fmt.Errorf("failed to sign audit log: %w", err)
	}
	e, err := w.keys.Sign(p)
	if err != nil {
		return fmt.Errorf("failed to sign audit log: %w", err)
	}
	_, err = w.append(&Event{
		ID: checkpointID(w.at.Chain, w.at.Count), Type: TypeCheckpoint, Time: now, Data: Data{Seals: &Seals{Checkpoint: e.Sealed()}},
	})
	if err == nil {
		w.signed = w.at.Count
	}
	return err
}

// End is the place after the last line.
func (w *Writer) End() Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

// Unsigned is how many lines there are after the last checkpoint.
func (w *Writer) Unsigned() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at.Count - w.signed
}

func (w *Writer) append(e *Event) (Position, error) {
	if w.broken != nil {
		return w.at, fmt.Errorf("failed to write audit event: an earlier one was perhaps written in part: %w", w.broken)
	}
	raw, err := w.encode(e)
	if err != nil {
		return w.at, fmt.Errorf("failed to write audit event %q: %w", e.ID, err)
	}
	if _, err := w.out.Write(append(raw, '\n')); err != nil {
		w.broken = err
		return w.at, fmt.Errorf("failed to write audit event %q: %w", e.ID, err)
	}
	w.at = Position{Chain: w.at.Chain, Count: w.at.Count + 1, Head: canonical.Sum(raw)}
	return w.at, nil
}

// encode gives the line of an event, after making sure that whoever verifies will understand it.
func (w *Writer) encode(e *Event) ([]byte, error) {
	if _, known := needs[e.Type]; !known {
		return nil, fmt.Errorf("nobody knows the type %q", e.Type)
	}
	data, err := canonical.Encode(e.Data)
	if err != nil {
		return nil, err
	}
	raw, err := canonical.Encode(line{
		SpecVersion: specVersion, ID: e.ID, Source: sourcePrefix + w.cluster, Type: e.Type, Subject: e.Subject,
		Time: e.Time.UTC().Format(time.RFC3339Nano), DataContentType: contentType,
		Chain: w.at.Chain, Sequence: fmt.Sprintf("%016d", w.at.Count+1), Prev: w.at.Head, Data: data,
	})
	if err != nil {
		return nil, err
	}
	if len(raw) > MaxLine {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(raw), MaxLine)
	}
	l, err := parseLine(raw)
	if err != nil {
		return nil, err
	}
	return raw, l.provable()
}
