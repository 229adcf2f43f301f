package integration

import (
	"strings"
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/play"
)

const triedAction = `
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: tried}
spec: {members: {users: [alice, bob]}, permissions: [{verbs: [request, approve], actions: {names: [tried]}}]}
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: tried}
spec:
  title: Write some things
  inputs: {openAPIV3Schema: {type: object, properties: {}}}
  default: {effect: RequireApproval}
  execution:
    serviceAccountName: deployer
    steps:
    - name: note
      apply: {manifests: [{apiVersion: v1, kind: KIND, metadata: {namespace: staging, name: tried, FIELD: {c: d}}}]}
`

// TestTriedBeforePeopleAreAsked sends what a plan writes as dry runs: what would be refused is told to approvers, and nothing is stored.
func TestTriedBeforePeopleAreAsked(t *testing.T) {
	const warning = "WARNING: as things are now, the API server would refuse some of it"
	for name, tc := range map[string]struct {
		reason, kind, field string
		want                []string
	}{
		"Fits":   {"nothing is to be told", "ConfigMap", "annotations", nil},
		"Right":  {"the ServiceAccount may not", "ServiceAccount", "annotations", []string{warning, "step note: failed to apply ServiceAccount staging/tried", `cannot patch resource "serviceaccounts"`}},
		"Schema": {"there is no such field, and alice may not read the object", "ConfigMap", "dota", []string{warning, "step note: apply ConfigMap staging/tried: Invalid. What the API server says is not shown"}},
	} {
		t.Run(name, func(t *testing.T) {
			apply(t, strings.NewReplacer("FIELD", tc.field, "KIND", tc.kind).Replace(triedAction))
			var summary string
			eventually(t, "the plan is tried", func() (bool, string) {
				r := reaches(t, play.Ask(t, users.Alice, request("tried", "{}")), v1alpha1.PhaseAwaitingApproval)
				summary = strings.Join(approvalsOf(t, r, 1)[0].Spec.Summary, "\n")
				for _, words := range tc.want {
					if !strings.Contains(summary, words) {
						return false, summary
					}
				}
				return len(tc.want) > 0 || !strings.Contains(summary, warning), summary
			})
		})
	}
}

// TestWhatCannotBeTriedIsMarked tells approvers of which writes nobody knows yet whether they would be refused.
func TestWhatCannotBeTriedIsMarked(t *testing.T) {
	apply(t, strings.NewReplacer("tried", "untried", "FIELD", "annotations", "KIND", "ConfigMap").Replace(triedAction)+`
    - name: again
      when: "true"
      apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: untried-twice}}]}
    finally:
    - name: end
      apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: untried, annotations: {c: d}}}]}
`)
	r := reaches(t, play.Ask(t, users.Alice, request("untried", "{}")), v1alpha1.PhaseAwaitingApproval)
	approval := approvalsOf(t, r, 1)[0]
	summary := strings.Join(approval.Spec.Summary, "\n")
	for _, line := range []string{
		"\n  apply ConfigMap staging/untried\n",
		"\n  apply ConfigMap staging/untried-twice (Deferred: it runs only when its condition holds then)\n",
		"\n  apply ConfigMap staging/untried (Deferred: it cannot be tried before step note has run)\n",
	} {
		if !strings.Contains(summary, line) {
			t.Errorf("%q is not in:\n%s", line, summary)
		}
	}
	for _, change := range approval.Spec.Plan {
		if strings.Contains(change.Object, "Deferred") {
			t.Errorf("what is stored must not depend on what was tried: %q", change.Object)
		}
	}
}

// forcing makes something else of what is sent, as webhooks and policies of a cluster do.
const forcing = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: forcing}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]}
  matchConditions: [{name: one, expression: "object.metadata.name == 'forced'"}]
  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: "Object{data: {'mode': 'b'}}"}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: forcing}
spec: {policyName: forcing}
`

// TestWhatIsForcedIsTold tells approvers where something in the cluster would make another value of what they agree to: what runs is not what is shown.
func TestWhatIsForcedIsTold(t *testing.T) {
	apply(t, forcing)
	apply(t, strings.NewReplacer("tried", "forced", "FIELD: {c: d}}", "labels: {c: d}}, data: {mode: a}", "KIND", "ConfigMap").Replace(triedAction))
	const warning = "WARNING: something in the cluster would store some of it otherwise than it is sent (tried without effect):\n  step note: ConfigMap staging/forced: data.mode: a → (hidden)"
	eventually(t, "people are told", func() (bool, string) {
		r := reaches(t, play.Ask(t, users.Alice, request("forced", "{}")), v1alpha1.PhaseAwaitingApproval)
		summary := strings.Join(approvalsOf(t, r, 1)[0].Spec.Summary, "\n")
		return strings.Contains(summary, warning), summary
	})
}
