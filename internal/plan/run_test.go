package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestCopiedIsHidden: of a copied pod that is not for everybody, only what the step itself sets is shown, and not what has the same name elsewhere.
func TestCopiedIsHidden(t *testing.T) {
	const job = `{apiVersion: batch/v1, kind: Job, metadata: {namespace: vault, name: j, annotations: {signoff.dev/pod-from: Deployment vault/app}}, spec: {backoffLimit: 0, template: {
		metadata: {annotations: {args: annotation}},
		spec: {
			nodeSelector: {command: node},
			initContainers: [{name: command, command: [init, secret], args: [init-args], startupProbe: {exec: {command: [probe]}}, lifecycle: {preStop: {exec: {command: [stop]}}}}],
			containers: [{name: app, image: "internal:9", command: [copied], args: [migrate], env: [{name: args, value: variable}], resources: {limits: {args: "1"}}}]}}}}`
	const head = `pod: a copy of that of "Deployment vault/app" (what is copied is not shown: the requester may not read it)`
	const command, args = "spec.template.spec.containers[app].command[0]: (new) copied", "spec.template.spec.containers[app].args[0]: (new) migrate"
	for name, tc := range map[string]struct {
		own  []string
		want []string
	}{
		"Args":    {[]string{"args"}, []string{head, args}},
		"Command": {[]string{"command", "args"}, []string{head, command, args}},
		"Nothing": {nil, []string{head}},
	} {
		steps := []v1alpha1.RenderedStep{{Name: "s", Writes: []v1alpha1.RenderedWrite{write(t, v1alpha1.WriteCreateJob, job, job)}}}
		got := Describe(steps, View{Copied: func(string) (bool, []string) { return true, tc.own }})[0].Fields
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
