package plugin

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

const atNight = `apiVersion: signoff.dev/v1alpha1
kind: ActionRequest
metadata: {namespace: payments, name: at-night}
spec:
  actionRef: {namespace: platform, name: deploy}
  inputs: {service: checkout, environment: production, replicas: 7}
`

// TestExplainForPeople compares the page with the one in the guide. What comes after it tells of the present day.
func TestExplainForPeople(t *testing.T) {
	inForce(t)
	answer := kubectl(t, users.Alice, atNight, "explain", "-f", "-", "--at", "2026-11-24T00:00:00+01:00")
	page, _, _ := strings.Cut(answer.stdout, "  needs 1 approval")
	if lines := strings.Count(page, "\n"); lines < 25 {
		t.Errorf("the page has only %d lines", lines)
	}
	inGuide(t, page)
	answer.says(t, 0, "Answer: needs approval, and is then held (Hold)", `needs 1 approval in stage "owners" from team payments (bob, carol, dave; not you). Rule: owned.`)
}

// inGuide finds in the guide what was printed.
func inGuide(t *testing.T, text string) {
	t.Helper()
	guide, err := os.ReadFile("../../docs/guides/explain.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(guide), text) {
		t.Errorf("docs/guides/explain.md does not show\n%s", text)
	}
}

// TestExplainForSomebodyElse impersonates, which takes the right to.
func TestExplainForSomebodyElse(t *testing.T) {
	inForce(t)
	as := []string{"explain", "-f", "-", "--at", noon, "--as", "mallory", "--as-group", "strangers"}
	answer := kubectl(t, users.Ada, atNight, as...)
	answer.says(t, 1, "payments/at-night, asked as mallory (groups strangers)", "Answer: refused (NotAuthorized)",
		"you (mallory) may not request platform/deploy.", "Who can: role developer (group payments, erin)")
	answer = kubectl(t, users.Alice, atNight, as...)
	answer.says(t, 2, "error: you (alice) may not ask as mallory: that takes the right to impersonate users/mallory, groups/strangers.",
		`Ask an administrator of the cluster for the verb "impersonate" on each.  Check: kubectl auth can-i impersonate users/mallory`)
	answer = kubectl(t, users.Alice, "", "can-i", "request", "platform/deploy", "--as", users.Agent.Name)
	answer.says(t, 2, "takes the right to impersonate serviceaccounts/bot -n agents.", "Check: kubectl auth can-i impersonate serviceaccounts/bot -n agents")
}

func TestExplainManyRequests(t *testing.T) {
	inForce(t)
	refused := strings.Replace(atNight, "service: checkout", "service: nothing", 1)
	nameless := strings.Replace(strings.Replace(atNight, "name: at-night", "generateName: made-", 1), "namespace: payments, ", "", 1)
	file := filepath.Join(t.TempDir(), "requests.yaml")
	if err := os.WriteFile(file, []byte(atNight+"---\n"+refused), 0o600); err != nil {
		t.Fatal(err)
	}
	answer := kubectl(t, users.Alice, nameless, "explain", "-f", file, "-f", "-", "-n", "payments", "-o", "yaml", "--at", noon)
	answer.says(t, 1, "request: payments/at-night\n", "request: payments/made-…\n", "\n---\n", "allowed: true", "reason: FactsUnavailable")
	if got := strings.Count(answer.stdout, "\n---\n"); got != 2 {
		t.Errorf("there are %d separators between three answers", got)
	}
}

func TestExplainRefusals(t *testing.T) {
	inForce(t)
	const request = "apiVersion: signoff.dev/v1alpha1\nkind: ActionRequest\nmetadata: {namespace: payments, name: r}\n"
	cases := map[string]struct {
		reason string
		who    env.Person
		stdin  string
		args   []string
		exit   int
		words  []string
	}{
		"Rule": {
			reason: "the words of the webhook, without those of kubectl", who: users.Alice, exit: 1, args: []string{"--at", christmas},
			stdin: request + "spec: {actionRef: {namespace: platform, name: deploy}, inputs: {service: checkout}}\n",
			words: []string{"Answer: refused (DeniedByPolicy)\nWhy:\n  nothing changes at Christmas until Sun 3 Jan 2027 23:59 Europe/London", "Emergency: bob may set spec.breakGlass.reason"},
		},
		"Input": {
			reason: "each wrong field", who: users.Alice, exit: 1, stdin: request + "spec: {actionRef: {namespace: platform, name: deploy}, inputs: {servic: checkout}}\n",
			words: []string{"Answer: refused (Invalid)", `spec.inputs.servic: Forbidden: unknown field, did you mean "service"?`, "a working example: kubectl get action"},
		},
		"Field": {
			reason: "an unknown field, as kubectl create is strict too", who: users.Alice, exit: 1, stdin: request + "spec: {actionReff: {}}\n",
			words: []string{"Answer: refused (BadRequest)", `unknown field "spec.actionReff"`},
		},
		"RBAC": {
			reason: "who may not create requests at all", who: users.Grace, exit: 1, stdin: atNight,
			words: []string{"Answer: refused (Forbidden)", `User "grace" cannot create resource "actionrequests"`},
		},
		"Kind":   {reason: "another kind, with its line", who: users.Alice, exit: 2, stdin: atNight + "---\napiVersion: v1\nkind: Pod\n", words: []string{`standard input:8: explain takes ActionRequests of signoff.dev/v1alpha1 only, and this is Pod of "v1"`}},
		"YAML":   {reason: "what cannot be read", who: users.Alice, exit: 2, stdin: "a: [", words: []string{"error: standard input:1: failed to parse YAML"}},
		"Empty":  {reason: "nothing to ask", who: users.Alice, exit: 2, words: []string{"there is no request in what -f names"}},
		"Time":   {reason: "a time that is none", who: users.Alice, exit: 2, stdin: atNight, args: []string{"--at", "tomorrow"}, words: []string{`failed to read --at "tomorrow"`}},
		"Output": {reason: "an output that is none", who: users.Alice, exit: 2, stdin: atNight, args: []string{"-o", "xml"}, words: []string{`failed to read -o "xml": it is one of text, json, yaml`}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			answer := kubectl(t, tc.who, tc.stdin, append([]string{"explain", "-f", "-"}, tc.args...)...)
			t.Log(tc.reason)
			answer.says(t, tc.exit, tc.words...)
			if name == "Rule" {
				_, why, _ := strings.Cut(answer.stdout, "Judged at: ")
				why, _, _ = strings.Cut(why, "Rules:")
				inGuide(t, "Judged at: "+why)
			}
		})
	}
}

// TestExplainOfARequestThatExists gives the answer to a new one, because a second one of that name would do nothing.
func TestExplainOfARequestThatExists(t *testing.T) {
	inForce(t)
	stored := &v1alpha1.ActionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, Name: "at-night"},
		Spec: v1alpha1.ActionRequestSpec{
			ActionRef: v1alpha1.ActionReference{Namespace: env.CatalogNamespace, Name: "deploy"},
			Inputs:    &runtime.RawExtension{Raw: []byte(`{"service":"checkout","environment":"production"}`)},
		},
	}
	if err := as(t, users.Alice).Create(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		admin := as(t, env.Person{Name: "admin", Config: cluster.Admin})
		if err := admin.Delete(context.WithoutCancel(t.Context()), stored); client.IgnoreNotFound(err) != nil {
			t.Error(err)
		}
	})
	answer := kubectl(t, users.Alice, atNight, "explain", "-f", "-", "--at", noon)
	answer.says(t, 0, "Note: the request exists already", "action/owners: 1 of payments")
}
