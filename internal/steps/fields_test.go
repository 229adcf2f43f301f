package steps

import (
	"strings"
	"testing"
)

// TestFieldsOfEveryKind puts every field of a step beside every kind of step: it is accepted, or refused where it stands, by a sentence that says why. That those
// that are accepted do what they say is played in test/integration, by TestFieldsOfEveryKind too.
func TestFieldsOfEveryKind(t *testing.T) {
	const at = "spec.execution.steps[0]"
	var (
		fields = map[string]string{
			"when": "when: inputs.text == 'a'", "when.object": "when: object != null", "waitFor": "waitFor: {expression: object.a}", "waitFor.status": "waitFor: {status: Current}",
			"failWhen": "failWhen: object.b", "waitFor+failWhen": "waitFor: {status: Current}, failWhen: object.b",
			"timeout": "timeout: 5m", "retries": "retries: 3", "outputs": "outputs: [{name: x, expression: EXPRESSION, schema: {type: string, maxLength: 9}}]",
		}
		noObject  = [2]string{at + ".when", "object is the one object that a step writes, and is there before: this step has none"}
		noWait    = [2]string{at + ".failWhen", "failWhen ends a wait: set waitFor too"}
		itself    = [2]string{at + ".waitFor", "a delete waits until the object is gone: leave it out"}
		call      = [2]string{at + ".http", "an http step has no object to wait for: use http.success and http.poll"}
		gone      = [2]string{at + ".outputs", "nothing is left of an object that was deleted"}
		ambiguous = [2]string{at + ".outputs", "outputs read the one object of a step: write one step for each object"}
	)
	for name, kind := range map[string]struct {
		step, output string
		// refused are the fields that the kind cannot have.
		refused map[string][2]string
	}{
		"Apply":     {`apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}]}`, "object.a", map[string][2]string{"failWhen": noWait}},
		"Several":   {`apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}, {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}]}`, "object.a", map[string][2]string{"failWhen": noWait, "when.object": noObject, "outputs": ambiguous}},
		"Strategic": {`patch: {strategic: {a: 1}}`, "object.a", map[string][2]string{"failWhen": noWait}},
		"Merge":     {`patch: {merge: {a: 1}}`, "object.a", map[string][2]string{"failWhen": noWait}},
		"JSON":      {`patch: {json: [{op: remove, path: /a}]}`, "object.a", map[string][2]string{"failWhen": noWait}},
		"Delete":    {`delete: {}`, "object.a", map[string][2]string{"waitFor": itself, "waitFor.status": itself, "waitFor+failWhen": itself, "outputs": gone}},
		"Job":       {`job: {namespace: x, template: {spec: {containers: [{name: a, image: b}]}}}`, "job.message", map[string][2]string{"when.object": noObject}},
		"CopiedJob": {`job: {command: [x], podFrom: {apiVersion: apps/v1, kind: Deployment, namespace: a, name: b}}`, "object.a", map[string][2]string{"when.object": noObject}},
		"HTTP": {`http: {method: GET, url: "https://a.example.com/"}`, "response.body.a",
			map[string][2]string{"when.object": noObject, "waitFor": call, "waitFor.status": call, "failWhen": call, "waitFor+failWhen": call}},
	} {
		for field, text := range fields {
			t.Run(name+"/"+field, func(t *testing.T) {
				step := `[{name: a, ` + kind.step + `, ` + strings.ReplaceAll(text, "EXPRESSION", kind.output) + `}]`
				got, errs := compileSteps(t, deployment, step)
				want, refused := kind.refused[field]
				switch {
				case refused && got != nil:
					t.Errorf("a step that cannot have %s was compiled all the same: %s", field, step)
				case refused:
					checkErrors(t, errs, [][2]string{want})
				case got == nil:
					t.Errorf("a step that may have %s was refused: %v", field, errs.ToAggregate())
				}
			})
		}
	}
}
