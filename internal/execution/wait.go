package execution

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/signoff-dev/signoff/internal/expression"
)

// await looks whether what is waited for holds of every object written.
func (a *attempt) await(ctx context.Context, objects []*unstructured.Unstructured) error {
	a.outcome.Status.Basis = basisWritten
	if a.step.WaitFor == nil {
		a.done("")
		return nil
	}
	var missing []string
	for i, object := range objects {
		ok, message, err := a.holds(ctx, object)
		if err != nil {
			a.failed(err.Error())
			return nil
		}
		if !ok {
			missing = append(missing, message)
			a.outcome.Waiting = append(a.outcome.Waiting, a.step.Writes[i].Object)
		}
	}
	if len(missing) == 0 {
		a.done("")
		return nil
	}
	a.outcome.Status.Message = cut("waiting: " + strings.Join(missing, "; "))
	return nil
}

// holds tells whether what is waited for holds of one object. An error means that it never will.
func (a *attempt) holds(ctx context.Context, object *unstructured.Unstructured) (bool, string, error) {
	name := object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
	if source := a.step.WaitFor.Expression; source != "" {
		holds, err := condition(ctx, source, object)
		if err != nil {
			// A field that is not there yet is no reason to give up before the time is over.
			return false, fmt.Sprintf("%s: %v", name, err), nil
		}
		return holds, name + ": " + source, nil
	}
	result, err := status.Compute(object)
	if err != nil {
		return false, "", fmt.Errorf("failed to compute the status of %s: %w", name, err)
	}
	switch result.Status {
	case status.CurrentStatus:
		return true, "", nil
	case status.FailedStatus:
		return false, "", fmt.Errorf("%s failed: %s", name, result.Message)
	case status.InProgressStatus, status.TerminatingStatus, status.NotFoundStatus, status.UnknownStatus:
	}
	return false, name + ": " + result.Message, nil
}

func condition(ctx context.Context, source string, object *unstructured.Unstructured) (bool, error) {
	compiler, err := expression.NewCompiler(expression.WaitFor, nil)
	if err != nil {
		return false, fmt.Errorf("failed to prepare waitFor.expression: %w", err)
	}
	program, err := compiler.Bool(source)
	if err != nil {
		return false, fmt.Errorf("failed to compile waitFor.expression: %w", err)
	}
	vars := expression.Vars{Values: map[string]any{"object": object.Object}}
	return program.EvalBool(ctx, vars, expression.NewBudget())
}
