package doctor

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/clockskew"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func to(kind, name string) []rbacv1.Subject { return []rbacv1.Subject{{Kind: kind, Name: name}} }

// everywhere binds rules to a user in the whole cluster.
func everywhere(user string, rules ...rbacv1.PolicyRule) func(*grants) {
	return func(g *grants) {
		g.clusterRoles[user] = rules
		g.everywhere = append(g.everywhere, rbacv1.ClusterRoleBinding{RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: user}, Subjects: to("User", user)})
	}
}

// here binds rules to a ServiceAccount in the namespace of the operator.
func here(account, kind string, rules ...rbacv1.PolicyRule) func(*grants) {
	return func(g *grants) {
		roles := g.roles
		if kind == "ClusterRole" {
			roles = g.clusterRoles
		}
		roles[account] = rules
		g.bindings = append(g.bindings, rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "signoff-system"}, RoleRef: rbacv1.RoleRef{Kind: kind, Name: account}, Subjects: to("ServiceAccount", account),
		})
	}
}

func only(r rbacv1.PolicyRule, name string) rbacv1.PolicyRule {
	r.ResourceNames = []string{name}
	return r
}

func TestRights(t *testing.T) {
	const secrets, pods, impersonate = 0, 1, 2
	all := rbacv1.PolicyRule{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}
	cases := map[string]struct {
		reason string
		grant  func(*grants)
		// about is the finding that changes.
		about int
		want  string
	}{
		"Admin":      {"who may do everything", everywhere("ada", all), secrets, "ada"},
		"AdminRuns":  {"who may do everything", everywhere("ada", all), pods, "ada"},
		"AdminActs":  {"who may do everything", everywhere("ada", all), impersonate, "ada"},
		"Reader":     {"who may list Secrets reads them", everywhere("eve", rule("", "secrets", "list")), secrets, "eve"},
		"ReaderHere": {"a Role of the namespace", here("backup", "Role", rule("", "secrets", "get")), secrets, "serviceaccount signoff-system/backup"},
		"ByCluster":  {"a ClusterRole bound in the namespace", here("backup", "ClusterRole", rule("", "secrets", "get")), secrets, "serviceaccount signoff-system/backup"},
		"OneKey":     {"one key is enough", here("x", "Role", only(rule("", "secrets", "get"), "signoff-admission-key")), secrets, "serviceaccount signoff-system/x"},
		"OtherName":  {"another Secret is not ours", here("x", "Role", only(rule("", "secrets", "get"), "other")), secrets, "nobody"},
		"Deployer":   {"a Deployment makes pods", here("ci", "Role", rule("apps", "deployments", "create")), pods, "serviceaccount signoff-system/ci"},
		"Patcher":    {"who patches Deployments in signoff-system changes what runs as Signoff", here("ci", "Role", rule("apps", "deployments", "patch")), pods, "serviceaccount signoff-system/ci"},
		"Updater":    {"or updates one", here("ci", "Role", only(rule("batch", "cronjobs", "update"), "backup")), pods, "serviceaccount signoff-system/ci (some only)"},
		"Shell":      {"before Kubernetes 1.35, reading is enough", here("ci", "Role", rule("", "pods/exec", "get")), pods, "serviceaccount signoff-system/ci"},
		"Attached":   {"who is attached to a container is in it", here("ci", "Role", rule("", "pods/attach", "create")), pods, "serviceaccount signoff-system/ci"},
		"Debugger":   {"so is who adds one", everywhere("eve", rule("", "pods/ephemeralcontainers", "patch")), pods, "eve"},
		"Escalator":  {"who may write rights that they do not hold gives themself these", here("ci", "Role", rule("rbac.authorization.k8s.io", "roles", "escalate")), pods, "serviceaccount signoff-system/ci"},
		"Reads":      {"who only looks at Deployments runs nothing", here("ci", "Role", rule("apps", "deployments", "get"), rule("", "pods/log", "get")), pods, "nobody"},
		"Watcher":    {"who watches Secrets reads them", everywhere("eve", rule("", "secrets", "watch")), secrets, "eve"},
		"Token":      {"a token of our ServiceAccount", here("ci", "Role", only(rule("", "serviceaccounts/token", "create"), "signoff")), pods, "serviceaccount signoff-system/ci (some only)"},
		"Some":       {"some users only", everywhere("help", only(rule("", "users", "impersonate"), "bob")), impersonate, "help (some only)"},
		"New":        {"the newer verb", everywhere("help", rule("authentication.k8s.io", "users", "impersonate:user-info")), impersonate, "help"},
		"NotHere":    {"users have no namespace, so a RoleBinding gives nothing", here("x", "Role", rule("", "users", "impersonate")), impersonate, "nobody"},
		"Nothing":    {"a right to something else", everywhere("eve", rule("", "configmaps", "get")), secrets, "nobody"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g := &grants{roles: map[string][]rbacv1.PolicyRule{}, clusterRoles: map[string][]rbacv1.PolicyRule{}}
			tc.grant(g)
			found := g.findings("signoff-system")[tc.about]
			if _, who, _ := strings.Cut(found.Message, "by RBAC: "); who != tc.want || found.State != Judge {
				t.Errorf("%s: got %+v, want %q", tc.reason, found, tc.want)
			}
		})
	}
}

func lease(renewed time.Time) coordinationv1.Lease {
	at := metav1.NewMicroTime(renewed)
	return coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{RenewTime: &at}}
}

func TestReady(t *testing.T) {
	cases := map[string]struct {
		reason string
		leases []coordinationv1.Lease
		want   []Finding
	}{
		"Live": {"two of three live", []coordinationv1.Lease{lease(now), lease(now.Add(-time.Minute)), lease(now.Add(-time.Hour))}, []Finding{{Good, "readiness", "replicas of Signoff that have reported within 2m0s: 2"}}},
		"None": {"nobody ever reported", nil, []Finding{{Wrong, "readiness", "no replica of Signoff reports in namespace ns: is it running, and is that its namespace (--operator-namespace)?"}}},
		"Dead": {"it has ended", []coordinationv1.Lease{lease(now.Add(-time.Hour))}, []Finding{{Wrong, "readiness", "no replica of Signoff has reported since 2026-11-23T11:00:00Z: look at its log"}}},
		"Ahead": {"a clock that is ahead", []coordinationv1.Lease{lease(now.Add(time.Minute))}, []Finding{
			{Good, "readiness", "replicas of Signoff that have reported within 2m0s: 1"},
			{Wrong, "clock", "the clock of a replica of Signoff is 1m0s ahead of that of the API server: set the clocks by NTP"},
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, ready(tc.leases, now, "ns")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestSealed(t *testing.T) {
	approval := func(seal *v1alpha1.Seal, votes ...string) v1alpha1.Approval {
		a := v1alpha1.Approval{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b"}, Spec: v1alpha1.ApprovalSpec{Seal: seal}}
		for _, seal := range votes {
			a.Spec.Votes = append(a.Spec.Votes, v1alpha1.Vote{Voter: v1alpha1.Identity{Username: "eve"}, Seal: seal})
		}
		return a
	}
	cases := map[string]struct {
		reason string
		found  []v1alpha1.Approval
		state  State
		words  string
	}{
		"Sealed":   {"all is sealed", []v1alpha1.Approval{approval(&v1alpha1.Seal{}, "s", "s")}, Good, "1 Approvals and 2 votes in here are sealed"},
		"Vote":     {"a vote that is not", []v1alpha1.Approval{approval(&v1alpha1.Seal{}, "s", "")}, Wrong, "the vote of eve on Approval a/b is not sealed"},
		"Approval": {"an Approval that is not", []v1alpha1.Approval{approval(nil)}, Wrong, "Approval a/b is not sealed"},
		"None":     {"nothing to look at is no proof", nil, Unknown, "there is no Approval to look at in here"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := sealed(tc.found, "here")
			if len(got) != 1 || got[0].State != tc.state || !strings.HasPrefix(got[0].Message, tc.words) {
				t.Errorf("%s: got %+v", tc.reason, got)
			}
		})
	}
}

// dated answers with a header Date.
type dated string

// RoundTrip implements http.RoundTripper.
func (d dated) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{Header: http.Header{"Date": {string(d)}}, Body: http.NoBody}, nil
}

func TestClocks(t *testing.T) {
	at := func(after time.Duration) dated { return dated(now.Add(after).Format(http.TimeFormat)) }
	for name, tc := range map[string]struct {
		reason string
		answer dated
		want   State
	}{
		"Same":   {"they agree", at(time.Second), Good},
		"Ahead":  {"the server is ahead", at(time.Minute), Wrong},
		"Behind": {"the server is behind", at(-time.Minute), Wrong},
		"Silent": {"the server told nothing", "", Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			d := &Doctor{skew: clockskew.NewMeter(clocktesting.NewFakePassiveClock(now))}
			response, err := d.skew.Wrap(tc.answer).RoundTrip(&http.Request{})
			if err != nil || response.Body.Close() != nil {
				t.Fatal(err)
			}
			if got := d.clocks(); got.State != tc.want {
				t.Errorf("%s: got %+v", tc.reason, got)
			}
		})
	}
}
