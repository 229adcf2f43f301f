//go:build linux

package env

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestProcessesDieWithTheTests(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "child")
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), envChild+"="+dir)
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the child did not start: %q, %v", line, err)
	}
	const processes = 5
	if got := namesOf(t, dir); len(got) != processes {
		t.Fatalf("want %d processes of the cluster, got %q", processes, got)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed, and says so
	eventually(t, func(context.Context) error {
		if left := namesOf(t, dir); len(left) > 0 {
			return fmt.Errorf("still running: %q", left)
		}
		return nil
	})
}

// namesOf lists the names of the processes whose arguments contain the text.
func namesOf(t *testing.T, text string) []string {
	t.Helper()
	found, err := mentioning(text)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range found {
		names = append(names, filepath.Base(p.args[0]))
	}
	return names
}
