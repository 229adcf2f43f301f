package steps

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// job is a Job that is about to be written.
type job struct {
	namespace string
	// from is the object whose pod was copied, as "Kind namespace/name". Empty with a template.
	from string
	// container is that of the step. Empty: the first one.
	container string
	// labels and annotations are those of the pod.
	labels, annotations map[string]any
	// pod is the spec of the pod.
	pod map[string]any
	// late are the places in the Job that are filled in later.
	late []v1alpha1.LateValue
}

// forget drops late values in places that are replaced.
func (j *job) forget(places ...[]string) {
	for _, place := range places {
		under := pointer(place) + "/"
		j.late = slices.DeleteFunc(j.late, func(l v1alpha1.LateValue) bool { return strings.HasPrefix(l.Path, under) })
	}
}

// templated makes the Job of a step with a pod template.
func (w *jobWriter) templated(ctx context.Context, r rendering) (*job, error) {
	namespace, err := renderNamespace(ctx, r.Input, w.namespace)
	if err != nil {
		return nil, fmt.Errorf("job.%w", err)
	}
	object, late, err := w.template.render(ctx, r.Input, "spec", "template")
	if err != nil {
		return nil, fmt.Errorf("job.template: %w", err)
	}
	pod, ok := object["spec"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("job.template.spec: must be an object")
	}
	if name := serviceAccountField(pod); name != "" {
		return nil, fmt.Errorf("job.template.spec.%s: a template may not name a ServiceAccount", name)
	}
	if namespace == r.Namespace {
		pod["serviceAccountName"] = r.serviceAccount
	}
	metadata, _ := object["metadata"].(map[string]any)
	out := &job{namespace: namespace, pod: pod, late: late}
	if names := containerNames(pod); len(names) > 0 && names[0] != w.container {
		out.container = w.container
	}
	for name, into := range map[string]*map[string]any{"labels": &out.labels, "annotations": &out.annotations} {
		var ok bool
		if *into, ok = metadata[name].(map[string]any); !ok && metadata[name] != nil {
			return nil, fmt.Errorf("job.template.metadata.%s: must be an object", name)
		}
	}
	return out, nil
}

// object is the Job as it is sent. It never starts a second pod for a failed one.
func (j *job) object(r rendering, deadline time.Duration) map[string]any {
	j.pod["restartPolicy"] = "Never"
	own := r.jobLabels()
	labels := map[string]any{}
	maps.Copy(labels, j.labels)
	maps.Copy(labels, own)
	podMetadata := map[string]any{"labels": labels}
	if len(j.annotations) > 0 {
		podMetadata["annotations"] = j.annotations
	}
	metadata := map[string]any{"name": r.jobName(), "namespace": j.namespace, "labels": own}
	if j.from != "" {
		metadata["annotations"] = map[string]any{AnnotationPodFrom: j.from}
	}
	if j.container != "" { // a copied pod has no other one
		metadata["annotations"] = map[string]any{AnnotationContainer: j.container}
	}
	return map[string]any{
		"apiVersion": "batch/v1",
		"kind":       "Job",
		"metadata":   metadata,
		"spec": map[string]any{
			"backoffLimit":          int64(0),
			"activeDeadlineSeconds": max(int64(deadline/time.Second), 1),
			"template":              map[string]any{"metadata": podMetadata, "spec": j.pod},
		},
	}
}

// jobLabels are the labels of the Job itself.
func (r rendering) jobLabels() map[string]any {
	return map[string]any{v1alpha1.LabelRequestUID: r.RequestUID, v1alpha1.LabelStep: r.step}
}
