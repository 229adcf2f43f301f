package setup

import (
	"fmt"
	"os"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/signoff-dev/signoff/controllers/actionrequest"
	"github.com/signoff-dev/signoff/internal/auditlog"
)

// auditLog makes what the reconcilers write facts to, or nil where the configuration names no sink. Only the leader writes, and never the
// webhooks.
func (p *Process) auditLog() (actionrequest.Audit, error) {
	if len(p.cfg.Audit.Sinks) == 0 {
		return nil, nil //nolint:nilnil // that nothing is written is a choice
	}
	// Seals are dated by the clock of the process, and a checkpoint is a seal.
	log, err := auditlog.New(auditlog.Options{
		Audit: p.cfg.Audit, Keys: keys{p.keys}, KeysRead: p.keysRead, Cluster: p.cluster, Clock: p.clock,
		Stdout: os.Stdout, Log: ctrl.Log.WithName("audit"),
	})
	if err != nil {
		return nil, fmt.Errorf("failed to make the audit log: %w", err)
	}
	if err := p.Manager.Add(log); err != nil {
		return nil, fmt.Errorf("failed to add the audit log: %w", err)
	}
	return log, nil
}
