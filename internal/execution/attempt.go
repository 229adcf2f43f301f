package execution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/steps"
)

const (
	// firstPause and lastPause bound the pauses between attempts; each is twice as long as the one before.
	firstPause = 10 * time.Second
	lastPause  = 5 * time.Minute
)

// giveUp ends the attempt. Where another one is allowed, and safe, it begins after a pause; else the step has failed.
func (t *task) giveUp(format string, args ...any) Outcome {
	if !t.repeat || t.status.Attempts >= t.step.Retries || t.expired() {
		return t.fail(format, args...)
	}
	at := t.now.Add(min(firstPause<<t.status.Attempts, lastPause)).Truncate(time.Second)
	if t.notBefore.After(at) {
		at = t.notBefore.Add(time.Second - 1).Truncate(time.Second)
	}
	if !at.Before(t.limit.end) {
		return t.fail("%s. Another attempt would come at %s, when %s is over", fmt.Sprintf(format, args...), moment(at), t.limit.name)
	}
	t.status.Attempts++
	t.status.RetryAt, t.status.Basis = &metav1.Time{Time: at}, ""
	t.status.Message = oneLine(fmt.Sprintf("attempt %d of %d comes at %s, since the last one failed: %s",
		t.status.Attempts+1, t.step.Retries+1, moment(at), fmt.Sprintf(format, args...)))
	return Outcome{Status: t.status, At: at}
}

// moment writes a time as people need it: an attempt can come on another day.
func moment(at time.Time) string { return at.UTC().Format("2 Jan 15:04:05 MST") }

// orStatus gives what came of an attempt; nothing came of one that met an error.
func (t *task) orStatus(out *Outcome) Outcome {
	if out == nil {
		return Outcome{Status: t.status}
	}
	return *out
}

// pause waits until the next attempt.
func (t *task) pause(context.Context) (*Outcome, error) {
	at := t.status.RetryAt
	switch {
	case at == nil:
		return nil, nil //nolint:nilnil // no outcome yet
	case t.expired() && !t.doubtful():
		out := t.fail("%s; %s is over", t.status.Message, t.limit.name)
		return &out, nil
	case t.now.Before(at.Time):
		return &Outcome{Status: t.status, At: at.Time}, nil
	}
	t.status.RetryAt = nil
	return nil, nil //nolint:nilnil // no outcome yet
}

// reached judges, once, whether the step is to run. That it is must be stored before it does anything: what it does may change the answer.
func (t *task) reached(ctx context.Context) (*Outcome, error) {
	if t.step.When == "" || t.status.Basis != "" || t.status.Attempts > 0 {
		return nil, nil //nolint:nilnil // no outcome yet
	}
	program, vars, err := t.condition()
	if err != nil {
		out := t.fail("cannot tell whether the step is to run: %v", err)
		return &out, nil
	}
	if program.Uses("object") {
		if steps.OnSecret(t.step) {
			out := t.fail("cannot tell whether the step is to run: %v", errSecret)
			return &out, nil
		}
		if vars.Values["object"], err = t.object(ctx); err != nil {
			out, err := t.failed("read "+describe(t.step.Writes[0].Object), err)
			return &out, err
		}
	}
	out, err := t.whether(ctx, program, vars)
	return &out, err
}

// whether judges whether the step is to run.
func (t *task) whether(ctx context.Context, program *expression.Program, vars expression.Vars) (Outcome, error) {
	holds, err := program.EvalBool(ctx, vars, t.share())
	var out Outcome
	switch {
	case expression.Later(err):
		return t.failed("tell whether the step is to run", err)
	case err != nil:
		out = t.fail("cannot tell whether the step is to run: %v", expression.WithoutValues(err))
	case !holds:
		out = t.end(v1alpha1.StepSkipped, oneLine(fmt.Sprintf("%q gave false", t.step.When)))
	default:
		t.status.Basis = basisReached
		out = Outcome{Status: t.status, Intent: true}
	}
	return out, nil
}

// errSecret says that a condition or an output would tell what is in a Secret.
var errSecret = errors.New("it would read what is in a Secret, which neither conditions nor outputs do")

// noSecret refuses to read a Secret for a condition or an output. Actions that do are refused when they are written; a Record can be older.
func (t *task) noSecret(context.Context) (*Outcome, error) {
	waits := t.step.WaitFor != nil && t.step.WaitFor.Expression != ""
	if !steps.OnSecret(t.step) || !waits && t.step.FailWhen == "" && len(t.step.Outputs) == 0 {
		return nil, nil //nolint:nilnil // no outcome yet
	}
	out := t.fail("the step cannot run: %v", errSecret)
	return &out, nil
}

// condition compiles when, and gives what it reads of the request and of earlier steps.
func (t *task) condition() (*expression.Program, expression.Vars, error) {
	vars := expression.Vars{Now: t.now}
	earlier, err := t.before()
	if err != nil {
		return nil, vars, err
	}
	var program *expression.Program
	program, vars.Values, err = earlier.When(t.step.When, t.record.Spec.Variables)
	return program, vars, err
}

// object is the one object that the step writes, as it is now, or nil.
func (t *task) object(ctx context.Context) (any, error) {
	live, err := t.get(ctx, t.step.Writes[0].Object)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return live.Object, nil
}

// before is what the steps before gave.
func (t *task) before() (*steps.Earlier, error) {
	if t.earlier != nil {
		return t.earlier, nil
	}
	before, statuses := steps.AfterPlan(t.record.Spec.Planned)
	for _, step := range slices.Concat(t.record.Spec.Steps, t.record.Spec.Finally) {
		if step.Name == t.step.Name {
			break
		}
		before = append(before, step)
	}
	outcome := v1alpha1.Outcome("")
	if ending := t.record.Status.Ending; ending != nil {
		outcome = ending.Outcome
	}
	var err error
	t.earlier, err = steps.NewEarlier(before, append(statuses, t.record.Status.Steps...), outcome)
	return t.earlier, err
}

// fillIn completes what the step writes: outputs of earlier steps, and the number of the attempt in the name of a Job.
func (t *task) fillIn(ctx context.Context) (*Outcome, error) {
	if steps.IsLate(t.step) {
		earlier, err := t.before()
		if err == nil {
			filled, failed := earlier.FillIn(ctx, t.step, t.share())
			if err = failed; err == nil {
				t.step = filled
			}
		}
		if expression.Later(err) {
			out, err := t.failed("fill in what earlier steps gave", err)
			return &out, err
		}
		if err != nil {
			out := t.fail("%v", err)
			return &out, nil
		}
	}
	if t.status.Attempts == 0 || t.step.HTTP != nil || t.step.Writes[0].Operation != v1alpha1.WriteCreateJob {
		return nil, nil //nolint:nilnil // no outcome yet
	}
	t.step = t.step.DeepCopy()
	if err := number(&t.step.Writes[0], t.status.Attempts); err != nil {
		out := t.fail("%v", err)
		return &out, nil
	}
	return nil, nil //nolint:nilnil // no outcome yet
}

// nameOf is the name of the Job of a further attempt.
func nameOf(w *v1alpha1.RenderedWrite, failed int32) string {
	return fmt.Sprintf("%s-%d", w.Object.Name, failed+1)
}

// number gives the Job of a further attempt a name of its own: the Job before stays, for its log.
func number(w *v1alpha1.RenderedWrite, failed int32) error {
	job := &unstructured.Unstructured{}
	if err := job.UnmarshalJSON(w.Body.Raw); err != nil {
		return fmt.Errorf("failed to read the Job: %w", err)
	}
	w.Object.Name = nameOf(w, failed)
	job.SetName(w.Object.Name)
	raw, err := json.Marshal(job.Object)
	if err != nil {
		return fmt.Errorf("failed to encode the Job: %w", err)
	}
	w.Body.Raw = raw
	return nil
}

// complete ends a step whose objects are as they should be, with what it gives to those after it. Object is nil where nobody has read it.
func (t *task) complete(ctx context.Context, object *unstructured.Unstructured) (Outcome, error) {
	if len(t.step.Outputs) == 0 {
		return t.done(), nil
	}
	if object == nil {
		var err error
		if object, err = t.get(ctx, t.step.Writes[0].Object); err != nil {
			return t.failed("read "+describe(t.step.Writes[0].Object), err)
		}
	}
	return t.gives(ctx, map[string]any{"object": object.Object, "job": t.jobVar()})
}

// gives ends a step with the outputs that it makes of something.
func (t *task) gives(ctx context.Context, of map[string]any) (Outcome, error) {
	outputs, err := steps.Evaluate(ctx, t.step, expression.Vars{Values: of, Now: t.now}, t.share())
	switch {
	case expression.Later(err):
		return t.failed("tell what the step gives", err)
	case err != nil:
		return t.fail("the step did what it had to, but what it gives is not as declared: %v", errors.Join(err, t.notSeen())), nil
	}
	t.status.Outputs = outputs
	return t.done(), nil
}

// notSeen is what could not be looked at of how a Job ended, as an error. Nil: everything was.
func (t *task) notSeen() error {
	if t.unseen == "" {
		return nil
	}
	return final(t.unseen)
}
