package kinds

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestComing is about kinds that an Action defines before it uses them: nobody misses them.
func TestComing(t *testing.T) {
	const (
		definition = `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: things.example.com}, spec: {group: example.com, names: {kind: Thing}}}`
		define     = `{name: define, apply: {manifests: [` + definition + `]}}`
		use        = `{name: use, apply: {manifests: [{apiVersion: example.com/v1, kind: Thing}]}}`
		together   = `{name: both, apply: {manifests: [` + definition + `, {apiVersion: example.com/v1, kind: Thing}]}}`
		other      = `{name: use, apply: {manifests: [{apiVersion: example.org/v1, kind: Thing}]}}`
		change     = `{name: use, patch: {target: {apiVersion: example.com/v1, kind: Thing, namespace: a, name: b}, merge: {}}}`
		missing    = "example.com/v1 Thing (spec.execution.steps[use].apply.manifests[0])"
	)
	for name, tc := range map[string]struct {
		reason, execution string
		want              []string
	}{
		"Earlier": {"it is defined before", `steps: [` + define + `, ` + use + `]`, nil},
		"Same":    {"in the same step", `steps: [` + together + `]`, nil},
		"Patched": {"and changed later", `steps: [` + define + `, ` + change + `]`, nil},
		"Finally": {"at the end", `steps: [` + define + `], finally: [` + use + `]`, nil},
		"Later":   {"it is defined too late", `steps: [` + use + `, ` + define + `]`, []string{missing}},
		"Other":   {"that is another kind", `steps: [` + define + `, ` + other + `]`, []string{"example.org/v1 Thing (spec.execution.steps[use].apply.manifests[0])"}},
		"Never":   {"nobody defines it", `steps: [` + use + `]`, []string{missing}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := &v1alpha1.ActionSpec{}
			if err := yaml.UnmarshalStrict([]byte(`{execution: {serviceAccountName: x, `+tc.execution+`}}`), spec); err != nil {
				t.Fatal(err)
			}
			mapper := &served{}
			got := Unserved(mapper, spec)
			got = deleteDefinitions(got)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// deleteDefinitions leaves out the kind of definitions, which the mapper of these tests does not know.
func deleteDefinitions(names []string) []string {
	var out []string
	for _, n := range names {
		if len(n) < 20 || n[:20] != "apiextensions.k8s.io" {
			out = append(out, n)
		}
	}
	return out
}
