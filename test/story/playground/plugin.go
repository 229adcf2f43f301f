package playground

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// plugin compiles `kubectl signoff` into the folder where make build puts it. The flags are those of the Makefile, so that nothing is
// compiled twice.
func (p *Playground) plugin(ctx context.Context) error {
	p.options.Tell("building kubectl-signoff (a few seconds when it was built before)")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(p.plugins(), "kubectl-signoff"), "./cmd/kubectl-signoff")
	command.Dir = p.Root
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("failed to build kubectl-signoff: %w\n%s", err, out)
	}
	return nil
}

func (p *Playground) plugins() string { return filepath.Join(p.Root, "bin") }
