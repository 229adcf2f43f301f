package policytest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// head is the beginning of a good file, in five lines.
const head = `apiVersion: test.signoff.dev/v1alpha1
kind: PolicyTest
objects: [a.yaml]
now: "2026-11-23T12:00:00Z"
requester: {username: alice}
`

const request = "request: {spec: {}}\n"

const good = head + request + `cases:
- name: one
  expect: {effect: Allow}
`

func TestParse(t *testing.T) {
	file, problems := Parse("t.yaml", []byte(good))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if len(file.Cases) != 1 || file.Cases[0].Line != 8 || file.Cases[0].Expect.Effect != "Allow" || file.Cases[0].at.IsZero() {
		t.Errorf("the case is %+v", file.Cases)
	}
}

func TestParseRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		data   string
		want   []string
	}{
		"Empty":     {"a file that says nothing", "# nothing\n", []string{"t.yaml: the file is empty: a test file begins with apiVersion: test.signoff.dev/v1alpha1"}},
		"TooLarge":  {"a stray file is not read", strings.Repeat("#", maxSize+1), []string{"t.yaml: a test file has at most 1048576 bytes"}},
		"Syntax":    {"the line is told", head + "cases: [\n", []string{"t.yaml:6: failed to parse YAML: did not find expected node content"}},
		"Documents": {"only the first would be read", good + "---\n" + good, []string{"t.yaml:11: a second document begins here: a test file has one"}},
		"AnotherKind": {
			"a file of something else", "apiVersion: v1\nkind: ConfigMap\n", []string{
				`t.yaml:1: apiVersion: Unsupported value: "v1": supported values: "test.signoff.dev/v1alpha1"`,
				`t.yaml:2: kind: Unsupported value: "ConfigMap": supported values: "PolicyTest"`,
				"t.yaml:1: objects: Required value: name the files that are tested",
				"t.yaml:1: cases: Required value: a test file has at least one case",
			},
		},
		"List": {"the whole file has another type", "[]", []string{`t.yaml:1: document: Invalid value: "array": fields are accepted`}},
		"Unknown": {
			"misspelt fields, at the top and in a case, each with its line", head + request + "nw: x\ncases:\n- name: one\n  expcet: {}\n  expect: {efect: Allow, stages: []}\n",
			[]string{
				`t.yaml:7: nw: Forbidden: unknown field, did you mean "now"?`,
				`t.yaml:10: cases[0].expcet: Forbidden: unknown field, did you mean "expect"?`,
				`t.yaml:11: cases[0].expect.efect: Forbidden: unknown field, did you mean "effect"?`,
			},
		},
		"Type": {"another type, with the number of the case", head + request + "cases:\n- name: one\n  expect: {refused: false}\n- name: two\n  expect: {refused: maybe}\n",
			[]string{`t.yaml:11: cases[1].expect.refused: Invalid value: "string": true or false is accepted`}},
		"Nothing": {"what a case needs, once it is nowhere", "apiVersion: test.signoff.dev/v1alpha1\nkind: PolicyTest\nobjects: [a]\ncases:\n- {}\n", []string{
			"t.yaml:5: cases[0].name: Required value: one line that says what the case is about",
			"t.yaml:5: cases[0].now: Required value: the time at which the request is judged, here or at the top of the file",
			"t.yaml:5: cases[0].requester.username: Required value: who asks, here or at the top of the file",
			"t.yaml:5: cases[0].request: Required value: what is asked, here or at the top of the file",
			"t.yaml:5: cases[0].expect: Required value: say what is expected: a case that expects nothing cannot fail",
		}},
		"Values": {"values that can never come", head + request + `facts: [{kind: A, metadata: {}}, 1]
invalid: [{object: Action}]
cases:
- name: one
  now: tomorrow
  absent: [{}]
  writable: [{apiVersion: v1}]
  expect: {effect: Alow, reason: DeniedByRule, nextChange: soon, may: {aprove: {bob: true}}}
`, []string{
			"t.yaml:7: facts[0].apiVersion: Required value", "t.yaml:7: facts[0].metadata.name: Required value",
			"t.yaml:7: facts[1]: Invalid value: the fields of an object are accepted",
			`t.yaml:8: invalid[0].object: Invalid value: "Action": Kind/namespace/name is accepted, or Kind/name where the kind is not namespaced`,
			`t.yaml:11: cases[0].now: Invalid value: "tomorrow": a time such as 2026-12-24T09:00:00Z or 2026-12-24T10:00:00+01:00 is accepted`,
			"t.yaml:12: cases[0].absent[0].apiVersion: Required value", "t.yaml:12: cases[0].absent[0].kind: Required value",
			"t.yaml:12: cases[0].absent[0].name: Required value", "t.yaml:13: cases[0].writable[0].kind: Required value",
			`t.yaml:14: cases[0].expect.effect: Unsupported value: "Alow": supported values: "Allow", "RequireApproval", "Hold", "Deny", "Indeterminate"`,
			`t.yaml:14: cases[0].expect.reason: Unsupported value: "DeniedByRule": supported values: "DeniedByPolicy", "NotAuthorized", "Indeterminate", "FactsUnavailable", "ActionUnavailable", "Invalid"`,
			`t.yaml:14: cases[0].expect.nextChange: Invalid value: "soon": a time such as 2026-12-24T09:00:00Z or 2026-12-24T10:00:00+01:00 is accepted`,
			`t.yaml:14: cases[0].expect.may[aprove]: Unsupported value: "aprove": supported values: "approve", "cancel", "review", "action/<stage>", "policy/<policy>/<stage>"`,
		}},
		"SameName": {"reports name cases by their names", good + "- name: one\n  expect: {effect: Deny}\n", []string{`t.yaml:10: cases[1].name: Duplicate value: "one"`}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			file, problems := Parse("t.yaml", []byte(tc.data))
			var got []string
			for _, problem := range problems {
				got = append(got, problem.Error())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if file != nil {
				t.Errorf("%s: there is a file beside the problems", tc.reason)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*/*.yaml")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, problems := Parse("t.yaml", data)
		if (file == nil) != (len(problems) > 0) {
			t.Fatalf("file %v, problems %v", file, problems)
		}
		for _, problem := range problems {
			if problem.Error() == "" || strings.Contains(problem.Error(), "<nil>: ") {
				t.Errorf("a problem says %q", problem.Error())
			}
		}
		if file == nil {
			return
		}
		for i := range file.Cases {
			if c := &file.Cases[i]; c.at.IsZero() || c.Requester == nil || c.Name == "" {
				t.Errorf("case %d lacks something: %+v", i, c)
			}
			if text, err := merged(file.Request, file.Cases[i].Request); err == nil && !json.Valid(text) {
				t.Errorf("case %d asks for %s", i, text)
			}
			_ = file.login(*file.Cases[i].Requester)
		}
	})
}
