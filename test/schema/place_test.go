package schema

import (
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// place is a value inside a sample together with the schema that judges it.
type place struct {
	// at leads to the value: names of properties, keys of maps, and indexes of lists.
	at []any
	// node is the place in the schema, the same for all elements of a list.
	node  node
	value any
}

// places lists the first value in a sample for every place of the schema that the sample reaches.
func places(root node, value any) []place {
	seen := map[string]bool{}
	var out []place
	for _, p := range allPlaces(place{node: root, value: value}) {
		if !seen[p.node.path] {
			seen[p.node.path] = true
			out = append(out, p)
		}
	}
	return out
}

func allPlaces(root place) []place {
	out := []place{root}
	switch value := root.value.(type) {
	case map[string]any:
		for _, name := range sortedKeys(value) {
			if child, ok := childSchema(root.node.schema, name); ok {
				path := root.node.path + "{}"
				if _, property := root.node.schema.Properties[name]; property {
					path = join(root.node.path, name)
				}
				out = append(out, allPlaces(root.child(name, node{path: path, property: name, schema: child}, value[name]))...)
			}
		}
	case []any:
		for i := range value {
			if items := root.node.schema.Items; items != nil {
				out = append(out, allPlaces(root.child(i, node{path: root.node.path + "[]", schema: items.Schema}, value[i]))...)
			}
		}
	}
	return out
}

func childSchema(schema *apiextensionsv1.JSONSchemaProps, name string) (*apiextensionsv1.JSONSchemaProps, bool) {
	if property, ok := schema.Properties[name]; ok {
		return &property, true
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
		return schema.AdditionalProperties.Schema, true
	}
	return nil, false
}

func (p place) child(step any, n node, value any) place {
	at := append(append([]any{}, p.at...), step)
	return place{at: at, node: n, value: value}
}

// String is the place as the API server names it in a refusal.
func (p place) String() string {
	var out strings.Builder
	for _, step := range p.at {
		switch s := step.(type) {
		case int:
			fmt.Fprintf(&out, "[%d]", s)
		case string:
			if out.Len() > 0 {
				out.WriteString(".")
			}
			out.WriteString(s)
		}
	}
	return out.String()
}

// set replaces the value at a path; value nil removes it. The path must exist but for its last step.
func set(object any, at []any, value any) {
	for _, step := range at[:len(at)-1] {
		object = get(object, step)
	}
	last := at[len(at)-1]
	if list, ok := object.([]any); ok {
		list[as[int](last)] = value
		return
	}
	if fields := as[map[string]any](object); value == nil {
		delete(fields, as[string](last))
	} else {
		fields[as[string](last)] = value
	}
}

func get(object any, at ...any) any {
	for _, step := range at {
		switch o := object.(type) {
		case map[string]any:
			object = o[as[string](step)]
		case []any:
			object = o[as[int](step)]
		default:
			return nil
		}
	}
	return object
}
