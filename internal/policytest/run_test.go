package policytest

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"
)

var update = flag.Bool("update", false, "write golden files")

// run runs test files with a clock that stands still, so that reports are always the same.
func run(t *testing.T, paths ...string) *Report {
	t.Helper()
	runner := &Runner{Clock: clocktesting.NewFakePassiveClock(time.Unix(0, 0))}
	files, err := Find(paths)
	if err != nil {
		t.Fatal(err)
	}
	report, err := runner.Run(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func text(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	out := &strings.Builder{}
	if err := write(out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); go test -update writes it:\n%s", name, diff)
	}
}

// TestShop runs a file that uses everything, and whose cases all pass.
func TestShop(t *testing.T) {
	report := run(t, "testdata/shop")
	got := report.Text(nil)
	if want := "22 cases in 1 file: 22 passed, 0 failed\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestExamples runs what the examples say is decided in which situation: others copy it.
func TestExamples(t *testing.T) {
	if got := run(t, "../../examples").Text(nil); !strings.HasSuffix(got, " passed, 0 failed\n") || strings.Contains(got, "ERROR") {
		t.Error(got)
	}
}

// TestFailures shows that each expectation can fail, and what is then said.
func TestFailures(t *testing.T) {
	report := run(t, "testdata/broken/failing.yaml", "testdata/broken/refused.yaml")
	golden(t, "failures.txt", report.Text(nil))
	golden(t, "failures.xml", text(t, report.JUnit))
}

// TestUnreadable shows what is said of files that are wrong, or name something that is.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, content string) {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a_test.yaml", strings.Replace(good, "[a.yaml]", "[missing.yaml, none-*.yaml]", 1))
	write("syntax.yaml", "kind: [\n")
	write("b_test.yaml", strings.Replace(good, "[a.yaml]", "[syntax.yaml]", 1))
	write("noobject.yaml", "title: x\n")
	write("c_test.yaml", strings.Replace(good, "[a.yaml]", "[noobject.yaml]", 1))
	write("kind.yaml", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: signoff.dev/v1alpha1, kind: Acton}\n")
	write("d_test.yaml", strings.Replace(good, "[a.yaml]", "[kind.yaml]", 1))
	write("config.yaml", "apiVersion: config.signoff.dev/v1alpha1\nkind: Configuration\nperson: {expresion: a}\n")
	write("e_test.yaml", strings.Replace(good, "[a.yaml]", "[empty.yaml]\nconfiguration: config.yaml", 1))
	write("empty.yaml", "")
	write("f_test.yaml", strings.Replace(good, "[a.yaml]", "[empty.yaml]\nconfiguration: nowhere.yaml", 1))
	// Mistakes in a request are told where they stand: at the top of the file, or in the case.
	write("g_test.yaml", strings.Replace(good, "[a.yaml]", "[empty.yaml]", 1)+"- name: two\n  request: {spec: {inpts: {}}}\n  expect: {effect: Deny}\n")
	write("h_test.yaml", strings.NewReplacer("[a.yaml]", "[empty.yaml]", "{spec: {}}", "{specc: {}}").Replace(good)+"- name: two\n  expect: {effect: Deny}\n")
	report := run(t, ".")
	got := report.Text(nil)
	want := `ERROR a_test.yaml:3: objects[0]: Invalid value: "missing.yaml": there is no such file
ERROR a_test.yaml:3: objects[1]: Invalid value: "none-*.yaml": there is no such file
ERROR syntax.yaml:1: failed to parse YAML: did not find expected node content
ERROR noobject.yaml:1: kind: Required value: an object has apiVersion and kind
ERROR kind.yaml:4: items[0].kind: Invalid value: "Acton": there is no such kind, did you mean "Action"?
ERROR config.yaml: failed to accept the configuration: person.expresion: Forbidden: unknown field, did you mean "expression"?
ERROR f_test.yaml:4: configuration: Invalid value: "nowhere.yaml": no such file or directory
ERROR g_test.yaml:11: cases[1].request.spec.inpts: Forbidden: unknown field, did you mean "inputs"?
ERROR h_test.yaml:6: request.specc: Forbidden: unknown field, did you mean "spec"?
0 cases in 8 files: 0 passed, 0 failed, 8 files could not be read
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	wellFormed(t, text(t, report.JUnit))
}

// wellFormed reads XML to its end.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(text))
	elements := 0
	for {
		token, err := decoder.Token()
		switch {
		case errors.Is(err, io.EOF):
			if elements == 0 {
				t.Error("there is nothing in the report")
			}
			return
		case err != nil:
			t.Fatalf("the report is not well-formed: %v\n%s", err, text)
		}
		if _, ok := token.(xml.StartElement); ok {
			elements++
		}
	}
}

// TestJUnitEscapes shows that no name of a case breaks the report.
func TestJUnitEscapes(t *testing.T) {
	report := &Report{Files: []FileResult{{Path: `a"b<c>&.yaml`, Cases: []CaseResult{
		{Name: "]]> \x00 \u2028 <x/>", Failures: []string{`"&<>'`, "\x1b[31m"}, Took: 1500 * time.Millisecond},
	}}}}
	out := text(t, report.JUnit)
	wellFormed(t, out)
	if !strings.Contains(out, `time="1.500"`) {
		t.Errorf("the time is missing:\n%s", out)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"a/x_test.yaml", "a/b/y_test.yml", "a/.hidden/z_test.yaml", "a/x.yaml", "a/test.yaml", "other.yaml"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases := map[string]struct {
		reason string
		paths  []string
		want   []string
		err    string
	}{
		"Folder":  {reason: "below, except in hidden folders", paths: []string{"a"}, want: []string{"a/b/y_test.yml", "a/x_test.yaml"}},
		"Twice":   {reason: "each once", paths: []string{"a", "a/b", "a/x_test.yaml"}, want: []string{"a/b/y_test.yml", "a/x_test.yaml"}},
		"Named":   {reason: "a file that is named may be called anything", paths: []string{"other.yaml"}, want: []string{"other.yaml"}},
		"Missing": {reason: "a folder that is not there", paths: []string{"c"}, err: "no such file"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Find(tc.paths)
			if (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("%s: error is %v, want %q", tc.reason, err, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
	if err := os.Mkdir("empty", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Find([]string{"empty"}); err == nil || !strings.Contains(err.Error(), "there is no test file in empty") {
		t.Errorf("no test is not a green test, and the error is %v", err)
	}
}

func TestOnly(t *testing.T) {
	runner := &Runner{Clock: clocktesting.NewFakePassiveClock(time.Unix(0, 0)), Only: regexp.MustCompile("^Christmas")}
	report, err := runner.Run(t.Context(), []string{"testdata/shop/shop_test.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	if passed, failed, unreadable := report.Count(); passed != 2 || failed+unreadable != 0 {
		t.Errorf("%d passed, %d failed, %d unreadable", passed, failed, unreadable)
	}
}
