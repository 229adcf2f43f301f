package execution

import (
	"encoding/base64"
	"strings"
	"testing"

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

// TestRefusalRepeatsNoSecret copies what is in a Secret to where the API server refuses it, and quotes it.
func TestRefusalRepeatsNoSecret(t *testing.T) {
	copies := func(kind string) string {
		return `{name: a, writes: [{operation: JSONPatch, object: {apiVersion: v1, kind: ` + kind + `, namespace: NS, name: c}, fieldManager: m, body: [
			{op: add, path: /metadata/labels, value: {}}, {op: copy, from: /data/token, path: /metadata/labels/x}]}]}`
	}
	p := newPlay(t, copies("ConfigMap"))
	p.apply(keptData)
	p.want(v1alpha1.StepStarted)
	p.want(v1alpha1.StepFailed, kept) // the test would prove nothing otherwise
	p = newPlay(t, copies("Secret"))
	p.apply(keptSecret)
	p.want(v1alpha1.StepStarted)
	p.want(v1alpha1.StepFailed, "the API server does not accept metadata.labels", "what it says about it is not shown")
	p.hides()
}
