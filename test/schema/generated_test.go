package schema

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// never are properties that no stored object has, so that no sample sets them. The table of the kind covers them.
var never = map[string]string{
	"spec.vote":          "it is always empty when read",
	"spec.resolution":    "it is always unset when read",
	"spec.members.teams": "a Team below names the Team above",
	"spec.leads.teams":   "a lead is a person",
}

// TestEveryRuleOfTheSchemaHolds breaks, one at a time, every bound, pattern, enum, format, type, key and required property that
// the schema of a kind has, and demands that the API server refuses each at its place. The cases are made from the schema, so a
// property that is added later is tested as well; it only has to be set in the sample.
func TestEveryRuleOfTheSchemaHolds(t *testing.T) {
	t.Parallel()
	for kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			good := sample(t, kind)
			root := loadSchema(t, kind)
			delete(root.Properties, "metadata")
			reached := places(node{schema: root}, good.Object)
			wantComplete(t, kind, root, reached)
			stored := created(t, good)
			stored.Object["status"] = good.Object["status"]
			for _, p := range reached {
				if p.at == nil || p.at[0] == "apiVersion" || p.at[0] == "kind" {
					continue
				}
				for _, v := range violations(p) {
					breakRule(t, p, v, good, stored)
				}
			}
		})
	}
}

// wantComplete demands that the sample sets everything, and that every rule of the schema can be broken on purpose.
func wantComplete(t *testing.T, kind string, root *apiextensionsv1.JSONSchemaProps, reached []place) {
	t.Helper()
	seen := map[string]bool{}
	for _, p := range reached {
		seen[p.node.path] = true
	}
	for _, n := range walk(node{schema: root}) {
		if !seen[n.path] && !neverSet(kind, n.path) {
			t.Errorf("the sample does not set %s: set it, so that its rules are tested", n.path)
		}
		for _, unknown := range limits(n.schema) {
			t.Errorf("%s has a rule that this test cannot break: %s", n.path, unknown)
		}
	}
}

func neverSet(kind, path string) bool {
	for prefix := range never {
		if rest, ok := strings.CutPrefix(path, prefix); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return kind == "approval" || kind == "team" || kind == "actionrequest"
		}
	}
	return false
}

func breakRule(t *testing.T, p place, v violation, good, stored *unstructured.Unstructured) {
	t.Helper()
	t.Run(p.String()+"/"+v.rule, func(t *testing.T) {
		t.Parallel()
		status := v.at[0] == "status"
		object := good
		if status {
			object = stored
		}
		object = object.DeepCopy()
		set(object.Object, v.at, runtime.DeepCopyJSONValue(v.value))
		at := place{at: v.at}.String()
		if status {
			err := server.admin.Status().Update(t.Context(), object, client.DryRunAll)
			wantRefused(t, err, v.rule, at, v.want)
			return
		}
		wantRefused(t, tryCreate(t, object), v.rule, at, v.want)
	})
}
