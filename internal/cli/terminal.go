package cli

import (
	"bufio"
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

// ask asks a person for one line.
func (p *Program) ask(question string) (string, error) {
	if _, err := fmt.Fprint(p.IO.ErrOut, safe(question)); err != nil {
		return "", fmt.Errorf("failed to ask: %w", err)
	}
	if p.lines == nil {
		p.lines = bufio.NewReader(p.IO.In)
	}
	line, err := p.lines.ReadString('\n')
	if err != nil && (!errors.Is(err, io.EOF) || line == "") {
		return "", fmt.Errorf("failed to read an answer: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
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
