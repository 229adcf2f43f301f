package execution

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// What can be sent as often as one likes is sent first, and stored afterwards: a write and a Job cost one write to the Record, not two. So where the
// process ends in between, or has no answer, the Record says nothing of what was done. Whoever goes on sends it again. But where nothing is sent any
// more, since the time is over or somebody has cancelled, nobody may say then that nothing was done, and a Job that runs is looked for.

// attempt is one attempt of a step. The zero value is none.
type attempt struct {
	step   string
	number int32
}

// doubt is the last attempt of which something was sent, or may have been, and of which the Record says nothing. The zero value is none.
type doubt struct {
	attempt
	// answered says that this process knows what became of all that was sent.
	answered bool
}

// doubtKey names a Record in memory. One that was made again under its name is another one.
type doubtKey struct {
	record string
	uid    types.UID
}

func keyOf(record *v1alpha1.Record) doubtKey {
	return doubtKey{record.Name, record.Spec.RequestRef.UID}
}

// Claimed notes that this process has created the Record, so that nobody has begun any of its steps.
func (r *Runner) Claimed(record *v1alpha1.Record) { r.doubts.Add(keyOf(record), doubt{}) }

// Doubtful tells whether a step may have done something of which the Record says nothing.
func (r *Runner) Doubtful(record *v1alpha1.Record, step *v1alpha1.RenderedStep, status v1alpha1.StepStatus) bool {
	t := r.newTask(record, step, status)
	return t.doubtful() || t.patchInDoubt()
}

// Stoppable tells whether a step may end here that has begun, and of which the Record says nothing that it has done: it could not be done so far. Whether it
// may have been done all the same, Doubtful says. A Job that may run is looked for first, and a call that may have been made is asked about.
func (r *Runner) Stoppable(record *v1alpha1.Record, step *v1alpha1.RenderedStep, status v1alpha1.StepStatus) bool {
	t := r.newTask(record, step, status)
	switch {
	case !began(&status) && (step.HTTP != nil || !t.doubtful()):
		return true
	case step.HTTP != nil || len(step.Writes) == 0 || Written(&status):
		return false
	case step.Writes[0].Operation == v1alpha1.WriteJSONPatch:
		_, hindered := t.isHindered()
		return hindered // else it is found out whether it was applied
	}
	return step.Writes[0].Operation != v1alpha1.WriteCreateJob
}

// Uncreated tells whether a step creates a Job of which the Record says nothing yet: whether there is one can be looked for.
func Uncreated(step *v1alpha1.RenderedStep, status *v1alpha1.StepStatus) bool {
	return step.HTTP == nil && len(step.Writes) > 0 && step.Writes[0].Operation == v1alpha1.WriteCreateJob && !began(status)
}

// began tells whether a step has said that it does something, or did.
func began(status *v1alpha1.StepStatus) bool {
	return status.Basis != "" && !strings.HasPrefix(status.Basis, basisReached)
}

// isHindered tells whether this attempt could not be done when it was tried last, and why.
func (t *task) isHindered() (why string, is bool) {
	found, known := t.hindrances.Get(hindranceKey{keyOf(t.record), t.attempt()})
	if !known {
		return "", false
	}
	return found.(hindrance).why, true //nolint:forcetypeassert // nothing else is stored
}

// patchInDoubt tells whether a JSON patch was announced, and may have been sent.
func (t *task) patchInDoubt() bool {
	_, intended := t.basis(basisIntent)
	_, unsent := t.unsent.Get(t.announcement())
	return intended && !unsent
}

// Adrift tells whether a Job of the step is there of which the Record says nothing. Then the step must go on, so that the Job is taken over.
func (r *Runner) Adrift(ctx context.Context, record *v1alpha1.Record, step *v1alpha1.RenderedStep, status v1alpha1.StepStatus) (bool, error) {
	t := r.newTask(record, step, status)
	if !t.doubtful() || step.Writes[0].Operation != v1alpha1.WriteCreateJob {
		return false, nil
	}
	if out, err := t.fillIn(ctx); out != nil || err != nil {
		return false, err
	}
	job, err := t.unnoted(ctx)
	if err != nil && isTransient(err) {
		return false, fmt.Errorf("failed to look whether %s was created: %w", describe(t.step.Writes[0].Object), err)
	}
	return job != nil, nil
}

func (t *task) attempt() attempt { return attempt{t.step.Name, t.status.Attempts} }

// firstSight notes which attempt was next when this process first saw the Record: another one may have begun it. One that is to come later has not begun.
func (t *task) firstSight() {
	if _, known := t.doubts.Get(keyOf(t.record)); known {
		return
	}
	next := t.attempt()
	if at := t.status.RetryAt; at != nil && t.now.Before(at.Time) {
		next = attempt{}
	}
	t.doubts.Add(keyOf(t.record), doubt{attempt: next})
}

// doubt is what this process knows of what was sent.
func (t *task) doubt() doubt {
	found, _ := t.doubts.Get(keyOf(t.record))
	known, _ := found.(doubt)
	return known
}

// doubtful tells whether this attempt may have sent something of which the Record says nothing: this process has, or the one before it may have.
func (t *task) doubtful() bool {
	if t.doubt().attempt != t.attempt() || Written(&t.status) {
		return false
	}
	if t.status.Basis == "" && (t.temporary() || t.step.When != "" && t.status.Attempts == 0) {
		return false // something else is stored first
	}
	return sendsFirst(t.step)
}

// sendsFirst tells whether a step sends something before it stores that it does.
func sendsFirst(step *v1alpha1.RenderedStep) bool {
	return step.HTTP == nil && len(step.Writes) > 0 && step.Writes[0].Operation != v1alpha1.WriteJSONPatch
}

// sending sends something of which the Record says nothing yet. What the API server refuses it has not done.
func (t *task) sending(send func() (*unstructured.Unstructured, error)) (*unstructured.Unstructured, error) {
	before := t.doubtful()
	known := !before || t.doubt().answered
	t.doubts.Add(keyOf(t.record), doubt{attempt: t.attempt()})
	object, err := send()
	refused := isRejection(err) || unadmitted(err)
	switch {
	case refused && !before:
		t.doubts.Add(keyOf(t.record), doubt{})
	case refused || err == nil:
		t.doubts.Add(keyOf(t.record), doubt{t.attempt(), known})
	}
	return object, err
}

// unnoted gives the Job of this attempt of which the Record says nothing. Nil: there is none. One that may be it, and is not as it was sent, stays in doubt.
func (t *task) unnoted(ctx context.Context) (*unstructured.Unstructured, error) {
	if !t.doubtful() {
		return nil, nil //nolint:nilnil // no Job is an answer, not an error
	}
	w := &t.step.Writes[0]
	wanted := &unstructured.Unstructured{}
	if err := wanted.UnmarshalJSON(w.Body.Raw); err != nil {
		return nil, final(err.Error())
	}
	job, err := t.get(ctx, w.Object)
	switch {
	case apierrors.IsNotFound(err), err == nil && !t.marked(job):
		t.doubts.Add(keyOf(t.record), doubt{})
		return nil, nil //nolint:nilnil // as above
	case err != nil:
		return nil, err
	case !runsSame(job, wanted):
		return nil, errAltered
	}
	return job, nil
}

// tooLate ends a step whose time was over before the Record could say that it did what it does.
func (t *task) tooLate(done string) Outcome {
	why, hindered := t.isHindered()
	switch {
	case !t.doubtful() && hindered:
		return t.fail("nothing was %s: %s; %s is over", done, why, t.limit.name)
	case !t.doubtful():
		return t.fail("nothing was %s: %s was over before the step could begin", done, t.limit.name)
	case !hindered:
		why = "sending it was interrupted"
	}
	var objects []string
	for i := range t.step.Writes {
		objects = append(objects, describe(t.step.Writes[i].Object))
	}
	return t.fail("%s is over, and it cannot be told whether anything was %s: %s. Look at %s", t.limit.name, done, why, strings.Join(objects, ", "))
}

// jobTooLate ends a step whose time was over before its Job could be created. Problem is why it cannot be told whether it was.
func (t *task) jobTooLate(problem error) Outcome {
	object := t.step.Writes[0].Object
	switch {
	case problem != nil:
		why := problem.Error()
		if !errors.Is(problem, errAltered) {
			why = explain("read it", problem)
		}
		return t.fail("%s is over, and it cannot be told whether %s was created: %s. It may be running: kubectl get -n %s job/%s",
			t.limit.name, describe(object), why, object.Namespace, object.Name)
	case t.status.Attempts > 0:
		return t.fail("%s; %s is over", t.status.Message, t.limit.name)
	}
	return t.fail("nothing was started: %s was over before the Job could be created", t.limit.name)
}
