package security

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/seal"
	"github.com/signoff-dev/signoff/test/play"
)

const backupGuide = "../../docs/guides/backup-and-restore.md"

// TestCase78BackupOfKeys saves the keys and brings them back with the commands of the guide: what waited for people meanwhile goes on.
func TestCase78BackupOfKeys(t *testing.T) {
	guarded(t)
	r, approval := opened(t, users.Alice, request("two-engineers", `{}`))
	votes(t, users.Bob, approval, v1alpha1.DecisionApprove)
	dir := t.TempDir()
	typed(t, dir, play.Marked(t, backupGuide, "keys: save"))
	restoreByHand := losesKey(t, seal.Admission)
	defer func() {
		if t.Failed() {
			restoreByHand()
		}
	}()
	keyLost(t, seal.Admission)
	if said := typed(t, dir, play.Marked(t, backupGuide, "keys: restore")); !strings.Contains(said, "secret/signoff-admission-key created") || !strings.Contains(said, "already exists") {
		t.Errorf("it says %s", said)
	}
	guarded(t)
	votes(t, users.Carol, approval, v1alpha1.DecisionApprove)
	reaches(t, r, v1alpha1.PhaseSucceeded)
	reaches(t, ask(t, users.Alice, request("deploy", play.StagingInputs)), v1alpha1.PhaseSucceeded)
}

// typed runs what an administrator types.
func typed(t *testing.T, dir, commands string) string {
	t.Helper()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := cluster.Kubeconfig(kubeconfig, cluster.Admin); err != nil {
		t.Fatal(err)
	}
	shell := exec.CommandContext(t.Context(), "/bin/sh", "-ec", commands)
	shell.Dir = dir
	shell.Env = []string{"KUBECONFIG=" + kubeconfig, "HOME=" + dir, "PATH=" + cluster.Binaries + ":" + os.Getenv("PATH")}
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}
