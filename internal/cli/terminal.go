package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// isTerminal tells whether a person is at the other end of a stream.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// asks tells whether somebody can be asked.
func (p *Program) asks() bool { return isTerminal(p.IO.In) && isTerminal(p.IO.ErrOut) }

// ask asks a person for one line, until they interrupt.
func (p *Program) ask(ctx context.Context, question string) (string, error) {
	if _, err := fmt.Fprint(p.IO.ErrOut, safe(question)); err != nil {
		return "", fmt.Errorf("failed to ask: %w", err)
	}
	if p.lines == nil {
		p.lines = bufio.NewReader(p.IO.In)
	}
	typed := make(chan lineRead, 1)
	// A read cannot be ended. One that nobody waits for any more ends with the program.
	go func() {
		line, err := p.lines.ReadString('\n')
		typed <- lineRead{line, err}
	}()
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(p.IO.ErrOut) // the cursor stands behind the question
		return "", errors.New("interrupted: nothing was sent")
	case got := <-typed:
		if got.err != nil && (!errors.Is(got.err, io.EOF) || got.line == "") {
			return "", fmt.Errorf("failed to read an answer: %w", got.err)
		}
		return strings.TrimRight(got.line, "\r\n"), nil
	}
}

// lineRead is what came of reading a line.
type lineRead struct {
	line string
	err  error
}

// Colours of a terminal.
const (
	colourGood = "32"
	colourBad  = "31"
	colourOpen = "33"
)

// paint colours a text that was escaped before, on a terminal whose owner has nothing against it (https://no-color.org).
func (p *Program) paint(colour, text string) string {
	if colour == "" || !isTerminal(p.IO.Out) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
