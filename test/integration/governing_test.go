package integration

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/signoff-dev/signoff/controllers/action"
	"github.com/signoff-dev/signoff/controllers/actionpolicy"
	"github.com/signoff-dev/signoff/controllers/calendar"
	"github.com/signoff-dev/signoff/controllers/role"
	"github.com/signoff-dev/signoff/controllers/team"
	"github.com/signoff-dev/signoff/test/env"
)

// governors are the packages whose controllers this test runs, and whose rights it grants.
var governors = []string{"action", "actionpolicy", "calendar", "role", "team"}

// governingCluster is a cluster of its own: it has no webhooks, so that what they would refuse can be stored, and only the
// controllers of governing objects run, with the rights that their markers ask for and no others.
type governingCluster struct {
	*env.Cluster
	admin      client.Client
	operator   *rest.Config
	kubeconfig string
}

func startGoverning(t *testing.T) *governingCluster {
	t.Helper()
	started, err := env.Start(t.Context(), env.Options{CRDs: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(started.Stop)
	c := &governingCluster{Cluster: started, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	if c.admin, err = client.New(c.Admin, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	if err := c.Kubeconfig(c.kubeconfig, c.Admin); err != nil {
		t.Fatal(err)
	}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: env.SystemNamespace}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "signoff-governing"}, Rules: markedRules(t)},
	} {
		if err := c.admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	if c.operator, err = c.ServiceAccount(t.Context(), env.SystemNamespace, "signoff"); err != nil {
		t.Fatal(err)
	}
	if err := c.Grant(t.Context(), "signoff-governing", "", env.ToServiceAccount(env.SystemNamespace, "signoff")); err != nil {
		t.Fatal(err)
	}
	return c
}

var marker = regexp.MustCompile(`(?m)^// \+kubebuilder:rbac:groups=([^,]*),resources=([^,]*),verbs=(\S*)$`)

// markedRules reads the rights that the packages ask for.
func markedRules(t *testing.T) []rbacv1.PolicyRule {
	t.Helper()
	var rules []rbacv1.PolicyRule
	for _, name := range governors {
		source, err := os.ReadFile(filepath.Join("..", "..", "controllers", name, "controller.go"))
		if err != nil {
			t.Fatal(err)
		}
		marked := marker.FindAllStringSubmatch(string(source), -1)
		if len(marked) == 0 || len(marked) != strings.Count(string(source), "+kubebuilder:rbac:") {
			t.Fatalf("the rights of controllers/%s cannot be read: %q", name, marked)
		}
		for _, m := range marked {
			rules = append(rules, rbacv1.PolicyRule{
				APIGroups: strings.Split(m[1], ";"), Resources: strings.Split(m[2], ";"), Verbs: strings.Split(m[3], ";"),
			})
		}
	}
	return rules
}

// run runs the controllers until the test ends.
func (c *governingCluster) run(t *testing.T) {
	t.Helper()
	mgr, err := ctrl.NewManager(c.operator, ctrl.Options{
		Scheme: scheme, Metrics: server.Options{BindAddress: "0"},
		// The operator that the other tests share runs controllers of the same names in this process.
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	known, now := mgr.GetClient(), clock.RealClock{}
	for _, r := range []interface{ SetupWithManager(ctrl.Manager) error }{
		&action.Reconciler{Client: known, Clock: now, Operator: types.NamespacedName{Namespace: env.SystemNamespace, Name: "signoff"}, Kinds: known.RESTMapper()},
		&actionpolicy.Reconciler{Client: known, Clock: now, OperatorNamespace: env.SystemNamespace},
		&calendar.Reconciler{Client: known, Clock: now},
		&role.Reconciler{Client: known, Clock: now},
		&team.Reconciler{Client: known, Clock: now},
	} {
		if err := r.SetupWithManager(mgr); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// shell runs a command line in which kubectl is the administrator's.
func (c *governingCluster) shell(t *testing.T, line, input string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "sh", "-c", line)
	command.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig, "PATH="+c.Binaries+":"+os.Getenv("PATH"))
	command.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("failed to run %s: %w: %s", line, err, stderr.String())
	}
	return strings.TrimRight(string(out), "\n"), nil
}

var gap = regexp.MustCompile(`\s{2,}`)

// shows waits until kubectl get prints these cells, the age left out.
func (c *governingCluster) shows(t *testing.T, resource string, want ...string) {
	t.Helper()
	eventually(t, "kubectl get "+resource, func() (bool, string) {
		out, err := c.shell(t, "kubectl get --no-headers -A "+resource, "")
		if err != nil {
			return false, err.Error()
		}
		var got []string
		for line := range strings.Lines(out) {
			cells := gap.Split(strings.TrimSpace(line), -1)
			got = append(got, strings.Join(cells[:len(cells)-1], " | "))
		}
		diff := cmp.Diff(want, got)
		return diff == "", "-want, +got:\n" + diff
	})
}

// ready waits for the condition Ready of an object to have a reason, and gives its message.
func (c *governingCluster) ready(t *testing.T, object, reason string) string {
	t.Helper()
	var message string
	eventually(t, "reason "+reason+" of "+object, func() (bool, string) {
		out, err := c.shell(t, "kubectl get -n platform "+object+` -o jsonpath='{range .status.conditions[*]}{.type} {.reason} {.message}{end}'`, "")
		if err != nil {
			return false, err.Error()
		}
		var is bool
		message, is = strings.CutPrefix(out, "Ready "+reason+" ")
		return is, out
	})
	return message
}

// TestGoverningStatus runs the controllers of governing objects with their own rights, and reads with kubectl what they found.
func TestGoverningStatus(t *testing.T) {
	c := startGoverning(t)
	if err := c.ApplyFile(t.Context(), "test/integration/testdata/governing.yaml"); err != nil {
		t.Fatal(err)
	}
	c.run(t)

	c.shows(t, "actions",
		"platform | deploy-service | Deploy a service | service,environment,image | sometimes | False",
		"platform | granted | Already granted | always | True",
		"platform | typo | With a typo | False")
	c.shows(t, "roles.signoff.dev",
		"platform | developer | group developers, team payments | request, cancel on deploy-service | True",
		"platform | typo | user alice | approve on * (conditional) | False")
	c.shows(t, "teams", "payments | engineering | #payments on Slack | True")
	c.shows(t, "calendars",
		"platform | business-hours | Europe/London | True",
		"platform | nowhere | Europe/Atlantis | False")
	c.shows(t, "actionpolicies", "christmas-freeze | Deny | Unknown | 0 | False", "typo | Hold | True | 0 | False")

	for object, want := range map[string]string{
		"action/typo":            `spec.rules[0].when: Invalid value: "requster.username == 'eve'": line 1, column 1: undefined variable 'requster' (did you mean "requester"?)`,
		"roles.signoff.dev/typo": `(did you mean "caller"?)`,
		"calendar/nowhere":       "spec.timeZone",
		"actionpolicy/typo":      "nobody can tell what it demands",
	} {
		if message := c.ready(t, object, "Invalid"); !strings.Contains(message, want) {
			t.Errorf("%s: want %q in the message, got %q", object, want, message)
		}
	}
	t.Run("Grant", c.grant)
	t.Run("Example", c.example)
	t.Run("Parent", c.parent)
	t.Run("Edit", c.edit)
	t.Run("Hours", c.hours)
}

// hours takes away the Calendar that a rule of an Action names, and brings it back.
func (c *governingCluster) hours(t *testing.T) {
	const calendar = "kubectl get calendar -n platform business-hours -o json"
	stored, err := c.shell(t, calendar, "")
	if err != nil {
		t.Fatal(err)
	}
	named := `kubectl patch action -n platform granted --type merge -p '{"spec": {"rules": [{"name": "r", "effect": "Deny", "when": "calendar(\"%s\").contains(now)"}]}}'`
	for _, step := range []struct{ command, input, reason string }{
		{fmt.Sprintf(named, "business-hours"), "", "Ready"},
		{"kubectl delete calendar -n platform business-hours", "", "CalendarMissing"},
		{"kubectl create -f -", stored, "Ready"},
		{fmt.Sprintf(named, "nowhere"), "", "CalendarMissing"},
	} {
		if _, err := c.shell(t, step.command, step.input); err != nil {
			t.Fatal(err)
		}
		c.ready(t, "action/granted", step.reason)
	}
	const want = "Requests are refused or wait, because a rule of this Action cannot be judged: Calendar platform/nowhere is not valid"
	if message := c.ready(t, "action/granted", "CalendarMissing"); message != want {
		t.Errorf("want %q, got %q", want, message)
	}
}

// grant runs the very commands that the status names, after which the Action becomes ready although nobody touched it.
func (c *governingCluster) grant(t *testing.T) {
	message := c.ready(t, "action/deploy-service", "CannotImpersonate")
	at := strings.Index(message, "kubectl ")
	if at < 0 {
		t.Fatalf("the message names no command: %s", message)
	}
	if _, err := c.shell(t, message[at:], ""); err != nil {
		t.Fatal(err)
	}
	c.ready(t, "action/deploy-service", "Ready")
}

// example creates the request that the status shows, as a user would.
func (c *governingCluster) example(t *testing.T) {
	got, err := c.shell(t, `kubectl get action -n platform deploy-service -o jsonpath={.status.example} |
		kubectl create -n platform -f - -o jsonpath='{.spec.actionRef.name} {.spec.inputs}'`, "")
	if err != nil {
		t.Fatal(err)
	}
	want := `deploy-service {"environment":"staging","image":"example","service":"example"}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

// parent lets the Team above come and go.
func (c *governingCluster) parent(t *testing.T) {
	c.ready(t, "team/payments", "ParentMissing")
	if _, err := c.shell(t, "kubectl create -f -", "{apiVersion: signoff.dev/v1alpha1, kind: Team, metadata: {name: engineering}, spec: {}}"); err != nil {
		t.Fatal(err)
	}
	c.ready(t, "team/payments", "Ready")
	if _, err := c.shell(t, "kubectl delete team engineering", ""); err != nil {
		t.Fatal(err)
	}
	c.ready(t, "team/payments", "ParentMissing")
}

// edit repairs an Action, and checks that a status that is up to date is not written again.
func (c *governingCluster) edit(t *testing.T) {
	out, err := c.shell(t, `kubectl patch action -n platform typo --type json -o jsonpath='{.metadata.generation}' -p '[
		{"op": "replace", "path": "/spec/rules/0/when", "value": "requester.username == \"eve\""}]'`, "")
	if err != nil {
		t.Fatal(err)
	}
	c.ready(t, "action/typo", "Ready")
	version := `kubectl get action -n platform typo -o jsonpath='{.status.observedGeneration} {.metadata.resourceVersion}'`
	before, err := c.shell(t, version, "")
	if err != nil {
		t.Fatal(err)
	}
	if generation, _, _ := strings.Cut(before, " "); generation != out {
		t.Errorf("want status.observedGeneration %s, got %s", out, generation)
	}
	// What comes later in the queue is done, so that whatever the own write could have caused has been done too.
	if _, err := c.shell(t, `kubectl patch action -n platform granted --type merge -p '{"spec": {"title": "Edited"}}'`, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the status of the edited Action", func() (bool, string) {
		seen, err := c.shell(t, `kubectl get action -n platform granted -o jsonpath='{.metadata.generation} {.status.observedGeneration}'`, "")
		generation, observed, _ := strings.Cut(seen, " ")
		return err == nil && generation == observed, fmt.Sprint(seen, err)
	})
	if after, err := c.shell(t, version, ""); err != nil || after != before {
		t.Errorf("want no write after the status was up to date: before %s, after %s, %v", before, after, err)
	}
}
