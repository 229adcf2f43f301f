package visible

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVisible(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, text, quoted, escaped, lines string
	}{
		"Plain":     {"What shows stays as it is.", `deploy "größer" 漢字`, `deploy "größer" 漢字`, `deploy "größer" 漢字`, `deploy "größer" 漢字`},
		"Control":   {"A terminal must not obey.", "a\x1b[2Jb", `"a\x1b[2Jb"`, `a\x1b[2Jb`, `a\x1b[2Jb`},
		"Direction": {"Marks that turn the direction of writing show.", "a\u202eb", `"a\u202eb"`, `a\u202eb`, `a\u202eb`},
		"Line":      {"Only Lines keeps lines.", "a\nb\rc", `"a\nb\rc"`, `a\nb\rc`, "a\nb\\rc"},
		"Invalid":   {"What is no text is left to JSON, which marks it.", "a\xff", "a\xff", "a\xff", "a\xff"},
		"Empty":     {"Nothing stays nothing.", "", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := []string{Quoted(tc.text), Escaped(tc.text), Lines(tc.text)}
			if diff := cmp.Diff([]string{tc.quoted, tc.escaped, tc.lines}, got); diff != "" {
				t.Errorf("%s\nQuoted, Escaped and Lines of %q: -want, +got:\n%s", tc.reason, tc.text, diff)
			}
		})
	}
}

func TestInside(t *testing.T) {
	for text, want := range map[string]string{`a "b"`: `a "b"`, "a \"b\"\x1b": `a \"b\"\x1b`, "": ""} {
		if got := Inside(text); got != want {
			t.Errorf("Inside(%q): want %q as Quoted has it between its quotes, got %q", text, want, got)
		}
	}
}
