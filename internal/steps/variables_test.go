package steps

import (
	"encoding/json"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/inputs"
)

func TestVariables(t *testing.T) {
	in := input(map[string]any{"text": "a"})
	for name, tc := range map[string]struct{ reason, when, want string }{
		"None": {"nothing is stored that nobody reads", "object == null", ""},
		"Inputs": {"the inputs, and of what types those are that are read", "inputs.text == 'a'",
			`{"inputs":{"name":"checkout","namespace":"production","text":"a"},"types":{"type":"object","properties":{"text":{"type":"string"}}}}`},
		"Request":   {"a duration as text, since no number of nanoseconds may be so large in what is sealed", "request.duration > duration('1h')", `{"request":{"duration":"2640h0m0s"}}`},
		"Requester": {"no groups, since they differ from login to login", "requester.username == 'alice'", `{"requester":{"username":"alice"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			in.Vars.Values["request"] = map[string]any{"duration": 2640 * time.Hour}
			in.Vars.Values["requester"] = expression.Lazy(func() any { return map[string]any{"username": "alice", "groups": []any{"a"}} })
			got, err := mustCompile(t, `[{name: a, when: "`+tc.when+`", patch: {merge: {a: 1}}}]`).Variables(in)
			if err != nil {
				t.Fatal(err)
			}
			if raw := ""; got != nil {
				if raw = string(got.Raw); raw != tc.want {
					t.Errorf("%s: got %s", tc.reason, raw)
				}
			} else if tc.want != "" {
				t.Errorf("%s: got nothing", tc.reason)
			}
		})
	}
}

// typed is a schema with inputs of which a type, a format or a name would get lost in JSON.
const typed = `
type: object
properties:
  dry-run: {type: boolean}
  namespace: {type: string, maxLength: 63}
  wait: {type: string, format: duration}
  until: {type: string, format: date-time}
  day: {type: string, format: date}
  data: {type: string, format: byte, maxLength: 64}
  ratio: {type: number}
  count: {type: integer}
  port: {x-kubernetes-int-or-string: true, maxLength: 10}
  ratios: {type: array, maxItems: 3, items: {type: number}}
  parts: {type: array, maxItems: 3, items: {type: object, properties: {made-at: {type: string, format: date}}}}
  waits: {type: object, maxProperties: 3, additionalProperties: {type: string, format: duration}}
`

// stored is what comes back of the variables from the API server.
func stored(t *testing.T, raw *runtime.RawExtension) *runtime.RawExtension {
	t.Helper()
	if raw == nil {
		return nil
	}
	var value map[string]any
	if err := utiljson.Unmarshal(raw.Raw, &value); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return &runtime.RawExtension{Raw: out}
}

// TestWhenFromRecord judges conditions, of steps of every list, from what a Record holds. They mean what they meant when the Action was compiled.
func TestWhenFromRecord(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, when, inputs string
		want                 bool
	}{
		"Dashed":         {"a name that CEL cannot write is there", `!has(inputs.dry__dash__run)`, `{dry-run: true}`, false},
		"DashedAbsent":   {"or not", `!has(inputs.dry__dash__run)`, `{}`, true},
		"DashedValue":    {"it has its value", `inputs.dry__dash__run`, `{dry-run: true}`, true},
		"DashedOptional": {"also where it may be missing", `inputs.?dry__dash__run.orValue(false)`, `{dry-run: true}`, true},
		"Word":           {"a word of CEL needs no escape", `inputs.namespace == 'a'`, `{namespace: a}`, true},
		"EscapedWord":    {"and may have one", `inputs.__namespace__ == 'a'`, `{namespace: a}`, true},
		"Duration":       {"a duration is no text", `inputs.wait == duration('0s')`, `{wait: 0s}`, true},
		"LongDuration":   {"written in any way", `inputs.wait > duration('23h')`, `{wait: 1440m}`, true},
		"DateTime":       {"a time is none either", `inputs.until > timestamp('2026-01-01T00:00:00Z')`, `{until: "2026-12-24T09:00:00Z"}`, true},
		"Date":           {"nor is a date", `inputs.day < request.createdAt`, `{day: "2026-01-01"}`, true},
		"Bytes":          {"bytes are decoded", `inputs.data == b'hi'`, `{data: aGk=}`, true},
		"Number":         {"a number without a fraction is one with one", `inputs.ratio * 1.5 == 3.0`, `{ratio: 2}`, true},
		"Integer":        {"an integer is none", `inputs.count / 2 == 1`, `{count: 3}`, true},
		"IntOrString":    {"which is the one", `inputs.port == 80`, `{port: 80}`, true},
		"StringOrInt":    {"or the other", `inputs.port == 'http'`, `{port: http}`, true},
		"List":           {"types inside of a list", `inputs.ratios.all(r, r * 1.5 < 4.0)`, `{ratios: [1, 2]}`, true},
		"Objects":        {"and of objects in it", `inputs.parts.exists(p, p.made__dash__at.getFullYear() == 2026)`, `{parts: [{made-at: "2026-01-01"}]}`, true},
		"Map":            {"and of a map", `inputs.waits['a'] + inputs.waits['b'] == duration('3m')`, `{waits: {a: 1m, b: 2m}}`, true},
		"Whole":          {"also where inputs stand there as a whole", `[inputs][0].wait == duration('1m') && inputs.dry__dash__run`, `{wait: 60s, dry-run: true}`, true},
		"Several":        {"several of them", `has(inputs.wait) && inputs.ratio > 1.5 && !has(inputs.day)`, `{ratio: 2, wait: 1s}`, true},
		"Lends":          {"for how long it is asked", `request.duration == duration('1h30m')`, `{}`, true},
		"CreatedAt":      {"when it was asked", `request.createdAt == timestamp('2026-11-23T12:00:00Z')`, `{}`, true},
		"Requester":      {"by whom", `requester.username == 'alice' && inputs.wait < duration('1m')`, `{wait: 1s}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := yaml.YAMLToJSON([]byte(typed))
			if err != nil {
				t.Fatal(err)
			}
			schema, errs := inputs.Compile(raw, field.NewPath("inputs"))
			if len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			templates, err := expression.NewCompiler(expression.TemplatePlace, schema.Structural())
			if err != nil {
				t.Fatal(err)
			}
			exec := decode[v1alpha1.Execution](t, `{serviceAccountName: deployer,
				plan: {serviceAccountName: planner, steps: [{name: look, job: {namespace: a, template: {spec: {containers: [{name: c, image: c}]}}}}]},
				steps: [{name: do, patch: {merge: {a: 1}}}, {name: other, when: has(inputs.namespace), patch: {merge: {a: 1}}}], finally: [{name: end, patch: {merge: {a: 1}}}]}`)
			exec.Plan.Steps[0].When, exec.Steps[0].When, exec.Finally[0].When = tc.when, tc.when, tc.when
			all, errs := Compile(exec, &v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: "a"}, templates, field.NewPath("spec", "execution"))
			if len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			in := input(nil)
			asked, err := yaml.YAMLToJSON([]byte(tc.inputs))
			if err != nil {
				t.Fatal(err)
			}
			resolved, errs := schema.Resolve(asked, field.NewPath("spec", "inputs"))
			if len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			in.Vars.Values["inputs"] = resolved
			in.Vars.Values["request"] = map[string]any{"name": "r", "createdAt": time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), "duration": 90 * time.Minute}
			for of, outcome := range map[*Steps]v1alpha1.Outcome{all.Plan(): "", all: v1alpha1.OutcomeSucceeded} {
				variables, err := of.Variables(in)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := judgeRecorded(t, tc.when, stored(t, variables), outcome); err != nil || got != tc.want {
					t.Errorf("%s: got %v, %v, from %s", tc.reason, got, err, variables.Raw)
				}
			}
		})
	}
}

func judgeRecorded(t *testing.T, when string, variables *runtime.RawExtension, outcome v1alpha1.Outcome) (bool, error) {
	t.Helper()
	earlier, err := NewEarlier(nil, nil, outcome)
	if err != nil {
		t.Fatal(err)
	}
	program, values, err := earlier.When(when, variables)
	if err != nil {
		t.Fatal(err)
	}
	return program.EvalBool(t.Context(), expression.Vars{Values: values}, nil)
}

// TestWhenFromOldRecord judges conditions from Records that do not say of what types the inputs are: inputs stay what was sent.
func TestWhenFromOldRecord(t *testing.T) {
	variables := &runtime.RawExtension{Raw: []byte(`{"inputs":{"wait":"0s","ratio":2},"request":{"createdAt":"2026-11-23T12:00:00Z","duration":5400000000000}}`)}
	for name, tc := range map[string]struct{ reason, when string }{
		"Text":      {"nobody knows that it is a duration", `inputs.wait == '0s' && inputs.ratio == 2`},
		"Duration":  {"that of the request is known, and stands there as a number", `request.duration == duration('90m')`},
		"CreatedAt": {"so is when it was asked", `request.createdAt == timestamp('2026-11-23T12:00:00Z')`},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := judgeRecorded(t, tc.when, variables, ""); err != nil || !got {
				t.Errorf("%s: got %v, %v", tc.reason, got, err)
			}
		})
	}
}

// TestWhenFromStrangeRecord refuses what nobody can read, rather than to judge without it.
func TestWhenFromStrangeRecord(t *testing.T) {
	for _, raw := range []string{`[]`, `{"inputs":{},"types":[]}`, `{"inputs":{},"types":{"$ref":"x"}}`} {
		earlier, err := NewEarlier(nil, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := earlier.When("has(inputs.a)", &runtime.RawExtension{Raw: []byte(raw)}); err == nil {
			t.Errorf("%s was read", raw)
		}
	}
}
