package play

import (
	"context"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/seal"
	"github.com/signoff-dev/signoff/test/env"
)

// Apply applies objects as an administrator would.
func (p *Play) Apply(t testing.TB, text string) {
	t.Helper()
	if err := p.Cluster.Apply(t.Context(), []byte(flow(text))); err != nil {
		t.Fatal(err)
	}
}

// Object reads one object.
func Object(t testing.TB, text string) client.Object {
	t.Helper()
	out := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(flow(text)), &out.Object); err != nil {
		t.Fatal(err)
	}
	return out
}

// AppendTo is a Deployment without Pods to whose arguments, of which it has one, a step appends: how often it did can be counted.
func AppendTo(namespace, name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: appsv1.DeploymentSpec{Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry/app:1", Args: []string{"first"}}}},
		}},
	}
}

// flow makes YAML of a text that is indented as Go is.
func flow(text string) string { return strings.ReplaceAll(text, "\t", " ") }

// PublicKeys are those that anybody may read.
func PublicKeys(c client.Client) (*seal.Keyring, error) {
	published := &corev1.ConfigMap{}
	key := types.NamespacedName{Namespace: env.SystemNamespace, Name: keys.DocumentName}
	if err := c.Get(context.Background(), key, published); err != nil {
		return nil, fmt.Errorf("failed to read the public keys: %w", err)
	}
	document, err := keys.ParseDocument([]byte(published.Data[keys.DocumentKey]))
	if err != nil {
		return nil, fmt.Errorf("failed to parse the public keys: %w", err)
	}
	return document.Keyring()
}
