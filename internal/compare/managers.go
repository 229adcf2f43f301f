package compare

import (
	"bytes"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Manager is an entry of the field managers of an object, and the fields that it owns.
type Manager struct {
	metav1.ManagedFieldsEntry

	// Fields are what it owns.
	Fields *fieldpath.Set
}

// Managers reads the field managers of an object. What an entry that cannot be read owns counts as nobody's.
func Managers(object map[string]any) []Manager {
	var out []Manager
	for _, entry := range (&unstructured.Unstructured{Object: object}).GetManagedFields() {
		set := fieldpath.NewSet()
		if entry.FieldsV1 == nil || set.FromJSON(bytes.NewReader(entry.FieldsV1.GetRawBytes())) != nil {
			continue
		}
		out = append(out, Manager{entry, set})
	}
	return out
}
