package main

import (
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
