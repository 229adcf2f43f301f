package kinds

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// definitionKind is the kind of what defines kinds.
var definitionKind = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// Defined gives the kind that a manifest defines, if it is a CustomResourceDefinition.
func Defined(raw []byte) (schema.GroupKind, bool) {
	var definition struct {
		metav1.TypeMeta `json:",inline"`

		Spec struct {
			Group string `json:"group"`
			Names struct {
				Kind string `json:"kind"`
			} `json:"names"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(raw, &definition); err != nil || definition.GroupVersionKind().GroupKind() != definitionKind {
		return schema.GroupKind{}, false
	}
	kind := schema.GroupKind{Group: definition.Spec.Group, Kind: definition.Spec.Names.Kind}
	return kind, kind.Kind != ""
}

// Coming names the objects that steps write of kinds that an earlier write of theirs defines, each with the step of that. The API server may serve such
// a kind only once that step has run.
func Coming(steps []v1alpha1.RenderedStep) map[v1alpha1.ObjectReference]string {
	defined, coming := map[schema.GroupKind]string{}, map[v1alpha1.ObjectReference]string{}
	for i := range steps {
		for j := range steps[i].Writes {
			w := &steps[i].Writes[j]
			if by, is := defined[schema.FromAPIVersionAndKind(w.Object.APIVersion, w.Object.Kind).GroupKind()]; is {
				coming[w.Object] = by
			}
			if kind, is := Defined(w.Body.Raw); is && w.Operation == v1alpha1.WriteApply {
				defined[kind] = steps[i].Name
			}
		}
	}
	return coming
}
