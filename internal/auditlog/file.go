package auditlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/seal"
)

// seedWindow is how much of the end of a log is looked through for facts that need not be written again, in bytes.
const seedWindow = 16 << 20

// handle is an open file. Tests have one that fails.
type handle interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Truncate(int64) error
	Close() error
}

// disk opens files. Tests have one that fails.
type disk struct {
	open func(path string) (handle, int64, error)
	// there tells whether an open file is still the one of that name. Nil: nobody can tell.
	there func(path string, out handle) error
	now   func() time.Time
}

func realDisk(now func() time.Time) disk {
	return disk{now: now, there: isThere, open: func(path string) (handle, int64, error) {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, 0, err
		}
		info, err := f.Stat()
		if err != nil {
			return nil, 0, errors.Join(err, f.Close())
		}
		return f, info.Size(), nil
	}}
}

// isThere tells whether a file was removed, or given another name: what is written to it then is found by nobody.
func isThere(path string, out handle) error {
	open, ok := out.(*os.File)
	if !ok {
		return nil
	}
	mine, err := open.Stat()
	if err != nil {
		return fmt.Errorf("failed to look at audit log: %w", err)
	}
	named, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("audit log was removed, or given another name, while it was written: %v", err) //nolint:errorlint // people are shown the innermost
	}
	if !os.SameFile(mine, named) {
		return fmt.Errorf("%s is another file than the one that was being written", path)
	}
	return nil
}

// file is a log in a file. It is not opened for appending, because what was written and could not be synced is written again.
type file struct {
	path string
	disk disk

	lock *os.File
	out  handle
	// size is where the next line begins, and synced how much is known to outlive the process.
	size, synced int64
}

// open takes the lock, and looks where the log ends. What was not written to its end is cut off.
func (f *file) open(ring *seal.Keyring, each func(*audit.Fact)) (*audit.Tail, error) {
	if err := f.acquire(); err != nil {
		return nil, err
	}
	if f.out != nil {
		_ = f.out.Close()
	}
	out, size, err := f.disk.open(f.path)
	if err != nil {
		f.out = nil
		return nil, fmt.Errorf("failed to open audit log: %w", err)
	}
	f.out, f.size = out, size
	tail, err := audit.ReadTail(out, size, ring)
	if errors.Is(err, audit.ErrEmpty) {
		f.size, f.synced = 0, 0
		return nil, out.Truncate(0)
	}
	if err != nil {
		return nil, err
	}
	if err := f.settle(tail.Size); err != nil {
		return nil, err
	}
	return tail, f.seed(each)
}

// acquire makes sure that no other process writes, such as one that does not know yet that it leads no more.
func (f *file) acquire() error {
	if f.lock != nil {
		return nil
	}
	lock, err := os.OpenFile(f.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("failed to lock audit log: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("failed to lock audit log: another process writes it: %w", err), lock.Close())
	}
	f.lock = lock
	return nil
}

// settle makes the first bytes of the file outlive the process, and cuts off the rest. What an earlier sync failed to bring to the disk is
// written again, because the next sync would not.
func (f *file) settle(size int64) error {
	if err := f.out.Truncate(size); err != nil {
		return fmt.Errorf("failed to cut the end of audit log: %w", err)
	}
	if f.synced < size && f.synced > 0 {
		again := make([]byte, size-f.synced)
		if n, err := f.out.ReadAt(again, f.synced); n < len(again) {
			return fmt.Errorf("failed to read the end of audit log: %w", err)
		}
		if _, err := f.out.WriteAt(again, f.synced); err != nil {
			return fmt.Errorf("failed to write the end of audit log again: %w", err)
		}
	}
	if err := f.out.Sync(); err != nil {
		return fmt.Errorf("failed to sync audit log: %w", err)
	}
	f.size, f.synced = size, size
	return syncDir(filepath.Dir(f.path))
}

// seed looks through the end of the log.
func (f *file) seed(each func(*audit.Fact)) error {
	from := max(0, f.size-seedWindow)
	in := io.NewSectionReader(f.out, from, f.size-from)
	if from > 0 {
		from += firstLine(in)
		in = io.NewSectionReader(f.out, from, f.size-from)
	}
	return audit.Read(in, func(fact *audit.Fact) error { each(fact); return nil })
}

// firstLine is where the first whole line begins.
func firstLine(in io.Reader) int64 {
	buffer := make([]byte, audit.MaxLine+1)
	n, _ := io.ReadFull(in, buffer)
	return int64(bytes.IndexByte(buffer[:n], '\n') + 1)
}

// Write appends a line.
func (f *file) Write(line []byte) (int, error) {
	n, err := f.out.WriteAt(line, f.size)
	if err == nil {
		f.size += int64(n)
	}
	return n, err
}

func (*file) begin(string) {}

func (f *file) sync() (run func() error, done func()) {
	out, size, path, there := f.out, f.size, f.path, f.disk.there
	run = func() error {
		if err := out.Sync(); err != nil || there == nil {
			return err
		}
		return there(path, out)
	}
	return run, func() {
		if f.out == out {
			f.synced = max(f.synced, size)
		}
	}
}

func (*file) room(bool) error { return nil }

// aside renames the file. Nothing is ever removed.
func (f *file) aside() error {
	if f.out != nil {
		_ = f.out.Close()
		f.out = nil
	}
	f.synced = 0
	if err := os.Rename(f.path, f.path+"."+f.disk.now().UTC().Format("20060102T150405.000Z")+".broken"); err != nil {
		return fmt.Errorf("failed to put audit log aside: %w", err)
	}
	return syncDir(filepath.Dir(f.path))
}

func (f *file) close() error {
	var errs []error
	if f.out != nil {
		errs = append(errs, f.out.Close())
		f.out = nil
	}
	if f.lock != nil {
		errs = append(errs, f.lock.Close())
		f.lock = nil
	}
	return errors.Join(errs...)
}

// syncDir makes names outlive a crash of the machine.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("failed to sync the folder of audit log: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("failed to sync the folder of audit log: %w", err)
	}
	return nil
}
