package playground

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// programs compiles what stories type beside kubectl into the folder where make build puts `kubectl signoff`. The flags are those of the Makefile,
// so that nothing is compiled twice.
func (p *Playground) programs(ctx context.Context) error {
	for _, program := range []struct{ name, source string }{
		{"kubectl-signoff", "./cmd/kubectl-signoff"}, {"change-bridge", "./examples/gitlab-servicenow/bridge"},
	} {
		p.options.Tell("building " + program.name + " (a few seconds when it was built before)")
		command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(p.bin(), program.name), program.source)
		command.Dir = p.Root
		command.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("failed to build %s: %w\n%s", program.name, err, out)
		}
	}
	return nil
}

func (p *Playground) bin() string { return filepath.Join(p.Root, "bin") }
