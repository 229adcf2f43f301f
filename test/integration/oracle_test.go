package integration

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// oracle are things of which Alice reads nothing, and an Action that writes what she guesses of them, as the planner, whom no test lets write everywhere.
const oracle = `
apiVersion: v1
kind: Namespace
metadata: {name: oracle}
---
apiVersion: v1
kind: Secret
metadata: {namespace: oracle, name: kept}
data: {password: aHVudGVyMg==}
---
apiVersion: v1
kind: Secret
metadata: {namespace: oracle, name: fixed}
data: {password: aHVudGVyMg==}
immutable: true
---
apiVersion: v1
kind: ConfigMap
metadata: {namespace: oracle, name: kept}
data: {password: aHVudGVyMg==}
---
apiVersion: v1
kind: ConfigMap
metadata: {namespace: oracle, name: closed}
data: {password: aHVudGVyMg==}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: oracle, name: guesser}
rules:
- {apiGroups: [""], resources: [secrets], verbs: [get, patch]}
- {apiGroups: [""], resources: [configmaps], verbs: [get]}
- {apiGroups: [""], resources: [configmaps], resourceNames: [kept], verbs: [patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: oracle, name: guesser}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: guesser}
subjects: [{kind: ServiceAccount, namespace: platform, name: planner}]
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: NAME}
spec: {members: {users: [alice, bob]}, permissions: [{verbs: [request, approve], actions: {names: [NAME]}}]}
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: NAME}
spec:
  title: Guess
  inputs: {openAPIV3Schema: {type: object, required: [guess], properties: {guess: {type: string, maxLength: 63}}}}
  default: {effect: RequireApproval}
  execution:
    serviceAccountName: planner
    steps:
    - {name: guess, STEP}
`

// TestTrialIsNoOracle: whoever asks for a guess does not read in the Approval whether it is right, of a Secret or of what they may not read. That a right is
// missing is told all the same, and so is what becomes of a write that the author of the Action has fixed.
func TestTrialIsNoOracle(t *testing.T) {
	const (
		tests   = `patch: {target: {apiVersion: v1, kind: KIND, namespace: oracle, name: kept}, json: [{op: test, path: /data/password, value: "${inputs.guess}"}, {op: add, path: /data/x, value: eA==}]}`
		applies = `apply: {manifests: [{apiVersion: v1, kind: KIND, metadata: {namespace: oracle, name: kept}, data: {password: "${inputs.guess}"}}]}`
		merges  = `patch: {target: {apiVersion: v1, kind: KIND, namespace: oracle, name: WHICH}, merge: {data: {password: "${inputs.guess}"}}}`
		untold  = "(Deferred: what the API server would answer is not told before it runs, since that could give away what is hidden)"
	)
	for name, tc := range map[string]struct{ step, kind, want string }{
		"oracle-test":      {tests, "Secret", untold},
		"oracle-conflict":  {applies, "Secret", untold},
		"oracle-immutable": {strings.ReplaceAll(merges, "WHICH", "fixed"), "Secret", untold},
		"oracle-hidden":    {tests, "ConfigMap", untold},
		"oracle-owned":     {applies, "ConfigMap", untold},
		"oracle-right":     {strings.ReplaceAll(merges, "WHICH", "closed"), "ConfigMap", "cannot patch resource"},
		"oracle-fixed":     {strings.ReplaceAll(tests, "${inputs.guess}", "b3RoZXI="), "ConfigMap", "What the API server says is not shown"},
	} {
		t.Run(name, func(t *testing.T) {
			apply(t, strings.NewReplacer("NAME", name, "STEP", strings.ReplaceAll(tc.step, "KIND", tc.kind)).Replace(oracle))
			var right string
			eventually(t, "the ServiceAccount has its rights", func() (bool, string) {
				right = summaryOf(t, name, "aHVudGVyMg==")
				return strings.Contains(right, tc.want) && strings.Contains(right, "(hidden)"), right
			})
			if diff := cmp.Diff(right, summaryOf(t, name, "d3JvbmctMQ==")); diff != "" {
				t.Errorf("the Approval tells whether the guess is right (-right +wrong):\n%s", diff)
			}
			if told := strings.Contains(right, "WARNING: "); told != (name == "oracle-right" || name == "oracle-fixed") {
				t.Errorf("a warning is told: %t\n%s", told, right)
			}
		})
	}
}

// summaryOf asks for a guess, and gives what is told to whoever must agree, but for the guess itself and the names of what was asked.
func summaryOf(t *testing.T, action, guess string) string {
	t.Helper()
	r, approval := openStage(t, action, `{"guess":"`+guess+`"}`)
	if err := patch(t, users.Alice, r, `{"spec":{"cancellation":{"reason":"a guess"}}}`); err != nil {
		t.Fatal(err)
	}
	text, digest := strings.Join(approval.Spec.Summary, "\n"), strings.TrimPrefix(approval.Spec.Digest, "sha256:")[:8]
	return strings.NewReplacer(guess, "GUESS", approval.Name, "APPROVAL", digest, "DIGEST").Replace(text)
}

// copying are a pod of which Alice may read the copies only, and policies that change one and refuse another, as those of a cluster do.
const copying = `
apiVersion: v1
kind: Namespace
metadata: {name: copying}
---
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: copying, name: kept}
spec:
  selector: {matchLabels: {app: kept}}
  template:
    metadata: {labels: {app: kept}}
    spec: {containers: [{name: app, image: "registry/kept:1", env: [{name: PASSWORD, value: hunter2}]}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: copying, name: deployer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: test-deployer}
subjects: [{kind: ServiceAccount, namespace: platform, name: deployer}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: copying, name: jobs}
rules: [{apiGroups: [batch], resources: [jobs], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: copying, name: jobs}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: jobs}
subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: alice}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: mirror}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints: {resourceRules: [{apiGroups: [batch], apiVersions: [v1], operations: [CREATE], resources: [jobs]}]}
  matchConditions: [{name: one, expression: "object.metadata.namespace == 'copying' && object.metadata.labels['signoff.dev/step'] == 'mirrored'"}]
  mutations:
  - patchType: JSONPatch
    jsonPatch:
      expression: >-
        [JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/image", value: "mirror/" + object.spec.template.spec.containers[0].image},
        JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/env/0/value", value: "forced"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: mirror}
spec: {policyName: mirror}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: unmirrored}
spec:
  failurePolicy: Fail
  matchConstraints: {resourceRules: [{apiGroups: [batch], apiVersions: [v1], operations: [CREATE], resources: [jobs]}]}
  matchConditions: [{name: one, expression: "object.metadata.namespace == 'copying' && object.metadata.labels['signoff.dev/step'] == 'refused'"}]
  validations: [{expression: "false", messageExpression: "'no mirror has ' + object.spec.template.spec.containers[0].image"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: unmirrored}
spec: {policyName: unmirrored, validationActions: [Deny]}
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: copying}
spec: {members: {users: [alice, bob]}, permissions: [{verbs: [request, approve], actions: {names: [copying-mirrored, copying-refused]}}]}
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: copying-STEP}
spec:
  title: Run a copy
  default: {effect: RequireApproval}
  execution:
    serviceAccountName: deployer
    steps:
    - {name: STEP, job: {podFrom: {apiVersion: apps/v1, kind: Deployment, namespace: copying, name: kept}, command: [run]}}
`

// TestWhatIsCopiedStaysHidden: what a dry run tells of a copy is no more than the requester may read of the pod, whatever they may read of the Job.
func TestWhatIsCopiedStaysHidden(t *testing.T) {
	for step, want := range map[string]string{
		"mirrored": "would store some of it otherwise than it is sent (tried without effect):\n  step mirrored: Job copying/",
		"refused":  "What the API server says is not shown, since the requester may not read what is copied",
	} {
		t.Run(step, func(t *testing.T) {
			apply(t, strings.ReplaceAll(copying, "STEP", step))
			eventually(t, "people are told", func() (bool, string) {
				_, approval := openStage(t, "copying-"+step, "{}")
				summary := strings.Join(approval.Spec.Summary, "\n")
				for _, foreign := range []string{"registry/kept", "hunter2", "forced"} {
					if strings.Contains(summary, foreign) {
						t.Fatalf("%q is of a pod that Alice may not read:\n%s", foreign, summary)
					}
				}
				return strings.Contains(summary, want), summary
			})
		})
	}
}
