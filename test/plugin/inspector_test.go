//go:build inspector

package plugin

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/signoff-dev/signoff/internal/cli/agent"
)

// TestInspector speaks to the real program by the inspector of the protocol, with the configuration of the guide. hack/inspect-mcp installs it.
func TestInspector(t *testing.T) {
	who := theAgent(t)
	configuration := filepath.Join(t.TempDir(), "mcp.json")
	text := strings.NewReplacer("/etc/agent/kubeconfig", kubeconfigOf(t, who), `"kubectl-signoff"`, `"`+programOf(t)+`"`).Replace(marked(t, "client"))
	if err := os.WriteFile(configuration, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	inspect := func(into any, args ...string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		command := exec.CommandContext(t.Context(), os.Getenv("INSPECTOR"), append([]string{"--cli", "--config", configuration, "--server", "signoff", "--method"}, args...)...)
		command.Stdout, command.Stderr = &stdout, &stderr
		if err := command.Run(); err != nil {
			t.Fatalf("%v\n%s%s", err, stdout.String(), stderr.String())
		}
		if err := json.Unmarshal(stdout.Bytes(), into); err != nil {
			t.Fatalf("%v\n%s", err, stdout.String())
		}
	}
	var listed struct{ Tools []struct{ Name string } }
	inspect(&listed, "tools/list")
	var names []string
	for _, tool := range listed.Tools {
		names = append(names, tool.Name)
	}
	if len(names) != 7 || !slices.Contains(names, "request_action") {
		t.Errorf("it lists %q", names)
	}
	call := func(args ...string) *agent.Answer {
		t.Helper()
		var answer struct{ StructuredContent agent.Answer }
		inspect(&answer, append([]string{"tools/call", "--tool-name"}, args...)...)
		return &answer.StructuredContent
	}
	is(t, call("explain_request", "--tool-arg", "action=platform/note", `inputs={"text": "a", "level": "high"}`), agent.CodeWouldNeedApproval)
	made := call("request_action", "--tool-arg", "action=platform/note", `inputs={"text": "a"}`, "token=by-the-inspector")
	is(t, made, agent.CodeRequested)
	is(t, call("wait_for_request", "--tool-arg", "name="+made.Request.Name, "timeoutSeconds=20"), "Succeeded")
	is(t, call("request_action", "--tool-arg", "action=platform/note", "token=by-the-inspector"), agent.CodeTokenReused)
}
