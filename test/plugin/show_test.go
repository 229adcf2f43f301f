package plugin

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli/replan"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/test/env"
)

// estimating is a host that plan steps ask.
var estimating = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"cost": 7}`)
}))

func callEstimating(cfg *config.Configuration) {
	port := estimating.Listener.Addr().(*net.TCPAddr).Port
	cfg.Egress.Hosts[0].Ports = append(cfg.Egress.Hosts[0].Ports, port)
}

// rollouts has an Action whose steps read and write much. Bob may read all of it. Frank may not read Deployments and Secrets, Erin not list, and Nadia not
// even read the Action.
const rollouts = `
apiVersion: v1
kind: Secret
metadata: {namespace: production, name: show-token}
data: {token: aHVudGVyMg==}
---
apiVersion: v1
kind: ConfigMap
metadata: {namespace: production, name: show-old}
---
apiVersion: v1
kind: ConfigMap
metadata: {namespace: production, name: show-page, labels: {page: "yes"}}
data: {page: "one\ntwo\nthree\n"}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: show-list}
rules: [{apiGroups: [""], resources: [configmaps, namespaces], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: show-list}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: show-list}
subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: bob}, {kind: User, apiGroup: rbac.authorization.k8s.io, name: frank}, {kind: ServiceAccount, namespace: platform, name: deployer}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: production, name: show-secret}
rules: [{apiGroups: [""], resources: [secrets], resourceNames: [show-token], verbs: [get, patch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: production, name: show-secret}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: show-secret}
subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: bob}, {kind: ServiceAccount, namespace: platform, name: deployer}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: payments, name: show-requests}
rules: [{apiGroups: [signoff.dev], resources: [actionrequests, approvals], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: payments, name: show-requests}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: show-requests}
subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: nadia}]
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: rollout}
spec:
  title: Roll out
  inputs: {openAPIV3Schema: {type: object, properties: {image: {type: string, maxLength: 99}, replicas: {type: integer, default: 2}}}}
  target: {apiVersion: apps/v1, kind: Deployment, namespace: production, name: checkout}
  lookups:
  - {as: quota, object: {apiVersion: v1, kind: ConfigMap, namespace: limits, name: quota}}
  - {as: pages, list: {apiVersion: v1, kind: ConfigMap, namespace: production, selector: {matchLabels: {page: "yes"}}}}
  - {as: missing, object: {apiVersion: v1, kind: ConfigMap, namespace: limits, name: nothing}, optional: true}
  default: {effect: RequireApproval}
  execution:
    serviceAccountName: deployer
    plan:
      serviceAccountName: planner
      steps:
      - {name: estimate, http: {method: GET, url: "URL/"}, outputs: [{name: cost, expression: int(response.body.cost), schema: {type: integer}}]}
    steps:
    - name: roll
      patch: {strategic: {spec: {replicas: "${inputs.replicas}", template: {spec: {containers: [{name: app, image: "${inputs.image}"}]}}}}}
    - name: page
      apply: {conflicts: Take, manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: production, name: show-page}, data: {
        page: "one\n2\nthree\n", cost: "about ${steps.estimate.outputs.cost}", team: "${namespaceObject.metadata.labels['team']}",
        most: "${quota.data.max}", pages: "${string(pages.size())}", none: "${string(missing == null)}", who: "${requester.username} ${request.uid}"}}]}
    - name: token
      patch: {target: {apiVersion: v1, kind: Secret, namespace: production, name: show-token}, merge: {stringData: {token: changed}}}
    - name: drop
      delete: {target: {apiVersion: v1, kind: ConfigMap, namespace: production, name: show-old}}
    finally:
    - name: last
      patch: {json: [{op: add, path: /metadata/annotations, value: {last: "yes"}}]}
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: task}
spec:
  title: Run a task
  default: {effect: RequireApproval}
  execution:
    serviceAccountName: deployer
    steps:
    - {name: run, job: {podFrom: {apiVersion: apps/v1, kind: Deployment, namespace: staging, name: checkout}, command: [migrate]}}
`

// shown is what programs read of the plan.
func shown(t *testing.T, who env.Person, name string, args ...string) *replan.Check {
	t.Helper()
	answer := kubectl(t, who, "", append([]string{"show", "-n", "payments", name, "-o", "json"}, args...)...)
	answer.says(t, 0)
	out := &struct {
		Items []json.RawMessage `json:"items"`
		Check *replan.Check     `json:"check"`
	}{}
	if err := json.Unmarshal([]byte(answer.stdout), out); err != nil {
		t.Fatalf("%v:\n%s", err, answer.stdout)
	}
	if len(out.Items) == 0 {
		t.Errorf("the request and its Approvals are there as well:\n%s", answer.stdout)
	}
	if strings.Contains(answer.stdout, "aHVudGVyMg") || strings.Contains(answer.stdout, "hunter2") {
		t.Errorf("a Secret is shown:\n%s", answer.stdout)
	}
	return out.Check
}

// rolledOut asks for both Actions. The function that it gives takes them back: other tests are told which Actions there are.
func rolledOut(t *testing.T) (takeBack func()) {
	t.Helper()
	catalogReaders(t)
	if err := cluster.Grant(t.Context(), env.RoleApprover, env.WorkNamespace, env.ToUser(users.Frank.Name)); err != nil {
		t.Fatal(err)
	}
	inForce(t)
	manifests := strings.ReplaceAll(rollouts, "URL", estimating.URL)
	apply(t, manifests)
	for name, args := range map[string][]string{"show-rollout": {"platform/rollout", "image=registry/checkout:1.42"}, "show-task": {"platform/task"}} {
		ask := append(append([]string{"request"}, args...), "-n", "payments", "--name", name)
		eventually(t, "the request "+name, func() (bool, string) {
			answer := kubectl(t, users.Alice, "", ask...)
			return answer.exit == 0, answer.stdout + answer.stderr
		})
		reaches(t, name, v1alpha1.PhaseAwaitingApproval)
	}
	return func() {
		kubectl(t, users.Alice, "", "cancel", "-n", "payments", "show-rollout", "show-task", "--reason", "seen").says(t, 0)
		takenBack(t, manifests)
		eventually(t, "that the Actions are forgotten", func() (bool, string) {
			one := kubectl(t, users.Alice, "", "request", "platform/rollout", "-n", "payments", "--dry-run")
			other := kubectl(t, users.Alice, "", "request", "platform/task", "-n", "payments", "--dry-run")
			return strings.Contains(one.stderr, "there is no such Action") && strings.Contains(other.stderr, "there is no such Action"), one.stderr + other.stderr
		})
	}
}

// TestShowPutsThePlanTogether shows all of what would run as whoever looks may see it, and says whether it is what Signoff asks people about.
func TestShowPutsThePlanTogether(t *testing.T) {
	defer rolledOut(t)()
	for _, name := range []string{"show-rollout", "show-task"} {
		eventually(t, "that who may read everything knows that all of it fits: "+name, func() (bool, string) {
			got := shown(t, users.Bob, name)
			text, _ := json.Marshal(got)
			return got != nil && got.Digest == replan.Matches && got.Plan == replan.Matches && len(got.Missing) == 0 && got.Computed == stored(t, name).Status.Digest, string(text)
		})
	}
	const fits = "  Checked: put together anew with your rights, what would run has this digest.\n"
	t.Run("Reader", func(t *testing.T) {
		answer := kubectl(t, users.Bob, "", "show", "-n", "payments", "show-rollout")
		answer.says(t, 0, fits+"Plan, in full, as you may see it:\n  patch Deployment production/checkout (step roll)\n    spec.template.spec.containers[app].image: registry/checkout:1.41 → registry/checkout:1.42\n    spec.replicas: 1 → 2\n",
			"    data.page: 3 lines → 3 lines, from line 2 on\n      - \"two\"\n      + \"2\"\n", "    data.who: (new) \"alice ", "    data.cost: (new) \"about 7\"\n", "    data.team: (new) payments\n",
			"  patch Secret production/show-token (step token)\n    stringData.token: (new) (hidden)\n", "  kubectl signoff approve -n payments show-rollout-approval-")
		for _, word := range []string{"NOTE", "COULD NOT", "aHVudGVyMg"} {
			if strings.Contains(answer.stdout, word) {
				t.Errorf("it says %q:\n%s", word, answer.stdout)
			}
		}
	})
	t.Run("Blind", func(t *testing.T) {
		answer := kubectl(t, users.Frank, "", "show", "-n", "payments", "show-rollout")
		answer.says(t, 0, fits, "  COULD NOT BE CHECKED with your rights:\n    Cannot tell what Deployment production/checkout is now: ", "    cannot be compared with what is there, which you may not read; this is sent:\n",
			"    could not be checked; the request shows:\n      | patch Deployment production/checkout (step roll)\n      |   spec.template.spec.containers[app].image: registry/checkout:1.41 → registry/checkout:1.42\n")
		if got := shown(t, users.Frank, "show-rollout"); got.Digest != replan.Matches || got.Plan != replan.Unknown || len(got.Missing) != 2 {
			t.Errorf("got %+v", got)
		}
		// What is copied is a part of what would run.
		if got := shown(t, users.Frank, "show-task"); got.Digest != replan.Unknown || len(got.Missing) != 1 || !strings.HasPrefix(got.Missing[0], "Cannot read Deployment staging/checkout, whose pod is to be copied: ") {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("Lookup", func(t *testing.T) {
		kubectl(t, users.Erin, "", "show", "-n", "payments", "show-rollout").says(t, 0, "  COULD NOT BE CHECKED with your rights:\n    cannot read lookup pages, every ConfigMap in namespace production with page=yes: ",
			"Plan, as the request shows it; not checked:\n  patch Deployment production/checkout (step roll)\n")
	})
	t.Run("Action", func(t *testing.T) {
		kubectl(t, users.Nadia, "", "show", "-n", "payments", "show-rollout").says(t, 0, "  COULD NOT BE CHECKED with your rights:\n    you (nadia) may not get actions.signoff.dev in namespace platform.\n    Ask for the ClusterRole signoff-catalog-reader there.",
			"Plan, as the request shows it; not checked:\n")
	})
	t.Run("Off", func(t *testing.T) {
		answer := kubectl(t, users.Bob, "", "show", "-n", "payments", "show-rollout", "--check=false")
		answer.says(t, 0, "\nPlan, as the request shows it; not checked, because you did not ask for it:\n  patch Deployment production/checkout (step roll)\n")
		if strings.Contains(answer.stdout, "Checked") || shown(t, users.Bob, "show-rollout", "--check=false") != nil {
			t.Errorf("nobody asked for it:\n%s", answer.stdout)
		}
		kubectl(t, users.Bob, "", "show", "-n", "payments", "show-rollout", "-o", "name").says(t, 0, "actionrequest.signoff.dev/show-rollout\n")
	})
	t.Run("Altered", func(t *testing.T) { altered(t, fits) })
}

// altered puts an altered status in front of the eyes of the plugin.
func altered(t *testing.T, fits string) {
	t.Helper()
	digest, other := stored(t, "show-rollout").Status.Digest, "sha256:"+strings.Repeat("0", 64)
	seen := func(from, to string) result {
		server := between(t, users.Bob, func(body string) string {
			if !strings.HasPrefix(body, `{"apiVersion":"signoff.dev/v1alpha1","kind":"ActionRequest",`) {
				return body
			}
			return strings.ReplaceAll(body, from, to)
		})
		return kubectl(t, users.Bob, "", "show", "-n", "payments", "show-rollout", "--server", server)
	}
	seen("→ registry/checkout:1.42", "→ registry/checkout:1.41-fixed").says(t, 0, fits+"  NOTE: WHAT IT WOULD CHANGE IS NOT WHAT THE REQUEST SHOWS", "containers[app].image: registry/checkout:1.41 → registry/checkout:1.42\n",
		"    NOTE: the request shows instead:\n      | patch Deployment production/checkout (step roll)\n      |   spec.template.spec.containers[app].image: registry/checkout:1.41 → registry/checkout:1.41-fixed\n")
	answer := seen(digest, other)
	answer.says(t, 0, "Digest: "+other+"\n  NOTE: WHAT WOULD RUN IS NOT WHAT THE REQUEST SHOWS: put together anew with your rights, it has the digest "+digest+".\n")
	if strings.Contains(answer.stdout, "Checked") || strings.Contains(answer.stdout, "signoff approve") {
		t.Errorf("nobody is told to approve it:\n%s", answer.stdout)
	}
	// A status that says nothing, or that there is nothing to check, is not believed.
	seen(`"digest":"`+digest+`"`, `"digest":""`).says(t, 0, "Digest: "+digest+"\n"+fits, "  kubectl signoff approve ")
	seen(`"digest":"`+digest+`"`, `"digest":"","outcome":"Denied"`).says(t, 0, "Digest: "+digest+"\n"+fits)
	// The values that are asked for, and not what the status says of them, decide.
	seen("registry/checkout:1.42", "registry/evil:1").says(t, 0, "NOTE: WHAT WOULD RUN IS NOT WHAT THE REQUEST SHOWS", "image: registry/checkout:1.41 → registry/evil:1\n")
}
