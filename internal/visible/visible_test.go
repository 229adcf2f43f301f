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
		"Hangul":    {"A letter that is empty shows.", "a\u3164b\u115f\u1160\uffa0", `"a\u3164b\u115f\u1160\uffa0"`, `a\u3164b\u115f\u1160\uffa0`, `a\u3164b\u115f\u1160\uffa0`},
		"Braille":   {"So does a pattern without a dot.", "\u2800", `"\u2800"`, `\u2800`, `\u2800`},
		"Selectors": {
			"Marks in which a text can be written that nobody sees show.", "a\ufe01\U000e0142\u034f\u180b",
			`"a\ufe01\U000e0142\u034f\u180b"`, `a\ufe01\U000e0142\u034f\u180b`, `a\ufe01\U000e0142\u034f\u180b`,
		},
		"Style":   {"The style of a symbol is seen.", "\u26a0\ufe0f !", "\u26a0\ufe0f !", "\u26a0\ufe0f !", "\u26a0\ufe0f !"},
		"Styles":  {"That of a letter is not, nor one after another.", "a\ufe0f\u26a0\ufe0e\ufe0f", "\"a\\ufe0f\u26a0\ufe0e\\ufe0f\"", "a\\ufe0f\u26a0\ufe0e\\ufe0f", "a\\ufe0f\u26a0\ufe0e\\ufe0f"},
		"Quotes":  {"What is escaped in quotes is so once.", "\u3164\"\\\n", "\"\\u3164\\\"\\\\\\n\"", "\\u3164\"\\\\n", "\\u3164\"\\\n"},
		"Invalid": {"What is no text is left to JSON, which marks it.", "a\xff", "a\xff", "a\xff", "a\xff"},
		"Empty":   {"Nothing stays nothing.", "", "", "", ""},
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
