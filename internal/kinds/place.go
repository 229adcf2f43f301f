package kinds

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Place is an object, in whichever version of its API it is named.
type Place struct {
	Group, Kind, Namespace, Name string
}

// PlaceOf is the place of an object.
func PlaceOf(ref *v1alpha1.ObjectReference) Place {
	version, _ := schema.ParseGroupVersion(ref.APIVersion)
	return Place{version.Group, ref.Kind, ref.Namespace, ref.Name}
}

// Holds tells whether another object goes where this one is deleted: it is the same, or is in this Namespace.
func (p Place) Holds(other Place) bool {
	return p == other || p == Place{Kind: "Namespace", Name: other.Namespace}
}

// IsSecret tells whether an object is a Secret.
func IsSecret(ref *v1alpha1.ObjectReference) bool {
	return ref.APIVersion == "v1" && ref.Kind == "Secret"
}
