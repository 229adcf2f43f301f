package steps

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// podPaths says where the kinds whose pod can be copied keep their pod template.
var podPaths = map[schema.GroupVersionKind][]string{
	{Group: "apps", Version: "v1", Kind: "Deployment"}:  {"spec", "template"},
	{Group: "apps", Version: "v1", Kind: "StatefulSet"}: {"spec", "template"},
	{Group: "apps", Version: "v1", Kind: "DaemonSet"}:   {"spec", "template"},
	{Group: "batch", Version: "v1", Kind: "Job"}:        {"spec", "template"},
	{Group: "batch", Version: "v1", Kind: "CronJob"}:    {"spec", "jobTemplate", "spec", "template"},
}

func podSources() []string {
	var out []string
	for kind := range podPaths {
		apiVersion, name := kind.ToAPIVersionAndKind()
		out = append(out, apiVersion+" "+name)
	}
	slices.Sort(out)
	return out
}

// podFields are the fields of a pod that its copy keeps. Left out is what ties the pod to its place among its replicas (host
// name, node, affinity and spread by labels that the copy does not have), and what is set anew.
var podFields = []string{
	"automountServiceAccountToken", "dnsConfig", "dnsPolicy", "enableServiceLinks", "hostAliases", "hostIPC", "hostNetwork",
	"hostPID", "hostUsers", "imagePullSecrets", "initContainers", "nodeSelector", "os", "overhead", "preemptionPolicy",
	"priorityClassName", "resourceClaims", "resources", "runtimeClassName", "schedulerName", "securityContext",
	"serviceAccountName", "setHostnameAsFQDN", "shareProcessNamespace", "terminationGracePeriodSeconds", "tolerations", "volumes",
}

// taskFields are the fields of the container that its copy does not keep, because they belong to a service and not to a task.
var taskFields = []string{
	"lifecycle", "livenessProbe", "ports", "readinessProbe", "restartPolicy", "restartPolicyRules", "startupProbe", "stdin",
	"stdinOnce", logsAsMessage, "tty",
}

// logsAsMessage is the field by which the end of a log can become the termination message, which the status of a request shows to whoever reads it.
const logsAsMessage = "terminationMessagePolicy"

// copied makes the Job of a step that copies a pod.
func (w *jobWriter) copied(ctx context.Context, r rendering) (*job, error) {
	ref, err := w.podFrom.render(ctx, r.Input)
	if err != nil {
		return nil, fmt.Errorf("job.podFrom.%w", err)
	}
	source := r.Objects[ref]
	if source == nil {
		return nil, fmt.Errorf("job.podFrom: %s %s/%s was not read", ref.Kind, ref.Namespace, ref.Name)
	}
	pod, annotations, err := w.copyPod(ref, source)
	if err != nil {
		return nil, fmt.Errorf("job.podFrom: %s %s/%s: %w", ref.Kind, ref.Namespace, ref.Name, err)
	}
	return &job{
		namespace:   ref.Namespace,
		from:        fmt.Sprintf("%s %s/%s", ref.Kind, ref.Namespace, ref.Name),
		annotations: annotations,
		pod:         pod,
	}, nil
}

// copyPod copies the pod with one of its containers. None of its labels is kept, since any label may be what a Service, a
// PodDisruptionBudget or the owner of the pods selects by. Init containers are kept with everything but their ports, and
// with no log as their message: they fill the volumes that the container reads, and those that never end are its sidecars, which a Job ends by itself.
func (w *jobWriter) copyPod(ref v1alpha1.ObjectReference, source *unstructured.Unstructured) (map[string]any, map[string]any, error) {
	path := podPaths[schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)]
	spec, found, err := unstructured.NestedMap(source.Object, slices.Concat(path, []string{"spec"})...)
	if err != nil || !found {
		return nil, nil, fmt.Errorf("%s: there is no pod to copy", strings.Join(path, "."))
	}
	pod := keep(spec, podFields)
	if affinity, ok := spec["affinity"].(map[string]any); ok && affinity["nodeAffinity"] != nil {
		pod["affinity"] = keep(affinity, []string{"nodeAffinity"})
	}
	container, _, err := pick(spec, w.container)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range taskFields {
		delete(container, name)
	}
	pod["containers"] = []any{container}
	dropEach(pod["initContainers"], "ports", logsAsMessage)
	dropLostMounts(pod)
	annotations, _, _ := unstructured.NestedMap(source.Object, slices.Concat(path, []string{"metadata", "annotations"})...)
	for name := range annotations {
		if strings.HasPrefix(name, "kubectl.kubernetes.io/") || strings.HasPrefix(name, "signoff.dev/") {
			delete(annotations, name)
		}
	}
	return pod, annotations, nil
}

func keep(from map[string]any, names []string) map[string]any {
	out := map[string]any{}
	for _, name := range names {
		if value, set := from[name]; set {
			out[name] = value
		}
	}
	return out
}

func dropEach(list any, fields ...string) {
	items, _ := list.([]any)
	for _, item := range items {
		if object, ok := item.(map[string]any); ok {
			for _, name := range fields {
				delete(object, name)
			}
		}
	}
}

// dropLostMounts drops mounts of volumes that the copy does not have: those of the volumeClaimTemplates of a StatefulSet, which
// belong to one replica each.
func dropLostMounts(pod map[string]any) {
	volumes := names(pod["volumes"])
	for _, list := range []string{"containers", "initContainers"} {
		items, _ := pod[list].([]any)
		for _, item := range items {
			container, _ := item.(map[string]any)
			for _, field := range []string{"volumeMounts", "volumeDevices"} {
				dropMounts(container, field, volumes)
			}
		}
	}
}

func dropMounts(container map[string]any, field string, volumes []string) {
	mounts, ok := container[field].([]any)
	if !ok {
		return
	}
	container[field] = slices.DeleteFunc(mounts, func(mount any) bool {
		object, _ := mount.(map[string]any)
		name, _ := object["name"].(string)
		return !slices.Contains(volumes, name)
	})
}

// names are the names of the items of a list.
func names(list any) []string {
	items, _ := list.([]any)
	var out []string
	for _, item := range items {
		object, _ := item.(map[string]any)
		if name, ok := object["name"].(string); ok {
			out = append(out, name)
		}
	}
	return out
}

func containerNames(spec map[string]any) []string { return names(spec["containers"]) }

// pick finds the container of that name, or the first one, and its place in the list.
func pick(spec map[string]any, name string) (map[string]any, int, error) {
	items, _ := spec["containers"].([]any)
	for i, item := range items {
		container, ok := item.(map[string]any)
		if ok && (name == "" || container["name"] == name) {
			return container, i, nil
		}
	}
	if name == "" {
		return nil, 0, fmt.Errorf("there is no container")
	}
	return nil, 0, fmt.Errorf("there is no container %q; there are: %s", cut(name), strings.Join(containerNames(spec), ", "))
}
