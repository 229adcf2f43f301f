package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/signoff-dev/signoff/hack/assets"
)

// moduleOf gives the folder in which the programs of a set are built: the pinning module, or a copy of the module that it pins.
func moduleOf(ctx context.Context, set assets.Set, pins, scratch string) (string, error) {
	if set.Source == "" {
		return pins, nil
	}
	watch := startWatch(set.Name + ": downloading " + set.Source)
	defer watch.stop()
	source, err := download(ctx, set.Source, pins)
	if err != nil {
		return "", err
	}
	// The go command builds nothing in its own cache.
	copied := filepath.Join(scratch, "source")
	if err := os.CopyFS(copied, os.DirFS(source)); err != nil {
		return "", fmt.Errorf("failed to copy %s: %w", set.Source, err)
	}
	return copied, nil
}

// download fetches a module in the version, and with the checksum, that is pinned, and gives the folder that holds it.
func download(ctx context.Context, module, pins string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = pins
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("failed to download %s: %w\n%s%s", module, err, stdout.String(), stderr.String())
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(stdout.Bytes(), &found); err != nil {
		return "", fmt.Errorf("failed to learn where %s is: %w", module, err)
	}
	return found.Dir, nil
}
