package schema

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// kinds are all kinds of the API group, by the name of their sample and, with it, of their CRD.
var kinds = map[string]string{
	"action":        "actions",
	"actionpolicy":  "actionpolicies",
	"actionrequest": "actionrequests",
	"approval":      "approvals",
	"calendar":      "calendars",
	"delegation":    "delegations",
	"notifier":      "notifiers",
	"record":        "records",
	"role":          "roles",
	"team":          "teams",
}

// sample reads an object in which every property of the schema is set.
func sample(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict(raw, &out.Object); err != nil {
		t.Fatalf("failed to parse sample %s: %v", name, err)
	}
	return changed(t, out, "")
}

// wholeNumbers makes integers of floats without a fraction.
func wholeNumbers(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			v[key] = wholeNumbers(v[key])
		}
	case []any:
		for i := range v {
			v[i] = wholeNumbers(v[i])
		}
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return value
}

// changed returns a copy of object with a merge patch, written as YAML, applied.
func changed(t *testing.T, object *unstructured.Unstructured, change string) *unstructured.Unstructured {
	t.Helper()
	if change == "" {
		change = "{}"
	}
	return &unstructured.Unstructured{Object: as[map[string]any](merged(object.Object, change))}
}

// created stores a copy of object under a name of its own and removes it after the test.
func created(t *testing.T, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	out := object.DeepCopy()
	out.SetName("")
	out.SetGenerateName("schema-")
	if err := server.admin.Create(t.Context(), out); err != nil {
		t.Fatalf("failed to create %s: %v", object.GetKind(), err)
	}
	return out
}

// withStatus stores a copy of object and then its status.
func withStatus(t *testing.T, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	out := created(t, object)
	out.Object["status"] = object.Object["status"]
	if err := server.admin.Status().Update(t.Context(), out); err != nil {
		t.Fatalf("failed to write the status of %s: %v", object.GetKind(), err)
	}
	return out
}

// tryCreate asks the API server for its judgement on a new object without keeping it.
func tryCreate(t *testing.T, object *unstructured.Unstructured) error {
	t.Helper()
	out := object.DeepCopy()
	out.SetName("")
	out.SetGenerateName("schema-")
	return server.admin.Create(t.Context(), out, client.DryRunAll)
}
