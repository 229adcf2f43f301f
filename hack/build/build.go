package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/signoff-dev/signoff/hack/assets"
)

// build makes the programs of the set that dir lacks. Two builds at the same time do not disturb each other: the second waits
// for the first and then finds everything there.
func build(ctx context.Context, set assets.Set, root, dir string) (err error) {
	if len(set.Missing(dir)) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("failed to make the folder for %s: %w", set.Name, err)
	}
	unlock, err := lock(set.Name, filepath.Join(dir, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	removeScraps(dir)
	scratch, err := os.MkdirTemp(dir, ".build-")
	if err != nil {
		return fmt.Errorf("failed to make a folder to build in: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	return buildMissing(ctx, set, root, dir, scratch)
}

// removeScraps removes what builds that were killed have left. The lock says that no other build uses them.
func removeScraps(dir string) {
	scraps, _ := filepath.Glob(filepath.Join(dir, ".build-*")) // fails only on a malformed pattern
	for _, scrap := range scraps {
		_ = os.RemoveAll(scrap)
	}
}

func buildMissing(ctx context.Context, set assets.Set, root, dir, scratch string) error {
	todo, err := set.Only(set.Missing(dir))
	if err != nil {
		return err
	}
	if len(todo.Programs) == 0 {
		return nil
	}
	progress := newEstimate(todo)
	note("%s: building %d programs from Go modules into %s", set.Name, len(todo.Programs), dir)
	note("%s: this happens once; about %s with empty caches and two cores, far less otherwise", set.Name, progress.left(0))
	module := filepath.Join(root, set.Module)
	for i, program := range todo.Programs {
		title := fmt.Sprintf("[%d/%d] %s", i+1, len(todo.Programs), program.Name)
		if err := compile(ctx, program, title, module, scratch, progress); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(scratch, program.Name), filepath.Join(dir, program.Name)); err != nil {
			return fmt.Errorf("failed to move %s into place: %w", program.Name, err)
		}
	}
	return nil
}

// compile builds one program in the folder of a module.
func compile(ctx context.Context, program assets.Program, title, module, scratch string, progress *estimate) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags="+program.LDFlags,
		"-o", filepath.Join(scratch, program.Name), program.Package)
	cmd.Dir = module
	// One value of CGO_ENABLED for all programs, or hardly anything of the build cache is shared between them.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	output := &tail{}
	cmd.Stdout, cmd.Stderr = io.Discard, output
	watch := startWatch(title, progress.describe, output.downloading)
	err := cmd.Run()
	watch.stop()
	if err != nil {
		return fmt.Errorf("failed to build %s: %w\n%s", program.Name, err, output.text())
	}
	progress.finish(program)
	note("%s: done after %s%s", title, round(watch.elapsed()), progress.describe())
	return nil
}

// lock waits until no other build of the set runs.
func lock(name, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("failed to open the lock: %w", err)
	}
	watch := startWatch(name + ": waiting for another build")
	defer watch.stop()
	// The lock goes with the process, so that a killed build blocks nobody.
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("failed to lock %s: %w", path, err)
	}
	return func() { _ = file.Close() }, nil
}

func round(d time.Duration) time.Duration {
	return d.Round(time.Second)
}

func note(format string, args ...any) {
	fmt.Fprintln(os.Stderr, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}
