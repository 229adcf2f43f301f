package playground

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// programs compiles what stories type beside kubectl into the folder where make build puts `kubectl signoff`.
func (p *Playground) programs(ctx context.Context) error {
	return errors.Join(
		p.compile(ctx, "./cmd/kubectl-signoff", filepath.Join(p.bin(), "kubectl-signoff")),
		p.compile(ctx, "./examples/gitlab-servicenow/bridge", filepath.Join(p.bin(), "change-bridge")),
	)
}

// compile builds a program. The flags are those of the Makefile, so that nothing is compiled twice.
func (p *Playground) compile(ctx context.Context, source, to string) error {
	p.options.Tell("building " + filepath.Base(to) + " (a few seconds when it was built before)")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", to, source)
	command.Dir = p.Root
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("failed to build %s: %w\n%s", filepath.Base(to), err, out)
	}
	return nil
}

func (p *Playground) bin() string { return filepath.Join(p.Root, "bin") }
