package auditlog

import (
	"errors"
	"io"
	"io/fs"

	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/seal"
)

// medium is what the lines of one log are written to.
type medium interface {
	// Writer takes one line at a time.
	io.Writer
	// open gets ready, also after a failure, and gives where the log ends, or nil where there is none to go on with. Each gets the facts
	// that are known to be there.
	open(ring *seal.Keyring, each func(*audit.Fact)) (*audit.Tail, error)
	// begin names the log that begins.
	begin(chain string)
	// sync gives what makes outlive the process all that has been written, which may run beside further writes, and what is to be done where
	// it has succeeded.
	sync() (run func() error, done func())
	// room says why nothing more can be written. To start something demands more room, because more will be written about it.
	room(start bool) error
	// aside puts a log away that cannot be gone on with, so that a new one can begin.
	aside() error
	// close lets others open it.
	close() error
}

// stdout is the standard output. What was written cannot be read again, so each process begins a new log.
type stdout struct {
	out io.Writer
	// torn says that a line was perhaps written in part.
	torn bool
}

// Write writes a line, on a line of its own.
func (s *stdout) Write(line []byte) (int, error) {
	if s.torn {
		if _, err := s.out.Write([]byte("\n")); err != nil {
			return 0, err
		}
	}
	n, err := s.out.Write(line)
	s.torn = err != nil
	return n, err
}

func (*stdout) open(*seal.Keyring, func(*audit.Fact)) (*audit.Tail, error) { return nil, nil } //nolint:nilnil // there is no log to go on with
func (*stdout) begin(string)                                               {}
func (*stdout) sync() (run func() error, done func())                      { return func() error { return nil }, func() {} }
func (*stdout) room(bool) error                                            { return nil }
func (*stdout) aside() error                                               { return nil }
func (*stdout) close() error                                               { return nil }

// cause is an error without the paths of the operator, for people who only ask for something.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
