package story

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// play plays steps in one scene and gives what was printed.
func play(ctx context.Context, t *testing.T, steps ...Step) (Result, string) {
	t.Helper()
	var out strings.Builder
	player := &Player{
		Dir: t.TempDir(), Environment: []string{"PATH=/usr/bin:/bin"},
		Kubeconfigs: map[string]string{"": "everybody", "alice": "hers"},
		Narrator:    &Printer{To: &out},
	}
	result, err := player.Play(ctx, &Story{Title: "A story", Scenes: []Scene{{Title: "A scene", Steps: steps}}})
	if err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	return result, out.String()
}

func TestPlay(t *testing.T) {
	capture := func(expression string) Capture {
		var c Capture
		if err := c.UnmarshalYAML(scalar(expression)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for name, tc := range map[string]struct {
		reason string
		steps  []Step
		same   bool
		want   []string
	}{
		"success": {
			reason: "a command that says nothing about its answer must succeed",
			steps:  []Step{{As: "alice", Run: "echo hello"}}, same: true, want: []string{"alice$ echo hello\nhello\n"},
		},
		"failure": {
			reason: "a command that fails unexpectedly is a difference",
			steps:  []Step{{Run: "exit 3"}}, want: []string{"!! exit code is 3, expected is 0"},
		},
		"expected failure": {
			reason: "refusals are what stories are about",
			steps:  []Step{{Run: "echo no >&2; exit 1", Expect: Expectation{Exit: ExitOne, Stderr: []Matcher{{Contains: "no"}}}}}, same: true,
		},
		"unexpected success": {
			reason: "what must be refused and is not, is a difference",
			steps:  []Step{{Run: "true", Expect: Expectation{Exit: ExitNonzero}}}, want: []string{"!! exit code is 0, expected is nonzero"},
		},
		"every difference": {
			reason: "one run must show all there is to mend",
			steps: []Step{{Run: "echo a   b", Expect: Expectation{Stdout: []Matcher{{Contains: "a b"}, {Contains: "c"}, {Lacks: "b"}, {Matches: "^b"}}}},
				{Run: "exit 1"}},
			want: []string{`!! stdout does not contain "c"`, `!! stdout contains "b"`, `!! stdout does not match "^b"`, "!! exit code is 1"},
		},
		"identity": {
			reason: "everybody has their own kubeconfig",
			steps:  []Step{{As: "alice", Run: "echo $KUBECONFIG"}, {Run: "echo $KUBECONFIG"}}, same: true, want: []string{"\nhers\n", "\neverybody\n"},
		},
		"nothing else in the environment": {
			reason: "what the player of the story has must not decide",
			steps:  []Step{{Run: "echo home is $HOME.", Expect: Expectation{Stdout: []Matcher{{Contains: "home is ."}}}}}, same: true,
		},
		"nobody": {
			reason: "somebody without credentials must not act as somebody else",
			steps:  []Step{{As: "bob", Run: "echo hello"}}, want: []string{`!! there are no credentials for "bob"`},
		},
		"save": {
			reason: "people copy commands that they read",
			steps: []Step{
				{Run: "echo '  Approve: echo yes'", Save: map[string]Capture{"approve": capture("Approve: +(.*)$")}},
				{Run: "{{approve}}", Expect: Expectation{Stdout: []Matcher{{Matches: "^yes$"}}}},
			}, same: true, want: []string{"$ echo yes\nyes\n"},
		},
		"nothing to save": {
			reason: "a later command must not run with a hole",
			steps:  []Step{{Run: "echo", Save: map[string]Capture{"x": capture("(y)")}}, {Run: "echo {{x}}"}},
			want:   []string{`nothing to save as "x"`, "not typed, because an earlier step did not give x"},
		},
		"eventually": {
			reason: "what comes a moment later is waited for",
			steps:  []Step{{Run: "echo x >> f; wc -l < f", Expect: Expectation{Stdout: []Matcher{{Contains: "3"}}}, Eventually: Duration(minute)}},
			same:   true, want: []string{"\n3\n"},
		},
		"never": {
			reason: "waiting ends",
			steps:  []Step{{Run: "echo x", Expect: Expectation{Stdout: []Matcher{{Contains: "y"}}}, Eventually: 1}},
			want:   []string{`!! not within 1ns: stdout does not contain "y"`},
		},
		"heredoc": {
			reason: "manifests are typed so",
			steps:  []Step{{Run: "cat <<'EOF'\n${inputs}\nEOF\n", Expect: Expectation{Stdout: []Matcher{{Contains: "${inputs}"}}}}}, same: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			result, out := play(t.Context(), t, tc.steps...)
			want := Result{Scenes: 1}
			if tc.same {
				want.AsExpected = 1
			}
			if diff := cmp.Diff(want, result); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%s", tc.reason, diff, out)
			}
			for _, text := range tc.want {
				if !strings.Contains(out, text) {
					t.Errorf("%s: the output has no %q:\n%s", tc.reason, text, out)
				}
			}
			if tc.same == strings.Contains(out, "!!") {
				t.Errorf("%s: a difference is told exactly if there is one:\n%s", tc.reason, out)
			}
		})
	}
}

// A story that is interrupted ends at once, with everything that its command started.
func TestPlayInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	narrator := &interrupter{cancel: func() { cancel(stop) }}
	player := &Player{Dir: t.TempDir(), Environment: []string{"PATH=/usr/bin:/bin"}, Kubeconfigs: map[string]string{"": ""}, Narrator: narrator}
	step := Step{Run: "sleep 1000 | sleep 1000"}
	result, err := player.Play(ctx, &Story{Scenes: []Scene{{Steps: []Step{step, step}}}})
	if !errors.Is(err, stop) {
		t.Errorf("error is %v, want %v", err, stop)
	}
	if diff := cmp.Diff(Result{}, result); diff != "" {
		t.Errorf("an interrupted scene does not count (-want +got):\n%s", diff)
	}
	if narrator.commands != 1 {
		t.Errorf("%d commands were run after the interruption", narrator.commands-1)
	}
}

// interrupter stops the story when the first command begins.
type interrupter struct {
	cancel   func()
	commands int
}

func (i *interrupter) Scene(int, *Scene)     {}
func (i *interrupter) Output(*Step, *Answer) {}
func (i *interrupter) Difference(err error) {
	panic(fmt.Sprintf("told about an interrupted command: %v", err))
}
func (i *interrupter) Command(*Step, string) { i.commands++; i.cancel() }

func TestPrinter(t *testing.T) {
	var out strings.Builder
	printer := &Printer{To: &out}
	printer.Scene(2, &Scene{Title: "Two", About: "first\nsecond\n"})
	printer.Command(&Step{As: "bob", Say: "look"}, "kubectl get x\n")
	printer.Output(&Step{}, &Answer{Stdout: "out\n", Stderr: "Warning: w\n"})
	printer.Output(&Step{Show: 2}, &Answer{Stdout: "1\n2\n3\n4\n"})
	printer.Output(&Step{Show: 2}, &Answer{Stdout: "1\n2\n"})
	printer.Difference(errors.New("a\nb"))
	want := "\n== 2. Two\n   first\n   second\n\n# look\nbob$ kubectl get x\nWarning: w\nout\n1\n2\n… and 2 lines more\n1\n2\n!! a\n!! b\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
