package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGuide runs the test file of the guide where the guide says that it lies, and compares what comes with what readers see.
func TestGuide(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs/guides/test-policies.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "deploy-service"), os.DirFS(filepath.Join(root, "examples/deploy-service"))); err != nil {
		t.Fatal(err)
	}
	configuration, err := os.ReadFile(filepath.Join(root, "examples/configuration.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(dir, "deploy-service"))
	write(t, "../configuration.yaml", string(configuration))
	for _, name := range testFiles(t) {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	write(t, "deploy_test.yaml", blocks(string(text), "yaml")[0])
	sessions := blocks(string(text), "")
	for i, args := range [][]string{{"test", "."}, {"test", "-v", "--run", "never free", "."}} {
		command, want, _ := strings.Cut(sessions[i], "\n")
		if typed := "$ kubectl signoff " + strings.Join(args, " "); strings.ReplaceAll(command, `"`, "") != typed {
			t.Errorf("the guide types %q, and this test %q", command, typed)
		}
		got := run(t, "", args...)
		if diff := cmp.Diff(want, got.stdout); diff != "" {
			t.Errorf("%s (-guide +got):\n%s%s", command, diff, got.stderr)
		}
	}
	// The Action with the mistake that the guide expects.
	action, err := os.ReadFile("action.yaml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, "action.yaml", strings.Replace(string(action), "inputs.environment == 'staging'", "inputs.enviroment == 'staging'", 1))
	write(t, "deploy_test.yaml", "apiVersion: test.signoff.dev/v1alpha1\nkind: PolicyTest\nobjects: [\"*.yaml\"]\n"+blocks(string(text), "yaml")[1])
	if got := run(t, "", "test", "."); got.exit != 0 {
		t.Errorf("a mistake that is expected: %d %s%s", got.exit, got.stdout, got.stderr)
	}
}

// testFiles are those that the example has itself.
func testFiles(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("*_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// blocks are the code blocks of a language in a page, in order.
func blocks(page, language string) []string {
	var found []string
	parts := strings.Split(page, "```")
	for i := 1; i < len(parts); i += 2 {
		if first, content, ok := strings.Cut(parts[i], "\n"); ok && first == language {
			found = append(found, content)
		}
	}
	return found
}
