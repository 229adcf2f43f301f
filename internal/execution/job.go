package execution

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/compare"
)

// job creates the Job of the step once and waits until it has ended. Its name is the same for one request and step, so that it
// cannot be created twice; once its uid is stored, a Job that is gone is never created again.
func (t *task) job(ctx context.Context) (Outcome, error) {
	if len(t.step.Writes) != 1 {
		return t.fail("a step with a Job can create one Job only"), nil
	}
	for _, created := range []string{basisJob, basisWritten} {
		if uid, known := t.basis(created); known {
			return t.observe(ctx, uid)
		}
	}
	switch job, err := t.unnoted(ctx); {
	case job != nil:
		return t.adopt(job), nil
	case t.expired():
		return t.jobTooLate(err), nil
	}
	t.repeat = true // nothing runs
	return t.create(ctx)
}

func (t *task) create(ctx context.Context) (Outcome, error) {
	w := &t.step.Writes[0]
	wanted := &unstructured.Unstructured{}
	if err := wanted.UnmarshalJSON(w.Body.Raw); err != nil {
		return t.fail("%s", explain(doing(w), err)), nil
	}
	job, err := t.sending(func() (*unstructured.Unstructured, error) { return t.createAs(ctx, w, wanted) })
	if apierrors.IsAlreadyExists(err) {
		job, err = t.get(ctx, w.Object)
		switch {
		case err == nil && !t.marked(job):
			return t.fail("failed to %s: there is a Job of that name already, which this request did not create; delete it and make a new request", doing(w)), nil
		case err == nil && !runsSame(job, wanted):
			return t.fail("failed to %s: %v. It is not taken over, and may be running: kubectl get -n %s job/%s -o yaml", doing(w), errAltered, w.Object.Namespace, w.Object.Name), nil
		}
	}
	if err != nil {
		return t.failed(doing(w), err)
	}
	return t.adopt(job), nil
}

// adopt notes which Job is that of the step, and waits for it.
func (t *task) adopt(job *unstructured.Unstructured) Outcome {
	t.status.Basis = basisJob + string(job.GetUID())
	out := t.waiting("waiting for " + describe(t.step.Writes[0].Object) + " to end")
	out.Intent = true
	return out
}

// errAltered is about a Job of which nobody knows whose it is. What was sent may run in it, so nobody may say that nothing does.
const errAltered = final("a Job of that name has the labels of this step, and is not as the step has it: an admission policy or a webhook has changed it on the way, or somebody else has made it")

// marked tells whether a Job has the labels of this step, so that an earlier try can have created it.
func (t *task) marked(job *unstructured.Unstructured) bool {
	labels := job.GetLabels()
	return labels[v1alpha1.LabelRequestUID] == string(t.record.Spec.RequestRef.UID) && labels[v1alpha1.LabelStep] == t.step.Name
}

// runsSame tells whether a Job runs what was wanted.
func runsSame(job, wanted *unstructured.Unstructured) bool { return fits(podOf(job), podOf(wanted)) }

// podOf is the pod of a Job, written as the API server writes it: 1000m is 1, and what is empty is left out.
func podOf(job *unstructured.Unstructured) any {
	if decoded, err := typed(job); err == nil {
		if pod, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&decoded.Spec.Template.Spec); err == nil {
			return pod
		}
	}
	pod, _, _ := unstructured.NestedFieldNoCopy(job.Object, "spec", "template", "spec")
	return pod
}

// fits tells whether a pod, or a part of it, is what was wanted, but for fields that nobody wrote and the API server fills in. A list has no
// more elements than were wanted.
func fits(got, wanted any) bool {
	switch w := wanted.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		for key := range w {
			ok = ok && fits(g[key], w[key])
		}
		return ok && !adds(g, w)
	case []any:
		g, ok := got.([]any)
		return ok && slices.EqualFunc(g, w, fits)
	}
	return compare.Same(got, wanted)
}

// adds tells whether a pod runs, mounts or is told something that was not wanted at all. The API server fills in none of these.
func adds(got, wanted map[string]any) bool {
	return slices.ContainsFunc([]string{"initContainers", "ephemeralContainers", "volumes", "volumeMounts", "env", "envFrom", "command", "args", "lifecycle"}, func(field string) bool {
		_, there := got[field]
		_, meant := wanted[field]
		return there && !meant
	})
}

// RunningJob names the Job of a step that has begun and is not known to have ended. Nil: there is none.
func RunningJob(step *v1alpha1.RenderedStep, status *v1alpha1.StepStatus) *v1alpha1.ObjectReference {
	if status.State != v1alpha1.StepStarted || !strings.HasPrefix(status.Basis, basisJob) || len(step.Writes) == 0 {
		return nil
	}
	w := step.Writes[0].DeepCopy()
	if status.Attempts > 0 {
		w.Object.Name = nameOf(w, status.Attempts)
	}
	return &w.Object
}

// jobEnded tells whether it is known how the Job ended.
func (t *task) jobEnded() bool {
	_, seen := t.basis(basisWritten)
	return seen
}

// observe looks how the Job is doing.
func (t *task) observe(ctx context.Context, uid string) (Outcome, error) {
	w := &t.step.Writes[0]
	live, err := t.get(ctx, w.Object)
	switch {
	case err != nil:
		return t.unobserved(err)
	case string(live.GetUID()) != uid:
		return t.fail("%s was replaced by another one; it is not created again", describe(w.Object)), nil
	}
	job, err := typed(live)
	if err != nil {
		return t.failed("read "+describe(w.Object), err)
	}
	if failed, complete := conditionOf(job, batchv1.JobFailed), conditionOf(job, batchv1.JobComplete); failed != nil || complete != nil {
		return t.ended(ctx, job, failed)
	}
	if _, err := t.failing(ctx, live); err != nil {
		return t.fail("%s: %v; it may still be running: kubectl delete -n %s job/%s", describe(w.Object), err, w.Object.Namespace, w.Object.Name), nil
	}
	if t.expired() {
		return t.fail("%s did not end within %s; it may still be running: kubectl delete -n %s job/%s", describe(w.Object), t.limit.name, w.Object.Namespace, w.Object.Name), nil
	}
	return t.waiting(fmt.Sprintf("waiting for %s to end", describe(w.Object))), nil
}

// unobserved is about a Job that could not be read. It may run: that it cannot be seen at the moment ends nothing, also once its time is over.
func (t *task) unobserved(err error) (Outcome, error) {
	object := describe(t.step.Writes[0].Object)
	switch {
	case apierrors.IsNotFound(err) && t.jobEnded():
		return t.fail("%s has ended, and was deleted before what the step waits for was seen", object), nil
	case apierrors.IsNotFound(err):
		return t.fail("%s was deleted before its end was seen; it is not created again. Look at what it has done, and make a new request if needed", object), nil
	case isTransient(err):
		return t.again("read "+object, err)
	}
	return t.failed("read "+object, err)
}

// ended goes on once a Job has ended. Failed is nil where it is complete.
func (t *task) ended(ctx context.Context, job *batchv1.Job, failed *batchv1.JobCondition) (Outcome, error) {
	w := &t.step.Writes[0]
	if t.jobEnded() {
		return t.await(ctx) // how it ended is known, and its pod may be gone by now
	}
	if err := t.look(ctx, job); err != nil {
		if !t.expired() && t.now.Before(endOf(job).Add(lookFor)) {
			return t.failed("look how "+describe(w.Object)+" ended", err)
		}
		t.goOnUnseen(err)
	}
	if failed == nil {
		t.status.Basis = basisWritten + string(job.UID)
		return t.await(ctx)
	}
	t.repeat = true // it is over, and another one can begin
	return t.giveUp("%s failed: %s: %s%s. See: kubectl logs -n %s job/%s", describe(w.Object), failed.Reason, failed.Message, t.ending(), w.Object.Namespace, w.Object.Name), nil
}

// lookFor is how long it is tried, after a Job has ended, to look how: that nobody can see its log is no reason to fail what is done.
const lookFor = 30 * time.Second

// endOf is when a Job ended, as it says itself.
func endOf(job *batchv1.Job) time.Time {
	var last time.Time
	for _, kind := range []batchv1.JobConditionType{batchv1.JobFailed, batchv1.JobComplete} {
		if c := conditionOf(job, kind); c != nil && c.LastTransitionTime.After(last) {
			last = c.LastTransitionTime.Time
		}
	}
	return last
}

func typed(live *unstructured.Unstructured) (*batchv1.Job, error) {
	job := &batchv1.Job{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, job); err != nil {
		return nil, fmt.Errorf("failed to decode the Job: %w", err)
	}
	return job, nil
}

// conditionOf finds a condition that is True.
func conditionOf(job *batchv1.Job, kind batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		if c := &job.Status.Conditions[i]; c.Type == kind && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}
