package execution

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// defaultTimeout is how long all steps together may take where the Record does not say.
const defaultTimeout = 30 * time.Minute

// maxMessage is how long the message of a step may be.
const maxMessage = 900

// Runner runs steps. It never sleeps and never polls.
type Runner struct {
	clients *Clients
	clock   clock.PassiveClock
}

// NewRunner makes a runner.
func NewRunner(clients *Clients, clk clock.PassiveClock) *Runner {
	return &Runner{clients: clients, clock: clk}
}

// Outcome is how far a step has come.
type Outcome struct {
	// Status is the new status of the step.
	Status v1alpha1.StepStatus
	// Waiting are the objects that the step waits for. A change of one is worth another look.
	Waiting []v1alpha1.ObjectReference
	// Intent says that the status must be stored before Step is called again.
	Intent bool
}

// attempt is one look at one step.
type attempt struct {
	*Runner
	record  *v1alpha1.Record
	step    *v1alpha1.RenderedStep
	outcome Outcome
}

// Step does the next thing for one step of a claimed execution. The status is that of the step as it was stored last. An error
// means that it is worth another try; a step that failed for good says so in its status.
func (r *Runner) Step(ctx context.Context, record *v1alpha1.Record, step *v1alpha1.RenderedStep, status v1alpha1.StepStatus) (Outcome, error) {
	a := &attempt{Runner: r, record: record, step: step, outcome: Outcome{Status: status}}
	if a.outcome.Status.State == "" {
		a.outcome.Status.State = v1alpha1.StepStarted
		a.outcome.Status.StartedAt = new(metav1.NewTime(r.clock.Now()))
	}
	if !r.clock.Now().Before(r.deadlineOf(record, step, &a.outcome.Status)) {
		waited := ""
		if status.Message != "" {
			waited = ": " + status.Message
		}
		a.failed("timed out" + waited)
		return a.outcome, nil
	}
	err := a.run(ctx)
	return a.outcome, err
}

// Deadline is when a step times out.
func (r *Runner) Deadline(record *v1alpha1.Record, step *v1alpha1.RenderedStep) time.Time {
	for i := range record.Status.Steps {
		if record.Status.Steps[i].Name == step.Name {
			return r.deadlineOf(record, step, &record.Status.Steps[i])
		}
	}
	return r.deadlineOf(record, step, &v1alpha1.StepStatus{})
}

func (r *Runner) deadlineOf(record *v1alpha1.Record, step *v1alpha1.RenderedStep, status *v1alpha1.StepStatus) time.Time {
	whole, err := record.Spec.Timeout.Value(defaultTimeout)
	if err != nil {
		whole = defaultTimeout
	}
	end := record.Spec.ClaimedAt.Add(whole)
	own, err := step.Timeout.Value(0)
	if err == nil && own > 0 && status.StartedAt != nil && status.StartedAt.Add(own).Before(end) {
		return status.StartedAt.Add(own)
	}
	return end
}

// run writes what is to be written, and then looks whether waiting is over.
func (a *attempt) run(ctx context.Context) error {
	written := a.outcome.Status.Basis == basisWritten
	var objects []*unstructured.Unstructured
	for i := range a.step.Writes {
		write := &a.step.Writes[i]
		resource, err := a.clients.Resource(a.record.Spec.ActionRef.Namespace, a.record.Spec.ServiceAccountName, &write.Object)
		if err != nil {
			return a.explain(write, err)
		}
		if write.Operation == v1alpha1.WriteCreateJob {
			return a.job(ctx, resource, write)
		}
		if write.Operation == v1alpha1.WriteJSONPatch && !written {
			done, err := a.patchOnce(ctx, resource, write)
			if err != nil || !done {
				return err
			}
			written = true
		}
		object, err := a.write(ctx, resource, write, written)
		if err != nil {
			return a.explain(write, err)
		}
		objects = append(objects, object)
	}
	return a.await(ctx, objects)
}

// basisWritten marks a step whose objects have all been written and that only waits.
const basisWritten = "written"

// write sends one write, or reads the object where it was sent before. Sent again, these writes change nothing.
func (a *attempt) write(ctx context.Context, resource dynamic.ResourceInterface, w *v1alpha1.RenderedWrite, written bool) (*unstructured.Unstructured, error) {
	if written {
		return resource.Get(ctx, w.Object.Name, metav1.GetOptions{})
	}
	options := metav1.PatchOptions{FieldManager: w.FieldManager}
	kind, ok := patchTypes[w.Operation]
	if !ok {
		return nil, fmt.Errorf("operation %q is not known to this version of Signoff", w.Operation)
	}
	if w.Operation == v1alpha1.WriteApply {
		options.Force = new(w.Conflicts == v1alpha1.ConflictsTake)
	}
	return resource.Patch(ctx, w.Object.Name, kind, w.Body.Raw, options)
}

// explain decides whether an error is worth another try. Where not, the step failed, and the message says what to do.
func (a *attempt) explain(w *v1alpha1.RenderedWrite, err error) error {
	if transient(err) {
		return err
	}
	message := err.Error()
	switch {
	case apierrors.IsForbidden(err):
		message += fmt.Sprintf(". Grant it to ServiceAccount %s/%s, then ask again", a.record.Spec.ActionRef.Namespace, a.record.Spec.ServiceAccountName)
	case apierrors.IsConflict(err):
		message += `. Another field manager owns it: agree on one owner, or set apply.conflicts to Take in the Action`
	case apierrors.IsNotFound(err):
		message += fmt.Sprintf(". There is nothing to %s", w.Operation)
	}
	a.failed(message)
	return nil
}

// transient tells errors that may go away by themselves.
func transient(err error) bool {
	if meta.IsNoMatchError(err) {
		return false
	}
	status, ok := err.(apierrors.APIStatus) //nolint:errorlint // wrapped errors of the API server are found below
	if !ok {
		var found *apierrors.StatusError
		if !asStatus(err, &found) {
			return true
		}
		status = found
	}
	code := status.Status().Code
	return apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || code >= 500
}

func (a *attempt) failed(message string) {
	a.outcome.Status.State = v1alpha1.StepFailed
	a.finish(message)
}

func (a *attempt) done(message string) {
	a.outcome.Status.State = v1alpha1.StepDone
	a.finish(message)
}

func (a *attempt) finish(message string) {
	a.outcome.Status.Message = cut(message)
	a.outcome.Status.FinishedAt = new(metav1.NewTime(a.clock.Now()))
	a.outcome.Waiting, a.outcome.Intent = nil, false
}

func cut(message string) string {
	runes := []rune(message)
	if len(runes) > maxMessage {
		return string(runes[:maxMessage]) + "…"
	}
	return message
}
