package agent

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

func TestUnreadable(t *testing.T) {
	cases := map[string]struct {
		reason, line string
		want         int64
	}{
		"Call":         {"a call", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, 0},
		"Notification": {"a notification", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, 0},
		"Answer":       {"an answer", `{"jsonrpc":"2.0","id":1,"result":{}}`, 0},
		"Blank":        {"nothing", "", 0},
		"Text":         {"what is not JSON", "hello", jsonrpc.CodeParseError},
		"Half":         {"half a message", `{"jsonrpc":"2.0","id":1,`, jsonrpc.CodeParseError},
		"Trailing":     {"two messages in one line", `{"jsonrpc":"2.0","id":1,"method":"ping"} {}`, jsonrpc.CodeParseError},
		"Long":         {"a line that never ends", strings.Repeat("x", maxLine+1), jsonrpc.CodeParseError},
		"Version":      {"another protocol", `{"jsonrpc":"1.0","id":1,"method":"ping"}`, jsonrpc.CodeInvalidRequest},
		"Number":       {"JSON that is no message", "7", jsonrpc.CodeInvalidRequest},
		"Batch":        {"the protocol has no batches any more", `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, jsonrpc.CodeInvalidRequest},
		"ID":           {"an id that is none", `{"jsonrpc":"2.0","id":{},"method":"ping"}`, jsonrpc.CodeInvalidRequest},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := int64(0)
			if wrong := unreadable([]byte(tc.line)); wrong != nil {
				got = wrong.Code
			}
			if got != tc.want {
				t.Errorf("%s: the code is %d, want %d", tc.reason, got, tc.want)
			}
		})
	}
}

// TestServerOutlivesMalformedLines answers them, and then the next call.
func TestServerOutlivesMalformedLines(t *testing.T) {
	server, err := NewServer(&desk{}, "bot", "v1")
	if err != nil {
		t.Fatal(err)
	}
	in, typed := io.Pipe()
	answers, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- server.Run(t.Context(), Lines(in, out)) }()
	scanner := bufio.NewScanner(answers)
	// said sends a line, and gives the id and the code of the error of what is answered.
	said := func(line string) [2]any {
		t.Helper()
		if _, err := io.WriteString(typed, line+"\n"); err != nil || !scanner.Scan() {
			t.Fatalf("no answer to %.40q: %v %v", line, err, scanner.Err())
		}
		var answer struct {
			ID    any `json:"id"`
			Error struct {
				Code float64 `json:"code"`
			} `json:"error"`
		}
		if err := json.Unmarshal(scanner.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		return [2]any{answer.ID, answer.Error.Code}
	}
	got := [][2]any{
		said("not json"),
		said(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`),
		said(strings.Repeat("y", 2*maxLine)),
		said("[]"),
		said("\r\n\n" + `{"jsonrpc":"2.0","id":2,"method":"ping"}`),
	}
	want := [][2]any{{nil, -32700.0}, {1.0, 0.0}, {nil, -32700.0}, {nil, -32600.0}, {2.0, 0.0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the answers (-want +got):\n%s", diff)
	}
	if err := typed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// FuzzUnreadable: what is taken for a message is one line of JSON.
func FuzzUnreadable(f *testing.F) {
	for _, line := range []string{"", "{}", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, "[]", "x", "\x00"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if unreadable(line) == nil && len(line) > 0 && !json.Valid(line) {
			t.Errorf("%q is passed on", line)
		}
	})
}
