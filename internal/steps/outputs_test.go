package steps

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
)

// first is a step whose outputs later steps read.
const first = `{name: first, patch: {merge: {a: 1}}, outputs: [
	{name: url, expression: object.status.url, schema: {type: string, maxLength: 100}},
	{name: count, expression: object.status.count, schema: {type: integer, maximum: 10}}]}`

func TestOutputsRefused(t *testing.T) {
	const output = "spec.execution.steps[0].outputs"
	one := func(step string) string {
		return `[{name: a, ` + step + `, outputs: [{name: x, expression: object.a, schema: {type: string, maxLength: 10}}]}]`
	}
	late := func(step string) string { return `[` + first + `, {name: b, ` + step + `}]` }
	for name, tc := range map[string]struct {
		reason, steps string
		want          [][2]string
	}{
		"Hyphen":     {"an expression could not name it", `[{name: a-b, patch: {merge: {a: 1}}, outputs: [{name: x, expression: object.a, schema: {type: string, maxLength: 10}}]}]`, [][2]string{{"spec.execution.steps[0].name", "hyphen"}}},
		"Unbounded":  {"it is stored", `[{name: a, patch: {merge: {a: 1}}, outputs: [{name: x, expression: object.a, schema: {type: string}}]}]`, [][2]string{{output + ".properties[x].maxLength", "maxLength"}}},
		"Long":       {"it is stored", `[{name: a, patch: {merge: {a: 1}}, outputs: [{name: x, expression: object.a, schema: {type: string, maxLength: 5000}}]}]`, [][2]string{{output + "[0].schema.maxLength", "at most 4096"}}},
		"List":       {"late values fill leaves", `[{name: a, patch: {merge: {a: 1}}, outputs: [{name: x, expression: object.a, schema: {type: array, maxItems: 3, items: {type: integer}}}]}]`, [][2]string{{output + "[0].schema.type", "supported values"}}},
		"NoSchema":   {"the shape is agreed to", `[{name: a, patch: {merge: {a: 1}}, outputs: [{name: x, expression: object.a}]}]`, [][2]string{{output + "[0].schema", "needed"}}},
		"Expression": {"it does not compile", `[{name: a, patch: {merge: {a: 1}}, outputs: [{name: x, expression: objekt.a, schema: {type: integer}}]}]`, [][2]string{{output + "[0].expression", "objekt"}}},
		"JobOnly":    {"there is no Job", `[{name: a, patch: {merge: {a: 1}}, outputs: [{name: x, expression: job.exitCode, schema: {type: integer}}]}]`, [][2]string{{output + "[0].expression", "job"}}},
		"Delete":     {"nothing is left", one("delete: {}"), [][2]string{{output, "nothing is left"}}},
		"Two":        {"which one is meant", one(`apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}, {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}]}`), [][2]string{{output, "one step for each object"}}},
		"Secret":     {"its content would be in a status", one(`apply: {manifests: [{apiVersion: v1, kind: Secret, metadata: {name: a}}]}`), [][2]string{{output, "Secret"}}},
		"Patched":    {"neither by a patch", one(`patch: {target: {apiVersion: v1, kind: Secret, name: a}, merge: {a: 1}}`), [][2]string{{output, "Secret"}}},
		"WhenSecret": {"whether it holds would tell", `[{name: a, when: object != null, patch: {target: {apiVersion: v1, kind: Secret, name: a}, merge: {a: 1}}}]`, [][2]string{{"spec.execution.steps[0].when", "no condition reads"}}},
		"WaitSecret": {"as above", `[{name: a, waitFor: {expression: object.x}, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}, {apiVersion: v1, kind: Secret, metadata: {name: a}}]}}]`, [][2]string{{"spec.execution.steps[0].waitFor.expression", "no condition reads"}}},
		"FailSecret": {"as above", `[{name: a, failWhen: object.x, delete: {target: {apiVersion: v1, kind: Secret, name: a}}}]`, [][2]string{{"spec.execution.steps[0].failWhen", "no condition reads"}}},
		"Unknown":    {"a misspelt output", late(`patch: {merge: {a: "${steps.first.outputs.uri}"}}`), [][2]string{{"spec.execution.steps[1].patch.merge.a", "uri"}}},
		"Mixed":      {"it is known neither now nor later", late(`patch: {merge: {a: "${inputs.text + steps.first.outputs.url}"}}`), [][2]string{{"spec.execution.steps[1].patch.merge.a", "write it as two"}}},
		"MixedArg":   {"as above", late(`job: {podFrom: {apiVersion: apps/v1, kind: Deployment, namespace: a, name: b}, command: ["${inputs.text + steps.first.outputs.url}"]}`), [][2]string{{"spec.execution.steps[1].job.command[0]", "write it as two"}}},
		"Name":       {"which object it is must be agreed to", late(`apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: "${steps.first.outputs.url}"}}]}`), [][2]string{{"spec.execution.steps[1].apply.manifests[0].metadata.name", "known only once"}}},
		"Labels":     {"policies select by them", late(`patch: {merge: {metadata: {labels: {a: "${steps.first.outputs.url}"}}}}`), [][2]string{{"spec.execution.steps[1].patch.merge.metadata.labels.a", "known only once"}}},
		"Target":     {"as above", late(`patch: {target: {apiVersion: v1, kind: Node, name: "${steps.first.outputs.url}"}, merge: {a: 1}}`), [][2]string{{"spec.execution.steps[1].patch.target.name", "not in names"}}},
		"Later":      {"it has not run yet", `[{name: b, patch: {merge: {a: "${steps.first.outputs.url}"}}}, ` + first + `]`, [][2]string{{"spec.execution.steps[0].patch.merge.a", "only steps before this one"}}},
		"When":       {"a misspelt input", `[{name: a, when: inputs.tekst == 'a', patch: {merge: {a: 1}}}]`, [][2]string{{"spec.execution.steps[0].when", "tekst"}}},
		"WhenTarget": {"facts of the plan are no facts of the moment", `[{name: a, when: target.x == 'a', patch: {merge: {a: 1}}}]`, [][2]string{{"spec.execution.steps[0].when", "target"}}},
		"WhenJob":    {"a Job is not there before", `[{name: a, when: object != null, job: {namespace: x, template: {spec: {containers: [{name: a, image: b}]}}}}]`, [][2]string{{"spec.execution.steps[0].when", "this step has none"}}},
		"FailWhen":   {"nothing is waited for", `[{name: a, failWhen: object.x, patch: {merge: {a: 1}}}]`, [][2]string{{"spec.execution.steps[0].failWhen", "set waitFor"}}},
		"FailSource": {"it does not compile", `[{name: a, failWhen: objekt.x, waitFor: {status: Current}, patch: {merge: {a: 1}}}]`, [][2]string{{"spec.execution.steps[0].failWhen", "objekt"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, errs := compileSteps(t, deployment, tc.steps)
			if got != nil {
				t.Errorf("%s: it was compiled all the same", tc.reason)
			}
			checkErrors(t, errs, tc.want)
		})
	}
}

// status is that of the step first, with these outputs.
func status(state v1alpha1.StepState, outputs string) v1alpha1.StepStatus {
	out := v1alpha1.StepStatus{Name: "first", State: state}
	if outputs != "" {
		out.Outputs = &runtime.RawExtension{Raw: []byte(outputs)}
	}
	return out
}

// TestLateValues renders steps that read outputs, and fills them in as they would be while the steps run.
func TestLateValues(t *testing.T) {
	const outputs = `{"url":"https://a/$(HOME)${steps.first.outputs.count}","count":7}`
	for name, tc := range map[string]struct {
		reason, step string
		inputs       map[string]any
		// shown is the body that people see, and sent the one that is sent.
		shown, sent string
		places      []string
	}{
		"Types": {"a whole value keeps its type, a part becomes text", `patch: {merge: {num: "${steps.first.outputs.count}", s: "n=${steps.first.outputs.count}", u: "${inputs.text}@${steps.first.outputs.url}"}}`,
			map[string]any{"text": "${steps.first.outputs.count}"},
			`{"num":"${steps.first.outputs.count}","s":"n=${steps.first.outputs.count}","u":"${steps.first.outputs.count}@${steps.first.outputs.url}"}`,
			`{"num":7,"s":"n=7","u":"${steps.first.outputs.count}@https://a/$(HOME)${steps.first.outputs.count}"}`, []string{"/num", "/s", "/u"}},
		"Environment": {"only text may stand there", `patch: {strategic: {spec: {containers: [{name: a, args: ["${steps.first.outputs.count}"], env: [{name: A, value: "${steps.first.outputs.count}"}], ports: [{containerPort: "${steps.first.outputs.count}"}]}]}}}`, nil,
			`{"spec":{"containers":[{"args":["${steps.first.outputs.count}"],"env":[{"name":"A","value":"${steps.first.outputs.count}"}],"name":"a","ports":[{"containerPort":"${steps.first.outputs.count}"}]}]}}`,
			`{"spec":{"containers":[{"args":["7"],"env":[{"name":"A","value":"7"}],"name":"a","ports":[{"containerPort":7}]}]}}`,
			[]string{"/spec/containers/0/args/0", "/spec/containers/0/env/0/value", "/spec/containers/0/ports/0/containerPort"}},
		"Annotations": {"as above; elsewhere annotations may be anything", `patch: {merge: {metadata: {annotations: {a: "${steps.first.outputs.count}"}}, spec: {metadata: {annotations: {a: "${steps.first.outputs.count}"}},
			template: {metadata: {annotations: {a: "${steps.first.outputs.count > 6}"}, labels: {a: "${steps.first.outputs.count}"}, generation: "${steps.first.outputs.count}"}}}}}`, nil,
			`{"metadata":{"annotations":{"a":"${steps.first.outputs.count}"}},"spec":{"metadata":{"annotations":{"a":"${steps.first.outputs.count}"}},"template":{"metadata":{"annotations":{"a":"${steps.first.outputs.count > 6}"},"generation":"${steps.first.outputs.count}","labels":{"a":"${steps.first.outputs.count}"}}}}}`,
			`{"metadata":{"annotations":{"a":"7"}},"spec":{"metadata":{"annotations":{"a":7}},"template":{"metadata":{"annotations":{"a":"true"},"generation":7,"labels":{"a":"7"}}}}}`,
			[]string{"/metadata/annotations/a", "/spec/metadata/annotations/a", "/spec/template/metadata/annotations/a", "/spec/template/metadata/generation", "/spec/template/metadata/labels/a"}},
		"AnnotationOf": {"as above, in the value of an operation", `patch: {json: [{op: add, path: /metadata/annotations/a~1b, value: "${steps.first.outputs.count}"}, {op: add, path: /spec/template/metadata, value: {annotations: {a: "${steps.first.outputs.count}"}}}]}`, nil,
			`[{"op":"add","path":"/metadata/annotations/a~1b","value":"${steps.first.outputs.count}"},{"op":"add","path":"/spec/template/metadata","value":{"annotations":{"a":"${steps.first.outputs.count}"}}}]`,
			`[{"op":"add","path":"/metadata/annotations/a~1b","value":"7"},{"op":"add","path":"/spec/template/metadata","value":{"annotations":{"a":"7"}}}]`,
			[]string{"/0/value", "/1/value/annotations/a"}},
		"Empty": {"two templates are text, also where the first gives nothing", `patch: {merge: {num: "${inputs.text}${steps.first.outputs.count}", url: "${inputs.text}${steps.first.outputs.url}"}}`, map[string]any{"text": ""},
			`{"num":"${steps.first.outputs.count}","url":"${steps.first.outputs.url}"}`, `{"num":"7","url":"https://a/$(HOME)${steps.first.outputs.count}"}`, []string{"/num", "/url"}},
		"Converted": {"whoever writes the Action can say it, too", `patch: {merge: {data: {a: "${string(steps.first.outputs.count)}"}}}`, nil,
			`{"data":{"a":"${string(steps.first.outputs.count)}"}}`, `{"data":{"a":"7"}}`, []string{"/data/a"}},
		"Input": {"an input that looks like an output is data", `patch: {merge: {a: "${inputs.text}"}}`, map[string]any{"text": "${steps.first.outputs.count}"},
			`{"a":"${steps.first.outputs.count}"}`, `{"a":"${steps.first.outputs.count}"}`, nil},
		"Expanded": {"what Kubernetes would expand is doubled", `patch: {strategic: {spec: {containers: [{name: a, args: ["${steps.first.outputs.url}"]}]}}}`, nil,
			`{"spec":{"containers":[{"args":["${steps.first.outputs.url}"],"name":"a"}]}}`,
			`{"spec":{"containers":[{"args":["https://a/$$(HOME)$${steps.first.outputs.count}"],"name":"a"}]}}`, []string{"/spec/containers/0/args/0"}},
		"JSON": {"in the value of an operation", `patch: {json: [{op: test, path: /a, value: 1}, {op: add, path: "/b/${inputs.text}", value: {c: ["${steps.first.outputs.count}"]}}]}`, map[string]any{"text": "x/y"},
			`[{"op":"test","path":"/a","value":1},{"op":"add","path":"/b/x~1y","value":{"c":["${steps.first.outputs.count}"]}}]`,
			`[{"op":"test","path":"/a","value":1},{"op":"add","path":"/b/x~1y","value":{"c":[7]}}]`, []string{"/1/value/c/0"}},
	} {
		t.Run(name, func(t *testing.T) {
			rendered, err := mustCompile(t, `[`+first+`, {name: b, `+tc.step+`}]`).Render(t.Context(), input(tc.inputs))
			if err != nil {
				t.Fatal(err)
			}
			w := rendered[1].Writes[0]
			var places []string
			for _, l := range w.Late {
				places = append(places, l.Path)
			}
			if diff := cmp.Diff([]any{tc.shown, tc.places}, []any{string(w.Body.Raw), places}); diff != "" {
				t.Errorf("%s: shown (-want +got):\n%s", tc.reason, diff)
			}
			earlier, err := NewEarlier(rendered[:1], []v1alpha1.StepStatus{status(v1alpha1.StepDone, outputs)}, "")
			if err != nil {
				t.Fatal(err)
			}
			filled, err := earlier.FillIn(t.Context(), &rendered[1], nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := compact(t, filled.Writes[0].Body.Raw); got != tc.sent || IsLate(filled) {
				t.Errorf("%s: sent\n%s, want\n%s", tc.reason, got, tc.sent)
			}
		})
	}
}

// TestTextIsNotMarked: of what gives text anyway nothing is said that is in the digest, or people would be asked again for what was right.
func TestTextIsNotMarked(t *testing.T) {
	for template, want := range map[string]bool{
		"${steps.first.outputs.url}": false, "${steps.first.outputs.count}": true, "n=${steps.first.outputs.count}": false, "${inputs.text}${steps.first.outputs.url}": false, "${inputs.text}${steps.first.outputs.count}": true, "${string(steps.first.outputs.count)}": false,
	} {
		rendered, err := mustCompile(t, `[`+first+`, {name: b, patch: {merge: {metadata: {annotations: {a: "`+template+`"}}}}}]`).Render(t.Context(), input(map[string]any{"text": ""}))
		if err != nil {
			t.Fatal(err)
		}
		if late := rendered[1].Writes[0].Late[0]; late.AsText != want {
			t.Errorf("%s: %+v", template, late)
		}
	}
}

func compact(t *testing.T, raw []byte) string {
	t.Helper()
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatal(err)
	}
	out, err := encode(value)
	if err != nil {
		t.Fatal(err)
	}
	if value, isList := value.([]any); isList && len(value) > 1 {
		return string(raw)
	}
	return string(out.Raw)
}

func TestLateJob(t *testing.T) {
	rendered, err := mustCompile(t, `[`+first+`, {name: b, job: {namespace: x, container: main, command: ["run", "${steps.first.outputs.count}"],
		template: {spec: {containers: [{name: side, image: s, args: ["${steps.first.outputs.url}"]}, {name: main, image: m, command: ["${steps.first.outputs.url}"], args: ["${steps.first.outputs.url}"]}]}}}}]`).
		Render(t.Context(), input(nil))
	if err != nil {
		t.Fatal(err)
	}
	var places []string
	for _, l := range rendered[1].Writes[0].Late {
		places = append(places, l.Path)
	}
	if diff := cmp.Diff([]string{"/spec/template/spec/containers/0/args/0", "/spec/template/spec/containers/1/command/1"}, places); diff != "" {
		t.Fatalf("places of a command that was replaced must go (-want +got):\n%s", diff)
	}
	earlier, err := NewEarlier(rendered[:1], []v1alpha1.StepStatus{status(v1alpha1.StepDone, `{"url":"u","count":7}`)}, "")
	if err != nil {
		t.Fatal(err)
	}
	if early, err := earlier.FillEarly(t.Context(), &rendered[1], nil); err != nil || IsLate(early) {
		t.Errorf("what a step gave that is done is filled in early: %v", err)
	}
	filled, err := earlier.FillIn(t.Context(), &rendered[1], nil)
	if err != nil || !strings.Contains(string(filled.Writes[0].Body.Raw), `"command":["run","7"]`) {
		t.Errorf("a command is text: %v\n%s", err, filled.Writes[0].Body.Raw)
	}
}

// TestSkippedOutputs reads outputs of a step that was skipped.
func TestSkippedOutputs(t *testing.T) {
	rendered, err := mustCompile(t, `[`+first+`, {name: b, when: "steps.first.state == 'Skipped' && !has(steps.first.outputs.url)", patch: {merge: {n: "${steps.first.outputs.count}"}}}]`).
		Render(t.Context(), input(nil))
	if err != nil {
		t.Fatal(err)
	}
	earlier, err := NewEarlier(rendered[:1], []v1alpha1.StepStatus{status(v1alpha1.StepSkipped, "")}, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := earlier.FillIn(t.Context(), &rendered[1], nil); err == nil || !strings.Contains(err.Error(), "no such key: count") {
		t.Errorf("there is no output: %v", err)
	}
	early, err := earlier.FillEarly(t.Context(), &rendered[1], nil)
	if err != nil || !IsLate(early) {
		t.Errorf("before the step is reached, which may be skipped, that is no error: %v", err)
	}
	when, values, err := earlier.When(rendered[1].When, nil)
	if err != nil {
		t.Fatal(err)
	}
	holds, err := when.EvalBool(t.Context(), expression.Vars{Values: values}, nil)
	if err != nil || !holds {
		t.Errorf("a condition can tell: %v, %v", holds, err)
	}
}

func TestEvaluateOutputs(t *testing.T) {
	rendered, err := mustCompile(t, `[`+first+`]`).Render(t.Context(), input(nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		reason string
		status map[string]any
		want   string
		err    string
	}{
		"Good":    {"as declared", map[string]any{"url": "u", "count": int64(3)}, `{"count":3,"url":"u"}`, ""},
		"Missing": {"it is not there", map[string]any{"url": "u"}, "", "output count"},
		"Large":   {"more than was agreed to", map[string]any{"url": "u", "count": int64(11)}, "", "outputs.count"},
		"Type":    {"text where a number was agreed to", map[string]any{"url": "u", "count": "3"}, "", "outputs.count"},
		"Lines":   {"ends of lines show", map[string]any{"url": "u\n\tv", "count": int64(3)}, `{"count":3,"url":"u\n\tv"}`, ""},
		"Escape":  {"a terminal would obey it", map[string]any{"url": "u\x1b[2J", "count": int64(3)}, "", "output url: it has characters that do not show"},
		"Turned":  {"it would be read the other way round", map[string]any{"url": "u\u202e", "count": int64(3)}, "", "output url: it has characters that do not show"},
		"Null":    {"nothing is no value", map[string]any{"url": nil, "count": int64(3)}, "", "outputs.url"},
	} {
		t.Run(name, func(t *testing.T) {
			vars := expression.Vars{Values: map[string]any{"object": map[string]any{"status": tc.status}}}
			got, err := Evaluate(t.Context(), &rendered[0], vars, nil)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("%s: got %v, %v", tc.reason, got, err)
				}
				return
			}
			if err != nil || string(got.Raw) != tc.want {
				t.Errorf("%s: got %v, %v", tc.reason, got, err)
			}
		})
	}
}

func TestFinally(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, steps string
		want          [][2]string
	}{
		"SameName": {"status is kept by name", `[{name: first, patch: {merge: {a: 1}}}]`, [][2]string{{"spec.execution.finally[0].name", "Duplicate"}}},
		"Name":     {"which object it is must be agreed to", `[{name: a, patch: {target: {apiVersion: v1, kind: Node, name: "${outcome}"}, merge: {a: 1}}}]`, [][2]string{{"spec.execution.finally[0].patch.target.name", "finally"}}},
		"Mixed":    {"it is known neither now nor later", `[{name: a, patch: {merge: {a: "${outcome + inputs.text}"}}}]`, [][2]string{{"spec.execution.finally[0].patch.merge.a", "write it as two"}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := compileFinally(t, deployment, tc.steps)
			checkErrors(t, errs, tc.want)
		})
	}
	if _, errs := compileSteps(t, deployment, `[{name: a, when: outcome == 'Failed', patch: {merge: {a: "${outcome}"}}}]`); len(errs) != 2 {
		t.Errorf("a step cannot know how all ended: %v", errs.ToAggregate())
	}
	s, errs := compileFinally(t, deployment, `[{name: last, when: "outcome == 'Failed' && steps.first.state == 'Done'", patch: {merge: {a: "${outcome}: ${steps.first.outputs.count}"}}}]`)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	rendered, err := s.Render(t.Context(), input(nil))
	if err != nil {
		t.Fatal(err)
	}
	main, finally := s.Split(rendered)
	if len(main) != 1 || len(finally) != 1 || finally[0].Name != "last" {
		t.Fatalf("steps %v and finally %v", main, finally)
	}
	earlier, err := NewEarlier(main, []v1alpha1.StepStatus{status(v1alpha1.StepDone, `{"url":"u","count":7}`)}, v1alpha1.OutcomeFailed)
	if err != nil {
		t.Fatal(err)
	}
	filled, err := earlier.FillIn(t.Context(), &finally[0], nil)
	if err != nil || string(filled.Writes[0].Body.Raw) != `{"a":"Failed: 7"}` {
		t.Errorf("filled in: %v, %v", err, filled)
	}
	when, values, err := earlier.When(finally[0].When, nil)
	if err != nil {
		t.Fatal(err)
	}
	if holds, err := when.EvalBool(t.Context(), expression.Vars{Values: values}, nil); err != nil || !holds {
		t.Errorf("the condition: %v, %v", holds, err)
	}
}
