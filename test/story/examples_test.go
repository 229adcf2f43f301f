package story_test

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/signoff-dev/signoff/test/story"
	"github.com/signoff-dev/signoff/test/story/playground"
)

// Every example is played as its README says, with real kubectl, on one control plane: examples must not get in each other's
// way either.
func TestExamples(t *testing.T) {
	log.SetLogger(logr.Discard())
	ground, err := playground.Start(t.Context(), playground.Options{Node: true, Tell: func(text string) { t.Log(text) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ground.Stop)
	t.Run("plugin", func(t *testing.T) { findsPlugin(t, ground) })
	for _, dir := range examples(t, ground.Root) {
		t.Run(filepath.Base(dir), func(t *testing.T) { playExample(t, ground, dir) })
	}
	// What they rest on is there now.
	t.Run("pages", func(t *testing.T) { appliesPages(t, ground) })
	// It breaks the installation.
	t.Run("troubles", func(t *testing.T) {
		playExample(t, ground, filepath.Join(ground.Root, troublesDir), "SILENT="+silent(t))
	})
}

// findsPlugin shows that stories can type `kubectl signoff`.
func findsPlugin(t *testing.T, ground *playground.Playground) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "/bin/sh", "-c", "kubectl signoff version")
	command.Env = ground.Environment()
	out, err := command.CombinedOutput()
	if want := "API signoff.dev/v1alpha1"; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("got %v and %q, want %q", err, out, want)
	}
}

// examples are the folders that hold a story.
func examples(t *testing.T, root string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "examples", "*", story.FileName))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no stories in examples: %v", err)
	}
	for i := range files {
		files[i] = filepath.Dir(files[i])
	}
	return files
}

const troublesDir = "test/story/testdata/troubles"

// silent gives the address of a server that takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

func playExample(t *testing.T, ground *playground.Playground, dir string, environment ...string) {
	t.Helper()
	s, err := story.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	player, err := ground.Player(t.Context(), s, folder(ground, dir), &story.Printer{To: &out})
	if err != nil {
		t.Fatal(err)
	}
	player.Environment = append(player.Environment, environment...)
	result, err := player.Play(t.Context(), s)
	if err != nil {
		t.Error(err)
	}
	t.Log(out.String())
	if result.Scenes != len(s.Scenes) || result.AsExpected != result.Scenes {
		t.Errorf("%d scenes, %d as expected", result.Scenes, result.AsExpected)
	}
}

// folder is where the commands of an example run. Those of the first Action run where a reader of README.md is.
func folder(ground *playground.Playground, dir string) string {
	if filepath.Base(dir) == firstAction {
		return ground.Root
	}
	return dir
}

const firstAction = "first-action"
