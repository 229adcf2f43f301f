package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signoff-dev/signoff/hack/assets"
)

// tiny is a set of one program of the standard library, so that its build needs no module.
func tiny(t *testing.T) (set assets.Set, root string) {
	t.Helper()
	root = t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module tiny\n\ngo 1.26.0\n",
		"go.sum":  "",
		"main.go": "package main\n\nfunc main() {}\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return assets.Set{Name: "tiny", Programs: []assets.Program{{Name: "nothing", Package: "tiny", Weight: 100}}}, root
}

func TestBuildTwiceAtOnce(t *testing.T) {
	set, root := tiny(t)
	dir := filepath.Join(t.TempDir(), "cache")
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			if err := build(t.Context(), set, root, dir); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if missing := set.Missing(dir); len(missing) > 0 {
		t.Errorf("not built: %q", missing)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".build-*")); len(left) > 0 || err != nil {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestBuildKeepsWhatIsThere(t *testing.T) {
	set, root := tiny(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "nothing")
	if err := os.WriteFile(path, []byte("ours"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := build(t.Context(), set, root, dir); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(path); string(content) != "ours" {
		t.Errorf("the program was built again (%v)", err)
	}
}

func TestBuildRemovesScraps(t *testing.T) {
	set, root := tiny(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".build-killed"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := build(t.Context(), set, root, dir); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".build-*")); len(left) > 0 || err != nil {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestBuildShowsTheCompilersWords(t *testing.T) {
	set, root := tiny(t)
	if err := os.WriteFile(filepath.Join(root, "main.go"), []byte("package main\n\nfunc main() { undefinedName() }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	err := build(t.Context(), set, root, dir)
	if err == nil || !strings.Contains(err.Error(), "failed to build nothing") || !strings.Contains(err.Error(), "undefined: undefinedName") {
		t.Errorf("got error %v, want what the compiler said", err)
	}
	if len(set.Missing(dir)) == 0 {
		t.Error("a failed build left a program")
	}
}

func TestEstimate(t *testing.T) {
	set := assets.Set{ColdSeconds: 100, Programs: []assets.Program{{Weight: 25}, {Weight: 75}}}
	e := newEstimate(set)
	if got := e.left(10 * time.Second); got != 90*time.Second {
		t.Errorf("before anything is done: got %s, want the measured time less what has passed", got)
	}
	if got := e.left(1000 * time.Second); got != 0 {
		t.Errorf("after the measured time: got %s, want no guess", got)
	}
	e.finished, e.pace = 25, time.Second
	if got := e.left(25 * time.Second); got != 80*time.Second {
		t.Errorf("after a quarter: got %s, want three times as long, rounded up", got)
	}
}

func TestTailShowsDownloads(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, output, want string
	}{
		"nothing yet": {"Most of the time the compiler is silent.", "", ""},
		"download":    {"A slow network is a reason to wait.", "go: downloading a v1\ngo: downloading b v2\n", ", downloading b v2"},
		"afterwards":  {"Only the last line counts.", "go: downloading a v1\n# pkg\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			output := &tail{}
			if _, err := output.Write([]byte(tc.output)); err != nil {
				t.Fatal(err)
			}
			if got := output.downloading(); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
