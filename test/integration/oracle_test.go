package integration

import (
	"strings"
	"testing"
)

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
