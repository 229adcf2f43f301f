package steps

import (
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Planned is what plan steps that are done have given, for the Record of the execution.
func Planned(steps []v1alpha1.RenderedStep, statuses []v1alpha1.StepStatus) []v1alpha1.PlannedStep {
	out := make([]v1alpha1.PlannedStep, len(steps))
	for i := range steps {
		out[i] = v1alpha1.PlannedStep{Name: steps[i].Name, Declared: steps[i].Outputs}
		at := slices.IndexFunc(statuses, func(s v1alpha1.StepStatus) bool { return s.Name == steps[i].Name })
		if at >= 0 {
			out[i].Outputs = statuses[at].Outputs
		}
	}
	return out
}

// AfterPlan gives plan steps as steps that were done before all others.
func AfterPlan(planned []v1alpha1.PlannedStep) (before []v1alpha1.RenderedStep, statuses []v1alpha1.StepStatus) {
	for i := range planned {
		state := v1alpha1.StepDone
		if len(planned[i].Declared) > 0 && planned[i].Outputs == nil {
			state = v1alpha1.StepSkipped
		}
		before = append(before, v1alpha1.RenderedStep{Name: planned[i].Name, Outputs: planned[i].Declared})
		statuses = append(statuses, v1alpha1.StepStatus{Name: planned[i].Name, State: state, Outputs: planned[i].Outputs})
	}
	return before, statuses
}

// EachOutput calls back with each value that plan steps gave, in the order in which they are declared.
func EachOutput(planned []v1alpha1.PlannedStep, tell func(step, name string, value any)) error {
	for i := range planned {
		values, err := valuesOf(planned[i].Outputs)
		if err != nil {
			return fmt.Errorf("failed to read what plan step %s gave: %w", planned[i].Name, err)
		}
		for _, output := range planned[i].Declared {
			if value, there := values[output.Name]; there {
				tell(planned[i].Name, output.Name, value)
			}
		}
	}
	return nil
}

func valuesOf(raw *runtime.RawExtension) (map[string]any, error) {
	if raw == nil {
		return nil, nil
	}
	var out map[string]any
	if err := json.Unmarshal(raw.Raw, &out); err != nil {
		return nil, fmt.Errorf("not an object: %w", err)
	}
	return out, nil
}
