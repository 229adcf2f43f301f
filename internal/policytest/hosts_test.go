package policytest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const hostedAction = `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: deploy}
spec:
  title: Deploy
  lookups:
  - as: incidents
    http: {url: "https://status.example.com/api/incidents?all=1", value: response.body.open, schema: {type: integer, minimum: 0}}
  rules:
  - {name: incidents, when: incidents > 0, effect: Deny, message: nothing is deployed while incidents are open}
  - {name: calm, when: incidents == 0, effect: Allow}
  execution:
    serviceAccountName: deployer
    steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: b}}]}}]
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: everybody}
spec: {members: {users: [alice]}, permissions: [{verbs: [request], actions: {names: ["*"]}}]}
`

const hostedTest = `
apiVersion: test.signoff.dev/v1alpha1
kind: PolicyTest
objects: [action.yaml]
now: "2026-11-23T12:00:00Z"
requester: {username: alice}
request: {metadata: {namespace: payments, name: r}, spec: {actionRef: {namespace: platform, name: deploy}}}
`

func TestHosts(t *testing.T) {
	for name, tc := range map[string]struct{ reason, cases, want string }{
		"Value": {"What the host says decides, and does not grow old.", `
values: {incidents: 0}
cases:
- {name: calm, expect: {effect: Allow, nextChange: never}}
- {name: incidents, values: {incidents: 2}, expect: {effect: Deny, message: [nothing is deployed]}}`, "2 passed"},
		"None": {"Without a value nothing is decided.", `
cases: [{name: away, expect: {effect: Indeterminate, reason: FactsUnavailable, message: ["https://status.example.com/api/incidents: the test gives no value: say it as values: {incidents: …}"]}}]`, "1 passed"},
		"Schema": {"What the host could not say is a mistake.", `
cases: [{name: strange, values: {incidents: -1}, expect: {effect: Allow}}]`, "a value that fits the schema of the lookup is accepted"},
		"FileSchema": {"Also at the top of the file.", `
values: {incidents: many}
cases: [{name: strange, expect: {effect: Allow}}]`, "a value that fits the schema of the lookup is accepted"},
		"Name": {"So is a value that nothing reads.", `
cases: [{name: misspelt, values: {incident: 1}, expect: {effect: Indeterminate}}]`, `supported values: "incidents"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range map[string]string{"action.yaml": hostedAction, "hosts_test.yaml": hostedTest + tc.cases} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := run(t, dir).Text(nil); !strings.Contains(got, tc.want) {
				t.Errorf("%s\nwant %q, got\n%s", tc.reason, tc.want, got)
			}
		})
	}
}
