package story

import (
	"fmt"
	"io"
	"slices"
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
func (p *Printer) Output(step *Step, answer *Answer) {
	lines := slices.Concat(split(answer.Stderr), split(answer.Stdout))
	more := 0
	if step.Show > 0 && len(lines) > step.Show {
		more = len(lines) - step.Show
		lines = lines[:step.Show]
	}
	for _, line := range lines {
		p.print("%s\n", line)
	}
	if more > 0 {
		p.print("%s\n", p.paint(faint, fmt.Sprintf("… and %d lines more", more)))
	}
}

// Difference prints what is not as expected.
func (p *Printer) Difference(err error) { p.lines(red, "!! ", err.Error()) }

func (p *Printer) lines(code, prefix, text string) {
	for _, line := range split(text) {
		p.print("%s\n", p.paint(code, prefix+line))
	}
}

// split gives the lines of a text, none of an empty one.
func split(text string) []string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
