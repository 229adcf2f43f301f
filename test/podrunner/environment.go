package podrunner

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// environment is what the container of a Pod sees: where the API server is, and what the Pod says.
func (n *Node) environment(ctx context.Context, pod *corev1.Pod) ([]string, error) {
	api, err := url.Parse(n.api.Host)
	if err != nil {
		return nil, fmt.Errorf("failed to tell where the API server is: %w", err)
	}
	out := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=" + pod.Name,
		"KUBERNETES_SERVICE_HOST=" + api.Hostname(), "KUBERNETES_SERVICE_PORT=" + api.Port(),
	}
	container := &pod.Spec.Containers[0]
	if len(container.EnvFrom) > 0 {
		return nil, fmt.Errorf("this node knows no envFrom")
	}
	for i := range container.Env {
		variable := &container.Env[i]
		value, err := n.value(ctx, pod, variable)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", variable.Name, err)
		}
		out = append(out, variable.Name+"="+value)
	}
	return out, nil
}

func (n *Node) value(ctx context.Context, pod *corev1.Pod, variable *corev1.EnvVar) (string, error) {
	from := variable.ValueFrom
	switch {
	case from == nil && strings.Contains(variable.Value, "$("):
		return "", fmt.Errorf("this node fills no $(…) in")
	case from == nil:
		return variable.Value, nil
	case from.FieldRef != nil:
		return field(pod, from.FieldRef)
	case from.SecretKeyRef != nil:
		all, err := n.secret(ctx, pod.Namespace, from.SecretKeyRef.Name, []corev1.KeyToPath{{Key: from.SecretKeyRef.Key}})
		return string(all[""]), err
	case from.ConfigMapKeyRef != nil:
		all, err := n.configMap(ctx, pod.Namespace, from.ConfigMapKeyRef.Name, []corev1.KeyToPath{{Key: from.ConfigMapKeyRef.Key}})
		return string(all[""]), err
	}
	return "", fmt.Errorf("this node knows values of fields, Secrets and ConfigMaps only")
}

// field is what a Pod knows of itself.
func field(pod *corev1.Pod, ref *corev1.ObjectFieldSelector) (string, error) {
	known := map[string]string{
		"metadata.name": pod.Name, "metadata.namespace": pod.Namespace, "metadata.uid": string(pod.UID),
		"spec.nodeName": pod.Spec.NodeName, "spec.serviceAccountName": pod.Spec.ServiceAccountName,
	}
	for key, value := range pod.Labels {
		known["metadata.labels['"+key+"']"] = value
	}
	for key, value := range pod.Annotations {
		known["metadata.annotations['"+key+"']"] = value
	}
	if ref == nil {
		return "", fmt.Errorf("a field is needed")
	}
	value, there := known[ref.FieldPath]
	if !there {
		return "", fmt.Errorf("the Pod has no field %s that this node knows", ref.FieldPath)
	}
	return value, nil
}
