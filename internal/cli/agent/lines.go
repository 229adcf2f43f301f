package agent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxLine bounds a message. Requests hold less than the API server takes of one object.
const maxLine = 4 << 20

// Lines is the transport by which messages come and go, one in each line. The SDK ends at the first line that is no message, and with it everything
// that the agent waits for; here such a line is answered, and the next one is read.
func Lines(in io.Reader, out io.Writer) mcp.Transport {
	o := &oneWriter{out: out}
	return &mcp.IOTransport{Reader: &lines{in: bufio.NewReader(in), out: o}, Writer: o}
}

// oneWriter writes whole lines, whoever answers. It leaves the stream open, which others use too.
type oneWriter struct {
	mu  sync.Mutex
	out io.Writer
}

// Write implements io.Writer.
func (w *oneWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(line)
}

// Close implements io.Closer.
func (*oneWriter) Close() error { return nil }

// lines passes on the lines that are messages.
type lines struct {
	in  *bufio.Reader
	out io.Writer
	// rest is what was not read yet of the last line.
	rest []byte
}

// Close implements io.Closer.
func (*lines) Close() error { return nil }

// Read implements io.Reader.
func (l *lines) Read(into []byte) (int, error) {
	for len(l.rest) == 0 {
		line, err := l.next()
		if wrong := unreadable(line); wrong != nil {
			if err := l.refuse(wrong); err != nil {
				return 0, err
			}
		} else if len(line) > 0 {
			l.rest = append(line, '\n')
		}
		if err != nil && len(l.rest) == 0 {
			return 0, err
		}
	}
	n := copy(into, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// next gives the next line, without blanks around it. Of one that is too long, it gives the beginning, one byte more than there may be.
func (l *lines) next() ([]byte, error) {
	var line []byte
	for {
		part, err := l.in.ReadSlice('\n')
		line = append(line, part[:min(len(part), maxLine+1-len(line))]...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimSpace(line), err
		}
	}
}

// unreadable says why a line is no message. Nil: it is one, or blank.
func unreadable(line []byte) *jsonrpc.Error {
	switch {
	case len(line) == 0:
		return nil
	case len(line) > maxLine:
		return &jsonrpc.Error{Code: jsonrpc.CodeParseError, Message: fmt.Sprintf("the line has more than %d bytes", maxLine)}
	case !json.Valid(line):
		return &jsonrpc.Error{Code: jsonrpc.CodeParseError, Message: "the line is not JSON: a message is one JSON object in one line"}
	}
	if _, err := jsonrpc.DecodeMessage(line); err != nil {
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: "the line is no message of JSON-RPC 2.0: a message is one JSON object in one line, and there are no batches"}
	}
	return nil
}

// refuse answers a line of which nobody knows which call it was.
func (l *lines) refuse(wrong *jsonrpc.Error) error {
	answer, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": nil, "error": wrong})
	if err != nil {
		return fmt.Errorf("failed to write the answer: %w", err)
	}
	_, err = l.out.Write(append(answer, '\n'))
	return err
}
