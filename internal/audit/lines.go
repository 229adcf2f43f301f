package audit

import (
	"bufio"
	"errors"
	"io"
)

var errTooLong = errors.New("the line is too long")

// lines reads a log line by line.
type lines struct {
	in *bufio.Reader
	// number is that of the last line that was read, from 1.
	number int64
}

func newLines(in io.Reader) *lines { return &lines{in: bufio.NewReaderSize(in, 64<<10)} }

// next gives the next line without its end, and whether it has one. The error at the end is io.EOF.
func (l *lines) next() ([]byte, bool, error) {
	var raw []byte
	for {
		part, err := l.in.ReadSlice('\n')
		if len(raw)+len(part) > MaxLine+1 {
			l.number++
			return nil, false, errTooLong
		}
		raw = append(raw, part...)
		switch {
		case err == nil:
			l.number++
			return raw[:len(raw)-1], true, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(raw) > 0:
			l.number++
			return raw, false, nil
		default:
			return nil, false, err
		}
	}
}
