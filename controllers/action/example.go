package action

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/conditions"
	"github.com/signoff-dev/signoff/internal/inputs"
)

// maxExample is what the API stores of an example.
const maxExample = 4096

// inputNames names the inputs for a column: the required ones in the order of the author, then the others.
func inputNames(schema *inputs.Schema) string {
	var names []string
	if s := schema.Structural(); s != nil && s.ValueValidation != nil {
		names = slices.Clone(s.ValueValidation.Required)
	}
	for _, name := range schema.Names() {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return conditions.Column(names, ",")
}

// example is a request for an Action as YAML, for kubectl create. It names no namespace: that is where the reader works.
func example(action *catalog.Action) string {
	values := action.Inputs.Example()
	notes := []string{"Create it in your own namespace: kubectl create -n <namespace> -f <file>"}
	for _, problem := range problems(action.Inputs, values) {
		notes = append(notes, "To be changed: "+problem)
	}
	text := write(action, values, notes)
	if utf8.RuneCountInString(text) <= maxExample {
		return text
	}
	return write(action, nil, []string{notes[0], "To be added: spec.inputs, which are too long for an example"})
}

// problems says what the schema of the inputs has against the example: it may demand what nobody can guess.
func problems(schema *inputs.Schema, values map[string]any) []string {
	raw, err := json.Marshal(values)
	if err != nil {
		return []string{err.Error()}
	}
	_, errs := schema.Resolve(raw, field.NewPath("spec", "inputs"))
	var all []string
	for _, e := range errs {
		all = append(all, strings.Join(strings.Fields(e.Error()), " "))
	}
	return all
}

func write(action *catalog.Action, values map[string]any, notes []string) string {
	ref := action.Ref()
	spec := map[string]any{
		"actionRef": map[string]any{"namespace": ref.Namespace, "name": ref.Name},
		"reason":    "say why",
	}
	if len(values) > 0 {
		spec["inputs"] = values
	}
	out, err := yaml.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "ActionRequest",
		"metadata": map[string]any{"generateName": ref.Name + "-"},
		"spec":     spec,
	})
	if err != nil {
		// The values came out of JSON, so that they go into YAML.
		return ""
	}
	return "# " + strings.Join(notes, "\n# ") + "\n" + string(out)
}
