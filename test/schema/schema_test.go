package schema

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// node is one place in the schema of a kind.
type node struct {
	// path names the place, such as "spec.rules[].name".
	path string
	// property is the last name in path; "" for elements of lists and values of maps.
	property string
	schema   *apiextensionsv1.JSONSchemaProps
}

func loadCRD(t *testing.T, kind string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(crdDirectory, "signoff.dev_"+kinds[kind]+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(raw, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func loadSchema(t *testing.T, kind string) *apiextensionsv1.JSONSchemaProps {
	t.Helper()
	return loadCRD(t, kind).Spec.Versions[0].Schema.OpenAPIV3Schema
}

// walk lists every place of a schema, parents first, in a stable order.
func walk(root node) []node {
	out := []node{root}
	for _, name := range sortedKeys(root.schema.Properties) {
		property := root.schema.Properties[name]
		out = append(out, walk(node{path: join(root.path, name), property: name, schema: &property})...)
	}
	if items := root.schema.Items; items != nil && items.Schema != nil {
		out = append(out, walk(node{path: root.path + "[]", schema: items.Schema})...)
	}
	if values := root.schema.AdditionalProperties; values != nil && values.Schema != nil {
		out = append(out, walk(node{path: root.path + "{}", schema: values.Schema})...)
	}
	return out
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// preserves tells whether a place takes whatever it is given.
func preserves(schema *apiextensionsv1.JSONSchemaProps) bool {
	return schema.XPreserveUnknownFields != nil && *schema.XPreserveUnknownFields
}
