package story

import (
	"fmt"
	"io"
	"strings"
)

// Printer tells a story to people.
type Printer struct {
	// To is where it prints.
	To io.Writer
	// Colour marks headings, commands and differences for a terminal.
	Colour bool
}

var _ Narrator = (*Printer)(nil)

// Codes of terminals.
const (
	bold  = "1"
	faint = "2"
	red   = "1;31"
	cyan  = "36"
)

func (p *Printer) paint(code, text string) string {
	if !p.Colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// print drops errors: whoever closed the output does not want to read it.
func (p *Printer) print(format string, args ...any) { _, _ = fmt.Fprintf(p.To, format, args...) }

// Scene prints a heading.
func (p *Printer) Scene(number int, scene *Scene) {
	p.print("\n%s\n", p.paint(bold, fmt.Sprintf("== %d. %s", number, scene.Title)))
	p.lines(faint, "   ", scene.About)
}

// Command prints a prompt and the command.
func (p *Printer) Command(step *Step, command string) {
	p.print("\n")
	p.lines(faint, "# ", step.Say)
	p.print("%s%s\n", p.paint(cyan, step.As+"$ "), strings.TrimRight(command, "\n"))
}

// Output prints what the command printed, the standard error first, where warnings are.
func (p *Printer) Output(answer *Answer) {
	for _, text := range []string{answer.Stderr, answer.Stdout} {
		if text = strings.TrimRight(text, "\n"); text != "" {
			p.print("%s\n", text)
		}
	}
}

// Difference prints what is not as expected.
func (p *Printer) Difference(err error) { p.lines(red, "!! ", err.Error()) }

func (p *Printer) lines(code, prefix, text string) {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return
	}
	for _, line := range strings.Split(text, "\n") {
		p.print("%s\n", p.paint(code, prefix+line))
	}
}
