package podrunner

import (
	"context"
	"errors"
	"fmt"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var errVolume = errors.New("this node knows emptyDir, secret, configMap and projected volumes only")

// files are what is in a volume, by name.
type files map[string][]byte

// volume gives the files of a volume of the Pod.
func (n *Node) volume(ctx context.Context, pod *corev1.Pod, name string) (files, error) {
	at := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == name })
	if at < 0 {
		return nil, errVolume
	}
	switch v := &pod.Spec.Volumes[at]; {
	case v.EmptyDir != nil:
		return files{}, nil
	case v.Secret != nil:
		return n.secret(ctx, pod.Namespace, v.Secret.SecretName, v.Secret.Items)
	case v.ConfigMap != nil:
		return n.configMap(ctx, pod.Namespace, v.ConfigMap.Name, v.ConfigMap.Items)
	case v.Projected != nil:
		return n.projected(ctx, pod, v.Projected)
	}
	return nil, errVolume
}

// projected puts several sources together. The token of the ServiceAccount comes so.
func (n *Node) projected(ctx context.Context, pod *corev1.Pod, v *corev1.ProjectedVolumeSource) (files, error) {
	all := files{}
	for i := range v.Sources {
		some, err := n.source(ctx, pod, &v.Sources[i])
		if err != nil {
			return nil, err
		}
		for name, content := range some {
			all[name] = content
		}
	}
	return all, nil
}

func (n *Node) source(ctx context.Context, pod *corev1.Pod, s *corev1.VolumeProjection) (files, error) {
	switch {
	case s.Secret != nil:
		return n.secret(ctx, pod.Namespace, s.Secret.Name, s.Secret.Items)
	case s.ConfigMap != nil:
		return n.configMap(ctx, pod.Namespace, s.ConfigMap.Name, s.ConfigMap.Items)
	case s.ServiceAccountToken != nil:
		token, err := n.token(ctx, pod, s.ServiceAccountToken)
		return files{s.ServiceAccountToken.Path: token}, err
	case s.DownwardAPI != nil:
		out := files{}
		for _, item := range s.DownwardAPI.Items {
			value, err := field(pod, item.FieldRef)
			if err != nil {
				return nil, err
			}
			out[item.Path] = []byte(value)
		}
		return out, nil
	}
	return nil, errVolume
}

// token is one of the Pod's ServiceAccount, which ends with the Pod.
func (n *Node) token(ctx context.Context, pod *corev1.Pod, p *corev1.ServiceAccountTokenProjection) ([]byte, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: p.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if p.Audience != "" {
		request.Spec.Audiences = []string{p.Audience}
	}
	token, err := n.clients.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, pod.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("failed to get a token for ServiceAccount %s/%s: %w", pod.Namespace, pod.Spec.ServiceAccountName, err)
	}
	return []byte(token.Status.Token), nil
}

func (n *Node) secret(ctx context.Context, namespace, name string, items []corev1.KeyToPath) (files, error) {
	secret, err := n.clients.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("failed to read Secret %s/%s: %w", namespace, name, err)
	}
	return chosen(secret.Data, items)
}

func (n *Node) configMap(ctx context.Context, namespace, name string, items []corev1.KeyToPath) (files, error) {
	config, err := n.clients.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("failed to read ConfigMap %s/%s: %w", namespace, name, err)
	}
	all := files{}
	for key, value := range config.BinaryData {
		all[key] = value
	}
	for key, value := range config.Data {
		all[key] = []byte(value)
	}
	return chosen(all, items)
}

// chosen gives all keys, or those that are listed, at their paths.
func chosen(all files, items []corev1.KeyToPath) (files, error) {
	if len(items) == 0 {
		return all, nil
	}
	out := files{}
	for _, item := range items {
		content, there := all[item.Key]
		if !there {
			return nil, fmt.Errorf("there is no key %q", item.Key)
		}
		out[item.Path] = content
	}
	return out, nil
}
