package manifest

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestParse(t *testing.T) {
	cases := map[string]struct {
		reason string
		data   string
		want   []string
		lines  []int
	}{
		"One":        {"a file without a separator is one document", "a: 1\n", []string{`{"a":1}`}, []int{1}},
		"Several":    {"each knows where it begins", "a: 1\n---\nb: 2\n--- # third\nc: 3\n", []string{`{"a":1}`, `{"b":2}`, `{"c":3}`}, []int{1, 3, 5}},
		"SameLine":   {"a document may begin behind the separator", "a: 1\n--- {b: 2}\n", []string{`{"a":1}`, `{"b":2}`}, []int{1, 2}},
		"Empty":      {"a document of comments says nothing", "# nothing\n---\n---\na: 1\n", []string{`{"a":1}`}, []int{4}},
		"Dashes":     {"a line that only begins like a separator is text", "a: |\n  ---\n  x\nb: ----\n", []string{`{"a":"---\nx\n","b":"----"}`}, []int{1}},
		"Windows":    {"line ends of Windows end lines too", "a: 1\r\n---\r\nb: 2\r\n", []string{`{"a":1}`, `{"b":2}`}, []int{1, 3}},
		"Old":        {"kubectl reads YAML 1.1, and so does this", "a: on\nb: 017\n", []string{`{"a":true,"b":15}`}, []int{1}},
		"JSON":       {"JSON is YAML", `{"a": 1}`, []string{`{"a":1}`}, []int{1}},
		"NoDocument": {"an empty file has none", "", nil, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			documents, err := Parse("f.yaml", []byte(tc.data))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			var lines []int
			for _, document := range documents {
				got, lines = append(got, string(document.JSON)), append(lines, document.Line)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.lines, lines); diff != "" {
				t.Errorf("%s: lines (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	cases := map[string]struct {
		reason, data, want string
	}{
		"Syntax":    {"the line is that of the file, not of the document", "a: 1\n---\nb: 2\nc: [\n", "f.yaml:4: failed to parse YAML: did not find expected node content"},
		"Duplicate": {"the second of two equal fields would silently win", "a: 1\n---\nb: 2\nb: 3\n", `f.yaml:4: failed to parse YAML: key "b" already set in map`},
		"TooLarge":  {"a stray file is not read", strings.Repeat("#", maxSize+1), "f.yaml: it has 16777217 bytes: at most 16777216 are accepted"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(tc.data))
			var problem *Problem
			if !errors.As(err, &problem) || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("%s:\ngot  %v\nwant %s…", tc.reason, err, tc.want)
			}
		})
	}
}

func TestLineOf(t *testing.T) {
	documents, err := Parse("f.yaml", []byte(`# a comment
kind: A
---
kind: B
spec:
  rules:
  - name: first
    when: x
  - {name: second,
     when: y}
metadata:
  annotations: {signoff.dev/at: z}
`))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason, path string
		want         int
		holds        bool
	}{
		"Field":      {"a plain field", "kind", 4, true},
		"Element":    {"an element of a list", "spec.rules[0]", 7, true},
		"Inside":     {"a field of an element", "spec.rules[0].when", 8, true},
		"Flow":       {"a field between braces", "spec.rules[1].when", 10, true},
		"Key":        {"a key with dots stands in brackets", "metadata.annotations[signoff.dev/at]", 12, true},
		"Missing":    {"what is missing is where it should be", "spec.rules[0].effect", 7, false},
		"NoElement":  {"an index beyond the end", "spec.rules[7]", 6, false},
		"NotAnIndex": {"a name where an index belongs", "spec.rules.when", 6, false},
		"Nothing":    {"the document itself", "", 4, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := documents[1].LineOf(tc.path); got != tc.want {
				t.Errorf("%s: line %d, want %d", tc.reason, got, tc.want)
			}
			if got := documents[1].Holds(tc.path); got != tc.holds {
				t.Errorf("%s: it is written: %t, want %t", tc.reason, got, tc.holds)
			}
		})
	}
	got := documents[1].At(field.Required(field.NewPath("spec", "title"), "")).Error()
	if want := "f.yaml:5: spec.title: Required value"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a: 1\n---\nb: [1, {c: 2}]\n", "--- {a: &x [1]}\n--- # c\nb: *x\n", "a: |\n  ---\n", "\t", "---\r\n...\r\n", "? [a]\n: b"} {
		f.Add([]byte(seed), "a.b[0].c")
	}
	f.Fuzz(func(t *testing.T, data []byte, path string) {
		documents, err := Parse("f.yaml", data)
		// YAML knows more line ends than editors do.
		lines := 2
		for _, end := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} {
			lines += strings.Count(string(data), end)
		}
		var problem *Problem
		if err != nil && (!errors.As(err, &problem) || problem.Line < 0 || problem.Line > lines) {
			t.Errorf("of %d lines: %v", lines, err)
		}
		for _, document := range documents {
			if line := document.LineOf(path); line < 1 || line > lines {
				t.Errorf("%q is in line %d of %d", path, line, lines)
			}
			_, _ = document.Object()
		}
	})
}
