package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestWhenByType judges conditions on inputs of which JSON does not say the type, while the steps run: they mean what they meant when the Action was applied.
func TestWhenByType(t *testing.T) {
	const action = `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: NAME}, spec: {title: Do what is asked, default: {effect: Allow}, MORE
		inputs: {openAPIV3Schema: {type: object, properties: {dry-run: {type: boolean}, wait: {type: string, format: duration}, ratio: {type: number}}}},
		target: {apiVersion: v1, kind: ConfigMap, namespace: staging, name: NAME},
		execution: {serviceAccountName: deployer, STEPS}}}`
	step := func(name, when string) string {
		return fmt.Sprintf(`{name: %s, when: %q, patch: {merge: {data: {%s: "yes"}}}}`, name, when, name)
	}
	someSteps(t)
	for name, tc := range map[string]struct {
		reason, more, steps string
		duration            v1alpha1.Duration
		phase               v1alpha1.Phase
		want                []v1alpha1.StepState
	}{
		"by-type": {
			"a name with a dash is there, 0s is a duration, and 2 a number that may have a fraction", "",
			`steps: [` + step("wet", "!has(inputs.dry__dash__run)") + `, ` + step("now", "inputs.wait == duration('0s')") + `, ` + step("much", "inputs.ratio * 1.5 > 2.9") + `],
				finally: [` + step("end", "inputs.wait < duration('1s') && outcome == 'Succeeded'") + `]`, "", v1alpha1.PhaseSucceeded,
			[]v1alpha1.StepState{v1alpha1.StepSkipped, v1alpha1.StepDone, v1alpha1.StepDone, v1alpha1.StepDone},
		},
		"by-time": {
			"for how long it is asked is a duration too", "temporary: {maxDuration: 8h},",
			`steps: [` + step("short", "request.duration < duration('1h')") + `, ` + step("long", "request.duration == duration('1h')") + `]`, "1h", v1alpha1.PhaseActive,
			[]v1alpha1.StepState{v1alpha1.StepSkipped, v1alpha1.StepDone},
		},
	} {
		t.Run(name, func(t *testing.T) {
			apply(t, strings.NewReplacer("NAME", name, "MORE", tc.more, "STEPS", tc.steps).Replace(action))
			configMap(t, name)
			r := request(name, `{"dry-run":true,"wait":"0s","ratio":2}`)
			r.Spec.Duration = tc.duration
			ask(t, users.Alice, r)
			done := reaches(t, r, tc.phase)
			var states []v1alpha1.StepState
			for _, step := range done.Status.Steps {
				states = append(states, step.State)
			}
			if !slices.Equal(states, tc.want) {
				t.Errorf("%s: %+v", tc.reason, done.Status.Steps)
			}
		})
	}
}
