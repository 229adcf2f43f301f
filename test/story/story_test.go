package story

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"
)

const small = `
title: A story
people:
  alice: {user: alice, groups: [developers]}
scenes:
- title: A scene
  steps:
  - as: alice
    run: echo name-1
    expect: {exit: 0, stdout: [name, {matches: "^name-[0-9]$"}], stderr: [{lacks: Error}]}
    eventually: 30s
    save: {name: "(name-1)"}
  - run: echo {{name}}
    expect: {exit: nonzero}
`

func TestParse(t *testing.T) {
	s, err := Parse([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	want := []Matcher{{Contains: "name"}, {Matches: "^name-[0-9]$"}}
	if diff := cmp.Diff(want, s.Scenes[0].Steps[0].Expect.Stdout); diff != "" {
		t.Errorf("matchers (-want +got):\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		reason   string
		old, new string
		want     string
	}{
		"unknown field": {
			reason: "a misspelt expectation would expect nothing",
			old:    "stdout:", new: "sdtout:", want: "field sdtout not found",
		},
		"unknown field of the story": {
			reason: "strict at every level", old: "title: A story", new: "title: A story\nscence: []", want: "field scence not found",
		},
		"duplicate field": {
			reason: "one of the two would be lost", old: "run: echo name-1", new: "run: echo name-1\n    run: ls", want: "already defined",
		},
		"unknown matcher": {
			reason: "a misspelt matcher would match nothing", old: "lacks: Error", new: "lack: Error", want: "unknown matcher",
		},
		"two matchers in one": {
			reason: "it would be unclear which counts", old: "lacks: Error", new: "lacks: Error, contains: x", want: "a matcher is text, or one of",
		},
		"empty matcher": {
			reason: "it would match anything", old: "lacks: Error", new: `lacks: " "`, want: "not empty",
		},
		"bad expression":      {reason: "cannot be judged", old: "[0-9]$", new: "[0-9$", want: "missing closing"},
		"lines":               {reason: "less than none", old: "eventually: 30s", new: "show: -1", want: "is a number of lines"},
		"exit code":           {reason: "not offered", old: "exit: nonzero", new: "exit: 2", want: "must be 0, 1 or nonzero"},
		"exit list":           {reason: "not a word", old: "exit: nonzero", new: "exit: [0]", want: "must be 0, 1 or nonzero"},
		"duration":            {reason: "no unit", old: "30s", new: "30", want: "must be a duration"},
		"negative duration":   {reason: "never tried", old: "30s", new: "-30s", want: "must be a duration"},
		"somebody unknown":    {reason: "no credentials", old: "as: alice", new: "as: alcie", want: `nobody called "alcie"`},
		"nothing saved":       {reason: "a hole would stay", old: "{{name}}", new: "{{other}}", want: `no earlier step saved "other"`},
		"capture, no group":   {reason: "nothing to keep", old: "(name-1)", new: "name-1", want: "exactly one group"},
		"capture, two groups": {reason: "unclear which", old: "(name-1)", new: "(name)-(1)", want: "exactly one group"},
		"no command":          {reason: "nothing to play", old: "run: echo name-1", new: "say: hello", want: "scenes[0].steps[0].run: is needed"},
		"no title of a scene": {reason: "nothing to read", old: "- title: A scene\n  steps", new: "- steps", want: "scenes[0].title: is needed"},
		"no user of a person": {reason: "no login", old: "user: alice, ", new: "", want: "people.alice: exactly one of user and serviceAccount is needed"},
		"user and account":    {reason: "a login is one of them", old: "user: alice, ", new: "user: alice, serviceAccount: agents/bot, ", want: "people.alice: exactly one of user and serviceAccount is needed"},
		"account without namespace": {
			reason: "a ServiceAccount lives in a namespace", old: "user: alice, ", new: "serviceAccount: bot, ",
			want: "people.alice.serviceAccount: is written as namespace/name",
		},
		"name of a person":     {reason: "would not be a file name", old: "alice: {", new: "../alice: {", want: "small letters"},
		"a second story after": {reason: "the second would be lost", old: "exit: nonzero}\n", new: "exit: nonzero}\n---\ntitle: B\n", want: "second document"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(small, tc.old) {
				t.Fatalf("the small story has no %q", tc.old)
			}
			_, err := Parse([]byte(strings.Replace(small, tc.old, tc.new, 1)))
			if err == nil {
				t.Fatalf("accepted, but: %s", tc.reason)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %q, want %q", err, tc.want)
			}
		})
	}
}

func sameCapture(a, b Capture) bool { return a.String() == b.String() }

// What can be read can be written and read again, and nothing makes the parser panic.
func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte("title: x\npeople: {a: &a {user: b}, c: *a}\nscenes: [{title: t, steps: [{run: r, expect: {stdout: [{matches: ']'}]}}]}]"))
	f.Add([]byte("scenes: [{steps: [{save: {n: '('}, eventually: 1h}]}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data)
		if err != nil {
			return
		}
		written, err := yaml.Marshal(s)
		if err != nil {
			t.Fatalf("cannot be written: %v", err)
		}
		again, err := Parse(written)
		if err != nil {
			t.Fatalf("cannot be read again: %v\n%s", err, written)
		}
		if diff := cmp.Diff(s, again, cmpopts.EquateEmpty(), cmp.Comparer(sameCapture)); diff != "" {
			t.Errorf("differs when read again (-first +second):\n%s", diff)
		}
	})
}
