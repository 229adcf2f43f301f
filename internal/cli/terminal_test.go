package cli

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// TestAsk takes a line, or ends when whoever is asked interrupts.
func TestAsk(t *testing.T) {
	silent, held := io.Pipe() // nobody ever types
	defer func() { _ = held.Close() }()
	type got struct{ Line, Err, Screen string }
	cases := map[string]struct {
		reason    string
		in        io.Reader
		interrupt bool
		want      got
	}{
		"Line":        {"what was typed", strings.NewReader("yes\r\nmore\n"), false, got{"yes", "", "sure? "}},
		"Last":        {"a line that nobody ended", strings.NewReader("yes"), false, got{"yes", "", "sure? "}},
		"Nothing":     {"no answer is no yes", strings.NewReader(""), false, got{"", "failed to read an answer: EOF", "sure? "}},
		"Interrupted": {"a read that never ends must not keep anybody", silent, true, got{"", "interrupted: nothing was sent", "sure? \n"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			if tc.interrupt {
				interrupt()
			}
			var screen bytes.Buffer
			program := &Program{IO: genericiooptions.IOStreams{In: tc.in, ErrOut: &screen}}
			line, err := program.ask(ctx, "sure? ")
			have := got{Line: line, Screen: screen.String()}
			if err != nil {
				have.Err = err.Error()
			}
			if diff := cmp.Diff(tc.want, have); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
