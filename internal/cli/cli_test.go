package cli

import (
	"bytes"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"
)

// result is what a command did.
type result struct {
	stdout, stderr string
	exit           int
}

func run(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	program := &Program{
		IO:    genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: &stdout, ErrOut: &stderr},
		Clock: clocktesting.NewFakePassiveClock(time.Unix(0, 0)),
	}
	exit := program.Run(t.Context(), args)
	return result{stdout.String(), stderr.String(), exit}
}

const testdata = "../policytest/testdata"

func TestTestCommand(t *testing.T) {
	empty := t.TempDir()
	cases := map[string]struct {
		reason string
		args   []string
		exit   int
		words  []string
	}{
		"Passed":     {"all is well", []string{"test", testdata + "/shop"}, 0, []string{"22 cases in 1 file: 22 passed, 0 failed\n"}},
		"Failed":     {"a failure fails the build", []string{"test", testdata + "/broken/failing.yaml"}, 1, []string{"FAIL  ", "1 passed, 2 failed\n"}},
		"Unreadable": {"what cannot be read counts more than a failure", []string{"test", testdata + "/broken/failing.yaml", testdata + "/broken/objects.txt"}, 2, []string{"ERROR ", "1 file could not be read", "error: not everything could be tested"}},
		"None":       {"no test is not a green test", []string{"test", empty}, 2, []string{"there is no test file in " + empty}},
		"Missing":    {"a folder that is not there", []string{"test", filepath.Join(empty, "x")}, 2, []string{"failed to look for test files"}},
		"Only":       {"some of them", []string{"test", "--run", "^Christmas", testdata + "/shop"}, 0, []string{"2 cases in 1 file: 2 passed, 0 failed\n"}},
		"OnlyNone":   {"a pattern that matches nothing is a mistake", []string{"test", "--run", "Easter", testdata + "/shop"}, 2, []string{`no case was run: --run "Easter" matches none`}},
		"OnlyWrong":  {"a pattern that is none", []string{"test", "--run", "(", testdata + "/shop"}, 2, []string{"failed to read --run"}},
		"NoFolder":   {"nothing to test", []string{"test"}, 2, []string{"error: DIR is missing.  Such as: kubectl signoff test .\n"}},
		"NoRequest":  {"which argument is missing", []string{"cancel"}, 2, []string{"error: REQUEST is missing.  Such as: kubectl signoff cancel -n payments checkout-1-42 --reason \"not needed any more\"\n"}},
		"NoFile":     {"of a command below another", []string{"audit", "verify"}, 2, []string{"error: FILE is missing.  Such as: kubectl signoff audit verify audit.jsonl\n"}},
		"NoAction":   {"the second of two", []string{"can-i", "request"}, 2, []string{"error: ACTION is missing.  Such as: kubectl signoff can-i request platform/deploy-service\n"}},
		"TooMany":    {"or which one is too many", []string{"show", "a", "b"}, 2, []string{`error: "b" is one argument too many.  Such as: kubectl signoff show -n payments checkout-1-42`}},
		"NoFact":     {"a request of which the log knows nothing", []string{"audit", "show", "--request", "a/b", sampleLog}, 0, []string{"there is no fact about request a/b in " + sampleLog + "; name it as NAMESPACE/NAME\n"}},
		"Mistyped":   {"what was meant, without marks of the library", []string{"reqest"}, 2, []string{"Did you mean this?\n  request\n"}},
		"Unknown":    {"a command that does not exist", []string{"tset"}, 2, []string{`unknown command "tset" for "kubectl signoff"`}},
		"Below":      {"what was meant, of a command that only holds others", []string{"audit", "verfy", "x"}, 2, []string{"error: unknown command \"verfy\" for \"kubectl signoff audit\"\n\nDid you mean this?\n  verify\n"}},
		"BelowNone":  {"nothing was meant", []string{"audit", "zzz"}, 2, []string{"error: unknown command \"zzz\" for \"kubectl signoff audit\"\n"}},
		"Alone":      {"without a word, what it holds", []string{"audit"}, 0, []string{"Available Commands:", "verify"}},
		"Shell":      {"a shell that does not exist", []string{"completion", "bsh"}, 2, []string{`unknown command "bsh" for "kubectl signoff completion"`, "  bash\n"}},
		"Version":    {"a version", []string{"version"}, 0, []string{"kubectl-signoff ", "API signoff.dev/v1alpha1"}},
		"Completion": {"how kubectl completes plugins", []string{"completion", "kubectl"}, 0, []string{`exec kubectl signoff __complete "$@"`}},
		"Bash":       {"how bash completes", []string{"completion", "bash"}, 0, []string{"__start_kubectl-signoff"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := run(t, "", tc.args...)
			if got.exit != tc.exit {
				t.Errorf("%s: the exit code is %d, want %d", tc.reason, got.exit, tc.exit)
			}
			for _, word := range tc.words {
				if !strings.Contains(got.stdout+got.stderr, word) {
					t.Errorf("%s: it does not say %q:\n%s%s", tc.reason, word, got.stdout, got.stderr)
				}
			}
		})
	}
}

// TestNoArguments: what takes no argument says so in the words of the others.
func TestNoArguments(t *testing.T) {
	for _, name := range []string{"list", "inbox", "whoami", "doctor", "mcp", "version"} {
		got := run(t, "", name, "x")
		if want := `error: "x" is one argument too many.  Such as: kubectl signoff ` + name; got.exit != exitError || !strings.HasPrefix(got.stderr, want) {
			t.Errorf("%s x ends with %d and says %s", name, got.exit, got.stderr)
		}
	}
}

// TestDryRunFlag takes what kubectl takes, where the cluster is asked.
func TestDryRunFlag(t *testing.T) {
	for _, tc := range []struct {
		args  []string
		want  bool
		wrong string
	}{
		{nil, false, ""},
		{[]string{"--dry-run"}, true, ""},
		{[]string{"--dry-run=server"}, true, ""},
		{[]string{"--dry-run=true"}, true, ""},
		{[]string{"--dry-run=false"}, false, ""},
		{[]string{"--dry-run=none"}, false, ""},
		{[]string{"--dry-run", "--dry-run=none"}, false, ""},
		{[]string{"--dry-run=client"}, false, "only the cluster can tell what it would answer: say --dry-run or --dry-run=server"},
		{[]string{"--dry-run=maybe"}, false, "say --dry-run, --dry-run=server or --dry-run=none"},
	} {
		on, command := false, &cobra.Command{}
		dryRunFlag(command, &on)
		err := command.ParseFlags(tc.args)
		if on != tc.want || (err == nil) != (tc.wrong == "") || err != nil && !strings.HasSuffix(err.Error(), tc.wrong) {
			t.Errorf("%v: it is %t, and %v", tc.args, on, err)
		}
	}
	for _, args := range [][]string{{"request", "a/b"}, {"approve", "a"}, {"deny", "a"}, {"withdraw", "a"}, {"cancel", "a"}, {"resolve", "a"}} {
		if got := run(t, "", append(args, "--dry-run=client")...); got.exit != exitError || !strings.Contains(got.stderr, "only the cluster can tell") {
			t.Errorf("%v ends with %d and says %s", args, got.exit, got.stderr)
		}
		if help := run(t, "", args[0], "--help"); !strings.Contains(help.stdout, "--dry-run[=server] ") {
			t.Errorf("%s does not show it: %s", args[0], help.stdout)
		}
	}
}

// page is what -v shows of a case.
const shopAtChristmas = `ok    ../policytest/testdata/shop/shop_test.yaml:72: Christmas
      Answer: refused (DeniedByPolicy)
      Why:
        nothing changes at Christmas until Sun 3 Jan 2027 23:59 UTC (ActionPolicy christmas, rule frozen)
        Emergency: members of commanders may set spec.breakGlass.reason; carol reviews it within 24 h.
      Rules:
        policy/christmas/frozen (Deny) applies: nothing changes at Christmas
          because calendar christmas is open until Sun 3 Jan 2027 23:59 UTC
          from Mon 4 Jan 2027 00:00 UTC it would not apply
`

func TestVerbose(t *testing.T) {
	got := run(t, "", "test", "-v", "--run", "^Christmas$", testdata+"/shop")
	if !strings.HasPrefix(got.stdout, shopAtChristmas) {
		t.Errorf("it says\n%s\nand should begin with\n%s", got.stdout, shopAtChristmas)
	}
	got = run(t, "", "test", "-v", "--run", "^at night", testdata+"/shop")
	for _, word := range []string{
		"Answer: needs approval (RequireApproval)\n", "owned (RequireApproval) applies", "Must approve:\n        action/owners: 1 of shop\n",
		"limits is ConfigMap platform/limits, read as platform/deployer\n", "Warnings:\n        needs 1 approval in stage",
		"Time alone may change this: Tue 24 Nov 2026 09:00 UTC\n",
	} {
		if !strings.Contains(got.stdout, word) {
			t.Errorf("it does not say %q:\n%s", word, got.stdout)
		}
	}
}

func TestJUnitFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.xml")
	if got := run(t, "", "test", "--junit", file, testdata+"/broken/failing.yaml"); got.exit != exitNo {
		t.Errorf("the exit code is %d: %s", got.exit, got.stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	report := struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
	}{}
	if err := xml.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	if report.Tests != 3 || report.Failures != 2 {
		t.Errorf("the report counts %+v", report)
	}
	got := run(t, "", "test", "--junit", filepath.Join(file, "x"), testdata+"/shop")
	if got.exit != exitError || !strings.Contains(got.stderr, "failed to write") {
		t.Errorf("a report that cannot be written is an error: %+v", got)
	}
}

// TestEveryCommandHasHelp finds a command without an explanation or an example.
func TestEveryCommandHasHelp(t *testing.T) {
	var check func(*cobra.Command)
	check = func(command *cobra.Command) {
		for _, child := range command.Commands() {
			check(child)
		}
		foreign := command.Parent() != nil && command.Parent().Name() == "completion" && command.Name() != "kubectl"
		if foreign || !command.HasParent() {
			return
		}
		if command.Short == "" || command.Long == "" || command.Example == "" {
			t.Errorf("%s has no explanation, or no example", command.CommandPath())
		}
		for _, line := range strings.Split(command.Long, "\n") {
			if len([]rune(line)) > 145 {
				t.Errorf("%s: a line of the help is too long: %q", command.CommandPath(), line)
			}
		}
	}
	check((&Program{}).root())
}

// TestSafe keeps what others wrote from reaching a terminal as commands.
func TestSafe(t *testing.T) {
	cases := map[string]struct{ reason, text, want string }{
		"Plain":  {"nothing to escape", "a\n  b → c ü", "a\n  b → c ü"},
		"Escape": {"colours and cursors", "a\x1b[31mb\rc\x07", `a\x1b[31mb\rc\a`},
		"Bidi":   {"text that would be shown the other way round", "a\u202eb", `a\u202eb`},
		"Broken": {"what is no text", "a\xffb", "a\ufffdb"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := safe(tc.text); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestQuestion(t *testing.T) {
	cases := map[string]struct {
		reason, verb, action, want string
	}{
		"Verb":      {"the list of what there is", "eat", "a/b", `there is no verb "eat"; there are: request, approve, cancel, break-glass, request-on-behalf, resolve, delegate`},
		"Half":      {"half of a name", "request", "a/", `failed to read "a/": name the Action as NAMESPACE/NAME; see what there is: kubectl signoff actions`},
		"TwoSlases": {"too much of a name", "request", "a/b/c", `failed to read "a/b/c": name the Action as NAMESPACE/NAME; see what there is: kubectl signoff actions`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := run(t, "", "can-i", tc.verb, tc.action, "--server", "http://127.0.0.1:1")
			if diff := cmp.Diff(result{stderr: "error: " + tc.want + "\n", exit: exitError}, got, cmp.AllowUnexported(result{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
