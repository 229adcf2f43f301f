package execution

import (
	"context"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/compare"
	"github.com/signoff-dev/signoff/internal/expression"
)

// await ends the step if what it waits for holds of every object that it wrote. The time that is over does not undo what holds.
func (t *task) await(ctx context.Context) (Outcome, error) {
	if t.step.WaitFor == nil {
		return t.complete(ctx, nil)
	}
	var live *unstructured.Unstructured
	for i := range t.step.Writes {
		ref := t.step.Writes[i].Object
		var err error
		live, err = t.get(ctx, ref)
		if apierrors.IsNotFound(err) && !unserved(err) {
			return t.giveUp("%s was deleted while the step waited for it", describe(ref)), nil
		}
		if err != nil {
			return t.failed("read "+describe(ref), err)
		}
		state, err := t.judge(ctx, live)
		switch {
		case err != nil:
			return t.giveUp("%s: %v", describe(ref), err), nil
		case state == "":
			continue
		case t.expired():
			return t.fail("%s is over, waiting for %s: %s", t.limit.name, describe(ref), state), nil
		}
		return t.waiting("waiting for " + describe(ref) + ": " + state), nil
	}
	return t.complete(ctx, live)
}

// judge says what is still to come, or nothing if the object is as it should be. An error is final for the attempt.
func (t *task) judge(ctx context.Context, live *unstructured.Unstructured) (string, error) {
	if state := notObserved(live); state != "" {
		return t.unjudged(live, state)
	}
	if unasked, err := t.failing(ctx, live); unasked != "" || err != nil {
		return unasked, err
	}
	switch {
	case t.step.WaitFor.Status == v1alpha1.WaitStatusCurrent:
		return current(live)
	case t.step.WaitFor.Expression != "":
		program, err := t.program(t.step.WaitFor.Expression)
		if err != nil {
			return "", fmt.Errorf("the expression does not compile: %w", err)
		}
		return t.pending(ctx, program, live), nil
	}
	return "", errors.New("this version of Signoff does not know what to wait for")
}

// notObserved says that the status of an object is about what was there before the last write to it, where the object tells. Then nothing is judged by it:
// the old one may say that all is well, or that what has been mended is broken.
func notObserved(live *unstructured.Unstructured) string {
	observed, found, err := unstructured.NestedInt64(live.Object, "status", "observedGeneration")
	if err != nil || !found || observed >= live.GetGeneration() || countsStatus(live) {
		return ""
	}
	return fmt.Sprintf("its status is not about this version of it yet (generation is %d, observed %d)", live.GetGeneration(), observed)
}

// unjudged is about an object by whose status nothing is judged. One that is being deleted has a new generation as well, and nobody may ever observe that.
func (t *task) unjudged(live *unstructured.Unstructured, state string) (string, error) {
	if live.GetDeletionTimestamp() == nil {
		return state, nil
	}
	if t.step.WaitFor.Status == v1alpha1.WaitStatusCurrent {
		return "", errDeleting
	}
	return "it is being deleted, and " + state, nil
}

// errDeleting says that an object will never be as it should.
var errDeleting = errors.New("is being deleted")

// countsStatus tells whether the generation of an object also counts what is written to its status: a kind without the subresource has its status written
// with all the rest. Then it is always ahead of the one that was observed, and says nothing.
func countsStatus(live *unstructured.Unstructured) bool {
	counts := false
	for _, m := range compare.Managers(live.Object) {
		if m.Subresource != "" {
			return false
		}
		counts = counts || m.Fields.Has(observedGeneration)
	}
	return counts
}

var observedGeneration = fieldpath.MakePathOrDie("status", "observedGeneration")

// failing is an error where failWhen holds. One that cannot be evaluated does not hold: fields of a status are often missing at first. Unasked says that
// there was no turn for it, so that nobody knows: what may have failed is not done either.
func (t *task) failing(ctx context.Context, live *unstructured.Unstructured) (unasked string, err error) {
	if t.step.FailWhen == "" {
		return "", nil
	}
	program, err := t.program(t.step.FailWhen)
	if err != nil {
		return "", fmt.Errorf("failWhen does not compile: %w", err)
	}
	failed, err := t.evaluate(ctx, program, map[string]any{"object": live.Object})
	switch {
	case expression.Later(err):
		return expression.WithoutValues(err).Error(), nil
	case err == nil && failed:
		return "", fmt.Errorf("failWhen holds: %q", program.Source())
	}
	return "", nil
}

func current(live *unstructured.Unstructured) (string, error) {
	if countsStatus(live) {
		live = live.DeepCopy()
		unstructured.RemoveNestedField(live.Object, "status", "observedGeneration")
	}
	result, err := status.Compute(live)
	if err != nil {
		return fmt.Sprintf("its status cannot be read: %v", err), nil
	}
	switch result.Status {
	case status.CurrentStatus:
		return "", nil
	case status.FailedStatus:
		return "", fmt.Errorf("failed: %s", result.Message)
	case status.TerminatingStatus:
		return "", errDeleting
	}
	return result.Message, nil
}

// pending says that the expression does not hold yet. An error of it is no answer either: fields of a status are often missing at
// first.
func (t *task) pending(ctx context.Context, program *expression.Program, live *unstructured.Unstructured) string {
	holds, err := t.evaluate(ctx, program, map[string]any{"object": live.Object})
	switch {
	case err != nil:
		return expression.WithoutValues(err).Error()
	case !holds:
		return fmt.Sprintf("%q does not hold yet", program.Source())
	}
	return ""
}

// waits compiles the expressions of waitFor.
var waits = sync.OnceValues(func() (*expression.Compiler, error) { return expression.NewCompiler(expression.WaitFor, nil) })

// program compiles an expression, once.
func (r *Runner) program(source string) (*expression.Program, error) {
	if program, ok := r.programs.Get(source); ok {
		return program.(*expression.Program), nil //nolint:forcetypeassert // nothing else is stored below
	}
	compiler, err := waits()
	if err != nil {
		return nil, err
	}
	program, err := compiler.Bool(source)
	if err != nil {
		return nil, err
	}
	r.programs.Add(source, program)
	return program, nil
}
