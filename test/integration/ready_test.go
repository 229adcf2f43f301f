package integration

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/setup"

	"github.com/signoff-dev/signoff/test/system"
)

// TestReadyWhenItCanDecide starts a process that may read nothing of what decides: it lives, and is not ready. That one which may becomes ready, every
// test of this package rests on.
func TestReadyWhenItCanDecide(t *testing.T) {
	powerless, err := cluster.ServiceAccount(t.Context(), "default", "powerless")
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.Apply(t.Context(), []byte(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: powerless}
rules: [{apiGroups: [""], resources: [namespaces], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: powerless}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: powerless}
subjects: [{kind: ServiceAccount, namespace: default, name: powerless}]
`)); err != nil {
		t.Fatal(err)
	}
	ports, err := system.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Health.BindAddress, cfg.Metrics.BindAddress, cfg.LeaderElection.Enabled = fmt.Sprintf("127.0.0.1:%d", ports[0]), "0", false
	process, err := setup.New(cfg, powerless, clock.RealClock{}, setup.Parts{Controllers: true})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Manager.Start(t.Context()) }()
	eventually(t, "that it lives", func() (bool, string) {
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		default:
		}
		status, text := healthOf(t, cfg.Health.BindAddress, "/healthz")
		return status == http.StatusOK, text
	})
	if status, text := healthOf(t, cfg.Health.BindAddress, "/readyz?verbose"); status != http.StatusInternalServerError || !strings.Contains(text, "[-]snapshot failed") {
		t.Errorf("it says that it is ready: %d %s", status, text)
	}
}

// healthOf asks a process how it is. A status of 0 says that it does not answer.
func healthOf(t *testing.T, address, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}
