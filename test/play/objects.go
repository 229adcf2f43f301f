package play

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
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
