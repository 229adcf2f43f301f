package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestWhatIsLinkedIn keeps out of the program what would cost much memory and serve nothing. golang.org/x/net/trace is the one that costs
// most: with it comes html/template, which calls methods by name, so that the linker must keep every method of every type.
func TestWhatIsLinkedIn(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("failed to list the packages of the program: %v", err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, "github.com/signoff-dev/signoff/internal/setup") {
		t.Fatal("the list does not have our own packages")
	}
	for _, unwanted := range []string{"golang.org/x/net/trace", "html/template", "google.golang.org/grpc", "k8s.io/apiserver/pkg/server/egressselector"} {
		if slices.Contains(linked, unwanted) {
			t.Errorf("%s is linked in: see internal/inputs/kubernetes.go, and find out by whom: go list -deps -json .", unwanted)
		}
	}
}

// TestTheImageIsBuiltFromEverything compares what the image is built from with what the program consists of.
func TestTheImageIsBuiltFromEverything(t *testing.T) {
	const module = "github.com/signoff-dev/signoff"
	content, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var copied []string
	for line := range strings.Lines(string(content)) {
		if words := strings.Fields(line); len(words) > 2 && words[0] == "COPY" {
			copied = append(copied, words[1:len(words)-1]...)
		}
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{$p := .}}{{range .GoFiles}}{{$p.ImportPath}}/{{.}}\n{{end}}{{range .EmbedFiles}}{{$p.ImportPath}}/{{.}}\n{{end}}", ".").Output()
	if err != nil {
		t.Fatalf("failed to list the files of the program: %v", err)
	}
	checked := 0
	for _, file := range strings.Fields(string(out)) {
		name, ours := strings.CutPrefix(file, module+"/")
		if !ours {
			continue
		}
		checked++
		if !slices.ContainsFunc(copied, func(c string) bool { return c == name || strings.HasSuffix(c, "/") && strings.HasPrefix(name, c) }) {
			t.Errorf("the Dockerfile does not copy %s", name)
		}
	}
	if checked < 100 {
		t.Errorf("only %d files were found", checked)
	}
}
