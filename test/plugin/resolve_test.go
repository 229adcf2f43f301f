package plugin

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
)

// dying is a host that breaks every connection after it has read what is asked.
var dying = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))

func callDying(cfg *config.Configuration) {
	port := dying.Listener.Addr().(*net.TCPAddr).Port
	cfg.Egress.Hosts = []config.EgressHost{{Host: "127.0.0.1", Ports: []int{port}, Networks: []string{"127.0.0.0/8"}, Plain: true}}
}

// TestResolve decides how a step ended of which nobody knows it.
func TestResolve(t *testing.T) {
	inForce(t)
	manifests := strings.ReplaceAll(`apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: resolver}
spec: {members: {users: [bob]}, permissions: [{verbs: [resolve], actions: {names: [call]}}]}
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: call}
spec:
  title: Call a host that dies
  default: {effect: Allow}
  execution:
    serviceAccountName: deployer
    steps:
    - {name: call, http: {method: POST, url: "URL/a", body: {}}}
`, "URL", dying.URL)
	apply(t, manifests)
	// Other tests are told which Actions there are.
	defer func() {
		takenBack(t, manifests)
		eventually(t, "that the Action is forgotten", func() (bool, string) {
			answer := kubectl(t, users.Alice, "", "request", "platform/call", "-n", "payments", "--dry-run")
			return strings.Contains(answer.stderr, "there is no such Action"), answer.stderr
		})
	}()
	ask := []string{"request", "platform/call", "-n", "payments", "--name", "lost"}
	eventually(t, "the request", func() (bool, string) {
		answer := kubectl(t, users.Alice, "", ask...)
		return answer.exit == 0, answer.stdout + answer.stderr
	})
	reaches(t, "lost", v1alpha1.PhaseOutcomeUnknown)
	kubectl(t, users.Alice, "", "show", "-n", "payments", "lost").says(t, 0, "payments/lost: OutcomeUnknown\n", "Waiting for: resolve step call: role resolver (bob)\n",
		"call: Unknown, it cannot be told whether POST", `kubectl signoff resolve -n payments lost --outcome succeeded|failed --comment "…"`)
	resolve := func(further ...string) []string {
		return append([]string{"resolve", "-n", "payments", "lost"}, further...)
	}
	kubectl(t, users.Bob, "", resolve("--comment", "c")...).says(t, 2, `--outcome is "": say succeeded or failed`)
	kubectl(t, users.Bob, "", resolve("--outcome", "succeeded")...).says(t, 2, "say with --comment how you know")
	kubectl(t, users.Alice, "", resolve("--outcome", "succeeded", "-m", "c")...).says(t, 1, "refused: you (alice) may not resolve platform/call.", "Who can: role resolver (bob).")
	kubectl(t, users.Bob, "", resolve("--outcome", "failed", "-m", "c", "--step", "other")...).says(t, 1, `refused: there is nothing to decide about step "other"`)
	kubectl(t, users.Bob, "", resolve("--outcome", "succeeded", "-m", "c", "--dry-run")...).says(t, 0, "step call: it cannot be told", "actionrequest.signoff.dev/lost resolved (server dry run)\n")
	kubectl(t, users.Bob, "", resolve("--outcome", "Succeeded", "-m", "it is there")...).says(t, 0, "actionrequest.signoff.dev/lost resolved\n")
	reaches(t, "lost", v1alpha1.PhaseSucceeded)
	kubectl(t, users.Bob, "", resolve("--outcome", "succeeded", "-m", "c")...).says(t, 1, "there is nothing to decide about payments/lost: it is Succeeded")
	kubectl(t, users.Bob, "", "show", "-n", "payments", "lost").says(t, 0, `bob decided that step call succeeded: "it is there"`)
	kubectl(t, users.Bob, "", "resolve", "-n", "payments", "nothing", "--outcome", "failed", "-m", "c").says(t, 2, "there is no ActionRequest payments/nothing")
}
