package play

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
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
