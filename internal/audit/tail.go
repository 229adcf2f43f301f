package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/signoff-dev/signoff/internal/seal"
)

// tailWindow is how much of the end of a log is read to go on with it, in bytes. It holds the longest line, and many of the usual length.
const tailWindow = 2 * MaxLine

// ErrEmpty means that there is no line to go on from.
var ErrEmpty = errors.New("the audit log is empty")

// ErrUnfit means that a log was changed, or is none, so that nothing may follow in it.
var ErrUnfit = errors.New("it cannot be gone on with")

// Tail is the end of a log that can be gone on with.
type Tail struct {
	// End is the place after the last whole line.
	End Position
	// Signed is how many lines there are up to and with the last checkpoint.
	Signed int64
	// Size is how many bytes there are up to the end of the last whole line. What follows was written in part, and must be cut off.
	Size    int64
	cluster string
}

// ReadTail reads the end of a log of so many bytes, back to its last checkpoint, and verifies it from there. Where it fails, the log must
// not be gone on with: a new one is started, which names what is known of this one.
func ReadTail(in io.ReaderAt, size int64, ring *seal.Keyring) (*Tail, error) {
	from := max(0, size-tailWindow)
	raw := make([]byte, size-from)
	if n, err := in.ReadAt(raw, from); n < len(raw) {
		return nil, fmt.Errorf("failed to read the end of the audit log: %w", err)
	}
	end := bytes.LastIndexByte(raw, '\n') + 1
	tail := &Tail{Size: from + int64(end)}
	raw = raw[:end]
	if len(raw) == 0 {
		return nil, ErrEmpty
	}
	start, options, err := lastCheckpoint(raw, ring, from == 0)
	if err != nil {
		return nil, err
	}
	report, err := Verify(bytes.NewReader(raw[start:]), ring, options...)
	if err == nil && report.Gap != nil {
		// What a revoked key has sealed is no reason to leave a log that is whole.
		err = report.Gap
	}
	if err != nil {
		return nil, fmt.Errorf("failed to go on with the audit log: %w: after its last checkpoint, %w", ErrUnfit, err)
	}
	last := report.Chains[len(report.Chains)-1]
	tail.End, tail.Signed, tail.cluster = last.End, last.Signed, last.Cluster
	return tail, nil
}

// lastCheckpoint finds the last line that is a valid checkpoint, or the beginning of the log. Where not the whole log is given, its first
// line is cut, and is no checkpoint.
func lastCheckpoint(raw []byte, ring *seal.Keyring, whole bool) (int, []Option, error) {
	v := &verifier{ring: ring, seals: seal.NewVerifier(0)}
	for end := len(raw); end > 0; {
		start := bytes.LastIndexByte(raw[:end-1], '\n') + 1
		l, err := parseLine(raw[start : end-1])
		if err == nil && v.vouches(l) {
			return start, []Option{After(Position{Chain: l.Chain, Count: l.number() - 1, Head: l.Prev})}, nil
		}
		end = start
	}
	if whole {
		return 0, nil, nil
	}
	return 0, nil, fmt.Errorf("failed to go on with the audit log: %w: no checkpoint is near its end", ErrUnfit)
}
