package execution

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// job creates a Job once and waits for its end. The name is that of the request and the step, so that a second one cannot
// exist; a Job that was seen and is gone is not made again.
func (a *attempt) job(ctx context.Context, resource dynamic.ResourceInterface, w *v1alpha1.RenderedWrite) error {
	seen := a.outcome.Status.Basis
	live, err := resource.Get(ctx, w.Object.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err) && seen != "":
		a.failed(fmt.Sprintf("Job %s/%s was created and is gone before it was seen to end. It is not run again", w.Object.Namespace, w.Object.Name))
		return nil
	case apierrors.IsNotFound(err):
		return a.createJob(ctx, resource, w)
	case err != nil:
		return a.explain(w, err)
	case !a.ours(live):
		a.failed(fmt.Sprintf("a Job %s/%s exists that this request did not create", w.Object.Namespace, w.Object.Name))
		return nil
	}
	if seen == "" {
		a.outcome.Status.Basis = string(live.GetUID())
	}
	return a.judgeJob(w, live)
}

func (a *attempt) createJob(ctx context.Context, resource dynamic.ResourceInterface, w *v1alpha1.RenderedWrite) error {
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(w.Body.Raw); err != nil {
		a.failed(fmt.Sprintf("failed to read the rendered Job: %v", err))
		return nil
	}
	created, err := resource.Create(ctx, object, metav1.CreateOptions{FieldManager: w.FieldManager})
	if err != nil {
		return a.explain(w, err)
	}
	a.outcome.Status.Basis = string(created.GetUID())
	a.wait(w, "waiting for Job "+w.Object.Namespace+"/"+w.Object.Name)
	return nil
}

func (a *attempt) ours(job *unstructured.Unstructured) bool {
	labels := job.GetLabels()
	return labels[v1alpha1.LabelRequestUID] == string(a.record.Spec.RequestRef.UID) && labels[v1alpha1.LabelStep] == a.step.Name
}

func (a *attempt) judgeJob(w *v1alpha1.RenderedWrite, live *unstructured.Unstructured) error {
	job := &batchv1.Job{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, job); err != nil {
		return fmt.Errorf("failed to read Job %s/%s: %w", w.Object.Namespace, w.Object.Name, err)
	}
	for _, condition := range job.Status.Conditions {
		if condition.Status != corev1.ConditionTrue {
			continue
		}
		switch condition.Type {
		case batchv1.JobComplete:
			a.done(fmt.Sprintf("Job %s/%s is complete", w.Object.Namespace, w.Object.Name))
			return nil
		case batchv1.JobFailed:
			a.failed(fmt.Sprintf("Job %s/%s failed: %s: %s", w.Object.Namespace, w.Object.Name, condition.Reason, condition.Message))
			return nil
		case batchv1.JobSuspended, batchv1.JobFailureTarget, batchv1.JobSuccessCriteriaMet:
		}
	}
	a.wait(w, "waiting for Job "+w.Object.Namespace+"/"+w.Object.Name)
	return nil
}

func (a *attempt) wait(w *v1alpha1.RenderedWrite, message string) {
	a.outcome.Status.Message = cut(message)
	a.outcome.Waiting = append(a.outcome.Waiting, w.Object)
}
