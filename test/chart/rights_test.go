package chart

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/signoff-dev/signoff/test/rights"
)

// granted is a rule that a ServiceAccount of Signoff has, and where.
type granted struct {
	// in is the namespace; empty: everywhere.
	in   string
	rule rbacv1.PolicyRule
}

// grantedTo collects what is bound to a ServiceAccount.
func grantedTo(t *testing.T, all objects, account string) []granted {
	t.Helper()
	var rules []granted
	bound := func(in string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
		if !slices.Contains(subjects, rbacv1.Subject{Kind: "ServiceAccount", Namespace: namespace, Name: account}) {
			return
		}
		for _, object := range all.of(ref.Kind) {
			if object.GetName() != ref.Name || ref.Kind == "Role" && object.GetNamespace() != in {
				continue
			}
			for _, rule := range into[rbacv1.ClusterRole](t, object).Rules {
				rules = append(rules, granted{in, rule})
			}
		}
	}
	for _, object := range all.of("ClusterRoleBinding") {
		binding := into[rbacv1.ClusterRoleBinding](t, object)
		bound("", binding.RoleRef, binding.Subjects)
	}
	for _, object := range all.of("RoleBinding") {
		binding := into[rbacv1.RoleBinding](t, object)
		bound(binding.Namespace, binding.RoleRef, binding.Subjects)
	}
	return rules
}

var reads = []string{"get", "list", "watch"}

func writes(verbs []string) bool {
	return slices.ContainsFunc(verbs, func(verb string) bool { return !slices.Contains(reads, verb) })
}

func has(list []string, any ...string) bool {
	return slices.ContainsFunc(any, func(one string) bool { return slices.Contains(list, one) })
}

// never says why a rule must not be granted to a process, by the list of rights that an operator must not have. catalogs are the
// namespaces as whose ServiceAccounts it may act.
func never(g granted, catalogs ...string) []string {
	r, impersonates := g.rule, slices.ContainsFunc(g.rule.Verbs, func(verb string) bool {
		return verb == "impersonate" || strings.HasPrefix(verb, "impersonate:")
	})
	var wrong []string
	for _, forbidden := range []struct {
		holds bool
		why   string
	}{
		{strings.Contains(strings.Join(slices.Concat(r.APIGroups, r.Resources, r.Verbs), " "), "*"), "everything"},
		{has(r.Resources, "secrets") && g.in != namespace, "Secrets of others"},
		{has(r.Resources, "secrets", "configmaps") && len(r.ResourceNames) == 0, "Secrets or ConfigMaps by no name"},
		{has(r.Verbs, "escalate", "bind", "approve", "sign", "use"), "more rights"},
		{impersonates && (!slices.Equal(r.Resources, []string{"serviceaccounts"}) || len(r.ResourceNames) == 0), "to be anybody"},
		{impersonates && !slices.Contains(catalogs, g.in), "to be a ServiceAccount elsewhere"},
		{has(r.Resources, "users", "groups", "uids") || strings.HasPrefix(strings.Join(r.Resources, " "), "userextras"), "identities"},
		{has(r.Resources, "serviceaccounts/token", "pods", "pods/exec", "pods/attach", "pods/ephemeralcontainers", "jobs", "deployments") &&
			!slices.ContainsFunc(r.Verbs, func(verb string) bool { return strings.HasPrefix(verb, "impersonate-on:serviceaccount:") }), "to run as others"},
		{writes(r.Verbs) && has(r.APIGroups, "admissionregistration.k8s.io", "rbac.authorization.k8s.io", "apiextensions.k8s.io", "certificates.k8s.io"), "to change what protects"},
		{writes(r.Verbs) && has(r.APIGroups, "signoff.dev") && has(r.Resources, "actions", "roles", "teams", "calendars", "actionpolicies", "notifiers", "delegations"), "to govern"},
	} {
		if forbidden.holds {
			wrong = append(wrong, forbidden.why)
		}
	}
	return wrong
}

// TestNever goes through all rules of both processes, in every combination.
func TestNever(t *testing.T) {
	for name, values := range combinations {
		rendered := render(t, values)
		for _, account := range []string{"signoff-admission", "signoff-controller"} {
			rules := grantedTo(t, rendered, account)
			if len(rules) < 5 {
				t.Fatalf("%s: only %d rules of %s were found", name, len(rules), account)
			}
			for _, g := range rules {
				for _, why := range never(g, "platform", "data") {
					t.Errorf("%s: %s may have no right to %s: %+v", name, account, why, g)
				}
				if account == "signoff-admission" && has(g.rule.APIGroups, "signoff.dev") && writes(g.rule.Verbs) {
					t.Errorf("%s: admission writes nothing of ours: %+v", name, g)
				}
			}
		}
	}
}

// TestNeverFinds shows that the list above finds what must not be.
func TestNeverFinds(t *testing.T) {
	rule := func(group, resource, verb string, names ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb}, ResourceNames: names}
	}
	for name, tc := range map[string]struct {
		reason string
		in     string
		rule   rbacv1.PolicyRule
		want   []string
	}{
		"Any":          {"One star is too many.", "", rule("signoff.dev", "approvals", "*"), []string{"everything"}},
		"AllSecrets":   {"A Secret of somebody is nobody's business.", "", rule("", "secrets", "get", "any"), []string{"Secrets of others"}},
		"ListSecrets":  {"Its own by name only.", namespace, rule("", "secrets", "list"), []string{"Secrets or ConfigMaps by no name"}},
		"MakeSecrets":  {"One could be a token of somebody, or a release of helm.", namespace, rule("", "secrets", "create"), []string{"Secrets or ConfigMaps by no name"}},
		"Escalate":     {"Rights come from administrators.", "", rule("rbac.authorization.k8s.io", "roles", "escalate"), []string{"more rights", "to change what protects"}},
		"Users":        {"Nobody votes as somebody.", "platform", rule("", "users", "impersonate", "bob"), []string{"to be anybody", "identities"}},
		"AnyAccount":   {"One by one.", "platform", rule("", "serviceaccounts", "impersonate"), []string{"to be anybody"}},
		"Everywhere":   {"In catalog namespaces only.", "", rule("", "serviceaccounts", "impersonate", "deployer"), []string{"to be a ServiceAccount elsewhere"}},
		"Constrained":  {"Bounded is elsewhere, too.", "kube-system", rule("authentication.k8s.io", "serviceaccounts", "impersonate:serviceaccount", "x"), []string{"to be a ServiceAccount elsewhere"}},
		"Token":        {"A token is the account.", "platform", rule("", "serviceaccounts/token", "create"), []string{"to run as others"}},
		"Exec":         {"So is a shell.", namespace, rule("", "pods/exec", "create"), []string{"to run as others"}},
		"Webhooks":     {"Only the Job, and only then.", "", rule("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "patch", "signoff"), []string{"to change what protects"}},
		"Teams":        {"Who is in a team is for people to say.", "", rule("signoff.dev", "teams", "update"), []string{"to govern"}},
		"Legitimate":   {"What is granted is granted.", "platform", rule("", "serviceaccounts", "impersonate", "deployer"), nil},
		"TeamsAreRead": {"Reading is not governing.", "", rule("signoff.dev", "teams", "watch"), nil},
	} {
		if diff := cmp.Diff(tc.want, never(granted{tc.in, tc.rule}, "platform")); diff != "" {
			t.Errorf("%s: %s -want +got:\n%s", name, tc.reason, diff)
		}
	}
}

// processes are the ServiceAccounts of the two, as docs/security/seals.md calls them.
var processes = map[string]string{"signoff-admission": rights.Admission, "signoff-controller": rights.Controllers}

// rightsOf gives the single rights of a ServiceAccount.
func rightsOf(t *testing.T, all objects, account string) []rights.Right {
	t.Helper()
	var out []rights.Right
	for _, g := range grantedTo(t, all, account) {
		where := g.in
		switch g.in {
		case "":
			where = rights.Everywhere
		case namespace:
			where = rights.Own
		}
		out = append(out, rights.Of(processes[account], where, g.rule)...)
	}
	return out
}

// TestRightsAreDocumented compares what is granted with the table of rights, in both directions.
func TestRightsAreDocumented(t *testing.T) {
	want, err := rights.Documented()
	if err != nil {
		t.Fatal(err)
	}
	rendered := render(t)
	var got []rights.Right
	for account := range processes {
		got = append(got, rightsOf(t, rendered, account)...)
	}
	if diff := cmp.Diff(rights.Sorted(want), rights.Sorted(got)); diff != "" {
		t.Errorf("docs/security/seals.md (-page +chart):\n%s", diff)
	}
}

// TestKeysFromFiles looks at processes whose keys come from files: nobody creates their Secrets, so they have no right to.
func TestKeysFromFiles(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		values string
		want   map[string][]string
	}{
		"Both":      {"Neither has a Secret.", "admissionFile: /keys/admission, controllerFile: /keys/controller", map[string][]string{}},
		"Admission": {"The other still has its own.", "admissionFile: /keys/admission", map[string][]string{"signoff-controller": {"signoff-controller-key"}}},
		"Neither": {"Each has its own.", "maxAge: 8760h", map[string][]string{
			"signoff-admission": {"signoff-admission-key"}, "signoff-controller": {"signoff-controller-key"},
		}},
	} {
		rendered, got := render(t, "configuration: {keys: {"+tc.values+"}}"), map[string][]string{}
		for account := range processes {
			for _, r := range rightsOf(t, rendered, account) {
				if r.Resource == "secrets" && !slices.Contains(got[account], r.Name) {
					got[account] = append(got[account], r.Name)
				}
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s -want +got:\n%s", name, tc.reason, diff)
		}
	}
}

// TestImpersonation looks at as whom Signoff may act, and for what.
func TestImpersonation(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		want   map[string][]string
	}{
		"Default": {"Nobody is named, so it is nobody.", map[string][]string{}},
		"Catalogs": {"Whoever executes is for the controllers only.", map[string][]string{
			"signoff-controller": {"data impersonate /serviceaccounts loader", "platform impersonate /serviceaccounts deployer", "platform impersonate /serviceaccounts deployer-read"},
			"signoff-admission":  {"platform impersonate /serviceaccounts deployer-read"},
		}},
		"Constrained": {"Admission only ever reads.", map[string][]string{
			"signoff-controller": {
				" impersonate-on:serviceaccount:create batch/jobs ",
				" impersonate-on:serviceaccount:get,impersonate-on:serviceaccount:watch,impersonate-on:serviceaccount:patch apps/deployments ",
				"platform impersonate:serviceaccount authentication.k8s.io/serviceaccounts deployer",
				"platform impersonate:serviceaccount authentication.k8s.io/serviceaccounts deployer-read",
			},
			"signoff-admission": {
				" impersonate-on:serviceaccount:get,impersonate-on:serviceaccount:watch apps/deployments ",
				"platform impersonate:serviceaccount authentication.k8s.io/serviceaccounts deployer-read",
			},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			rendered := render(t, combinations[name])
			got := map[string][]string{}
			for _, account := range []string{"signoff-admission", "signoff-controller"} {
				for _, g := range grantedTo(t, rendered, account) {
					if verbs := strings.Join(g.rule.Verbs, ","); strings.Contains(verbs, "impersonate") {
						got[account] = append(got[account], fmt.Sprintf("%s %s %s/%s %s", g.in, verbs, strings.Join(g.rule.APIGroups, ","),
							strings.Join(g.rule.Resources, ","), strings.Join(g.rule.ResourceNames, ",")))
					}
				}
				slices.Sort(got[account])
			}
			if got["signoff-admission"] == nil {
				delete(got, "signoff-admission")
				delete(got, "signoff-controller")
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestBootstrap looks at the one identity that may touch webhook configurations: it lives as long as its Job.
func TestBootstrap(t *testing.T) {
	rendered := render(t)
	want := []granted{
		{"", rbacv1.PolicyRule{APIGroups: []string{"admissionregistration.k8s.io"}, Resources: []string{"mutatingwebhookconfigurations", "validatingwebhookconfigurations"},
			ResourceNames: []string{"signoff"}, Verbs: []string{"get", "patch"}}},
		{namespace, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"signoff-webhook-ca", "signoff-webhook-cert"},
			Verbs: []string{"get", "create", "patch", "update"}}},
	}
	if diff := cmp.Diff(want, grantedTo(t, rendered, "signoff-certificates"), cmp.AllowUnexported(granted{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	hooks := 0
	for _, object := range rendered {
		if object.GetName() != "signoff-certificates" {
			continue
		}
		hooks++
		if !isHook(object) || !strings.Contains(object.GetAnnotations()["helm.sh/hook-delete-policy"], "hook-succeeded") {
			t.Errorf("%s %s stays", object.GetKind(), object.GetName())
		}
	}
	if hooks != 7 {
		t.Errorf("%d objects belong to the Job", hooks)
	}
}

// TestRenewal looks at what replaces the certificate as long as Signoff is there: it writes one Secret, and cannot make the API server trust anybody else.
func TestRenewal(t *testing.T) {
	rendered := render(t)
	secret := func(name string, verbs ...string) granted {
		return granted{namespace, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{name}, Verbs: verbs}}
	}
	want := []granted{secret("signoff-webhook-ca", "get"), secret("signoff-webhook-cert", "get", "update")}
	if diff := cmp.Diff(want, grantedTo(t, rendered, "signoff-renewal"), cmp.AllowUnexported(granted{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	job := into[batchv1.CronJob](t, rendered.named(t, "CronJob", "signoff-renewal")).Spec
	pod := job.JobTemplate.Spec.Template.Spec
	if pod.ServiceAccountName != "signoff-renewal" || !slices.Contains(pod.Containers[0].Args, "--renew") || job.ConcurrencyPolicy != batchv1.ForbidConcurrent {
		t.Errorf("it does something else: %+v", job)
	}
	for _, name := range []string{"CertManager", "Secret"} {
		if n := len(render(t, combinations[name]).of("CronJob")); n != 0 {
			t.Errorf("%s: there are %d CronJobs, and nothing for them to do", name, n)
		}
	}
}

// TestReviewers: reviews of requests that are gone are in the namespace of the release, where whoever is named may vote, and nobody else.
func TestReviewers(t *testing.T) {
	binding := into[rbacv1.RoleBinding](t, render(t, `reviewers: {users: [erin], groups: ["oidc:security"]}`).named(t, "RoleBinding", "signoff-reviewers"))
	want := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "erin"}, {APIGroup: rbacv1.GroupName, Kind: "Group", Name: "oidc:security"}}
	if diff := cmp.Diff(want, binding.Subjects); diff != "" || binding.RoleRef.Name != "signoff-approver" || binding.Namespace != namespace {
		t.Errorf("%+v\n%s", binding.RoleRef, diff)
	}
	for _, values := range []string{"", "reviewers:", "reviewers: {users: [], groups: null}"} {
		for _, found := range render(t, values).of("RoleBinding") {
			if found.GetName() == "signoff-reviewers" {
				t.Errorf("%q: somebody is bound", values)
			}
		}
	}
}

// TestUserRoles looks at the roles of people: bound to nobody, and in no other role.
func TestUserRoles(t *testing.T) {
	rendered := render(t, combinations["Everything"])
	names := regexp.MustCompile(`(?m)^  name: (signoff-[a-z-]+)$`).FindAllStringSubmatch(file(t, "config/rbac/user-roles.yaml"), -1)
	if len(names) < 8 {
		t.Fatalf("only %d roles: %v", len(names), names)
	}
	for _, found := range names {
		name := found[1]
		role := into[rbacv1.ClusterRole](t, rendered.named(t, "ClusterRole", name))
		for label := range role.Labels {
			if strings.Contains(label, "aggregate-to") {
				t.Errorf("%s becomes part of another role by %s", name, label)
			}
		}
		if role.AggregationRule != nil {
			t.Errorf("%s collects the rights of others", name)
		}
		for _, binding := range append(rendered.of("ClusterRoleBinding"), rendered.of("RoleBinding")...) {
			if ref := into[rbacv1.RoleBinding](t, binding).RoleRef; ref.Name == name {
				t.Errorf("%s is bound by %s", name, binding.GetName())
			}
		}
	}
}
