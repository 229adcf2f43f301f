package execution

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const (
	kept       = "hunter2-hunter2!"
	keptSecret = `{apiVersion: v1, kind: Secret, metadata: {namespace: NS, name: c}, stringData: {token: "` + kept + `"}}`
	keptData   = `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {token: "` + kept + `"}}`
	onSecret   = `writes: [{operation: MergePatch, object: {apiVersion: v1, kind: Secret, namespace: NS, name: c}, fieldManager: m, body: {metadata: {annotations: {a: b}}}}]`
)

// hides demands that nothing of what is kept is in what is stored of the step.
func (p *play) hides() {
	p.t.Helper()
	for _, form := range []string{"hunter2", base64.StdEncoding.EncodeToString([]byte(kept))} {
		if p.status.Outputs != nil && strings.Contains(string(p.status.Outputs.Raw), form) || strings.Contains(p.status.Message, form) {
			p.t.Errorf("it tells what is kept: %+v", p.status)
		}
	}
}

// TestSecretIsNotJudged: no condition and no output reads a Secret, also where a Record says so, as one of before can.
func TestSecretIsNotJudged(t *testing.T) {
	for name, step := range map[string]string{
		"When":     `when: "object.data.token > 'a'", ` + onSecret,
		"WaitFor":  `waitFor: {expression: "object.data.token > 'a'"}, ` + onSecret,
		"FailWhen": `waitFor: {status: Current}, failWhen: "object.data.token > 'a'", ` + onSecret,
		"Outputs":  onSecret + `, outputs: [{name: x, expression: object.data.token, schema: {type: string, maxLength: 100}}]`,
		"Second": `waitFor: {expression: "has(object.data.token) && object.data.token > 'a'"}, writes: [{operation: Apply, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: d}, fieldManager: m,
			body: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: d}}}, {operation: Apply, object: {apiVersion: v1, kind: Secret, namespace: NS, name: c}, fieldManager: m,
			body: {apiVersion: v1, kind: Secret, metadata: {namespace: NS, name: c}}}]`,
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, `{name: a, `+step+`}`)
			p.apply(keptSecret)
			p.want(v1alpha1.StepFailed, "it would read what is in a Secret, which neither conditions nor outputs do")
			p.hides()
		})
	}
	p := newPlay(t, `{name: a, waitFor: {status: Current}, when: "true", `+onSecret+`}`)
	p.apply(keptSecret)
	p.want(v1alpha1.StepStarted)
	p.want(v1alpha1.StepDone)
}

// TestErrorsRepeatNoValue lets expressions fail over what they read.
func TestErrorsRepeatNoValue(t *testing.T) {
	for name, tc := range map[string]struct {
		step, words string
		state       v1alpha1.StepState
	}{
		"WaitFor": {`waitFor: {expression: "timestamp(object.data.token) == timestamp('2020-01-01T00:00:00Z')"}, ` + patchConfigMap, "a function does not accept a value that it is given", v1alpha1.StepStarted},
		"Key":     {`waitFor: {expression: "{'a': true}[object.data.token]"}, ` + patchConfigMap, "a key that it computes is not there", v1alpha1.StepStarted},
		"Known":   {`waitFor: {expression: "object.data.missing == 'a'"}, ` + patchConfigMap, "no such key: missing", v1alpha1.StepStarted},
		"When":    {`when: "int(object.data.token) > 3", ` + patchConfigMap, "a function does not accept a value that it is given", v1alpha1.StepFailed},
		"Output":  {patchConfigMap + `, outputs: [{name: x, expression: "quantity(object.data.token).asInteger()", schema: {type: integer}}]`, "output x:", v1alpha1.StepFailed},
		"Schema":  {patchConfigMap + `, outputs: [{name: x, expression: "object.data.token", schema: {type: string, maxLength: 3}}]`, "outputs.x", v1alpha1.StepFailed},
		"Type":    {patchConfigMap + `, outputs: [{name: x, expression: "object.data.token", schema: {type: integer}}]`, "outputs.x", v1alpha1.StepFailed},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, `{name: a, `+tc.step+`}`)
			p.apply(keptData)
			p.want(tc.state, tc.words)
			p.hides()
		})
	}
}

// TestRefusalRepeatsNoSecret has the API server, or who denies a write, quote what is in an object. Of a ConfigMap that is told: the test would prove nothing
// otherwise.
func TestRefusalRepeatsNoSecret(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, write, words string
		prepare              func(*play)
	}{
		"Copied": {"it is copied to where it does not fit", `{operation: JSONPatch, object: {apiVersion: v1, kind: KIND, namespace: NS, name: c}, fieldManager: m, body: [
			{op: add, path: /metadata/labels, value: {}}, {op: copy, from: /data/token, path: /metadata/labels/x}]}`, "the API server does not accept metadata.labels", func(*play) {}},
		"Untyped": {"what is applied has another type, to which it answers 500", `{operation: Apply, object: {apiVersion: v1, kind: KIND, namespace: NS, name: c}, fieldManager: m,
			body: {apiVersion: v1, kind: KIND, metadata: {namespace: NS, name: c}, data: {token: ["` + kept + `"]}}}`, "the API server does not accept what is sent (Invalid)", func(*play) {}},
		"Denied": {"who denies it says why", `{operation: MergePatch, object: {apiVersion: v1, kind: KIND, namespace: NS, name: c}, fieldManager: m, body: {metadata: {annotations: {a: b}}}}`,
			"the API server does not accept what is sent (Forbidden)", (*play).deniedWithWords},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, object := range map[string]string{"ConfigMap": keptData, "Secret": keptSecret} {
				p := newPlay(t, `{name: a, writes: [`+strings.ReplaceAll(tc.write, "KIND", kind)+`]}`)
				p.apply(object)
				tc.prepare(p)
				for p.status.FinishedAt == nil {
					p.next()
				}
				told := strings.Contains(p.status.Message, kept)
				if kind == "Secret" {
					p.hides()
					told = strings.Contains(p.status.Message, tc.words) && strings.Contains(p.status.Message, "what it says about it is not shown")
				}
				if p.status.State != v1alpha1.StepFailed || !told {
					t.Errorf("%s: of a %s, got %+v", tc.reason, kind, p.status)
				}
			}
		})
	}
}

// deniedWithWords makes a policy that denies writes, and repeats what is written.
func (p *play) deniedWithWords() {
	p.t.Helper()
	p.apply(`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: words-NS}, spec: {failurePolicy: Fail,
	matchConstraints: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NS}}, resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [UPDATE], resources: [configmaps, secrets]}]},
	matchConditions: [{name: ours, expression: "object.metadata.name == 'c'"}], validations: [{expression: "false", messageExpression: "'it holds ' + object.data.token", reason: Forbidden}]}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: words-NS}, spec: {policyName: words-NS, validationActions: [Deny]}}`)
	name := "words-" + p.namespace
	p.t.Cleanup(func() {
		ctx, policies := context.Background(), admin.AdmissionregistrationV1()
		if err := errors.Join(policies.ValidatingAdmissionPolicyBindings().Delete(ctx, name, metav1.DeleteOptions{}), policies.ValidatingAdmissionPolicies().Delete(ctx, name, metav1.DeleteOptions{})); err != nil {
			p.t.Error(err)
		}
	})
	eventually(p.t, func(ctx context.Context) error {
		patch, options := []byte(`{"metadata":{"annotations":{"a":"b"}}}`), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}
		_, first := admin.CoreV1().ConfigMaps(p.namespace).Patch(ctx, "c", types.MergePatchType, patch, options)
		_, second := admin.CoreV1().Secrets(p.namespace).Patch(ctx, "c", types.MergePatchType, patch, options)
		if !strings.Contains(fmt.Sprint(first, second), "it holds") {
			return fmt.Errorf("nothing is denied yet: %w, %w", first, second)
		}
		return nil
	})
}
