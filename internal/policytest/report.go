package policytest

import (
	"fmt"
	"strings"
)

// Text says what came: a line for each case that failed, and a summary. With show, every case has a line, and what show says of it.
func (r *Report) Text(show func(*Observed) string) string {
	text := &strings.Builder{}
	for i := range r.Files {
		r.Files[i].write(text, show)
	}
	passed, failed, unreadable := r.Count()
	fmt.Fprintf(text, "%s in %s: %d passed, %d failed", plural(passed+failed, "case"), plural(len(r.Files), "file"), passed, failed)
	if unreadable > 0 {
		fmt.Fprintf(text, ", %s could not be read", plural(unreadable, "file"))
	}
	return text.String() + "\n"
}

func (f *FileResult) write(text *strings.Builder, show func(*Observed) string) {
	for _, problem := range f.Problems {
		fmt.Fprintf(text, "ERROR %v\n", problem)
	}
	for i := range f.Cases {
		c := &f.Cases[i]
		switch {
		case len(c.Failures) > 0:
			fmt.Fprintf(text, "FAIL  %s:%d: %s: %s\n", f.Path, c.Line, c.Name, oneLine(strings.Join(c.Failures, "; ")))
		case show != nil:
			fmt.Fprintf(text, "ok    %s:%d: %s\n", f.Path, c.Line, c.Name)
		}
		if show != nil && c.Observed != nil {
			text.WriteString(show(c.Observed))
		}
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
