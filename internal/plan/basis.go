package plan

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/canonical"
	"github.com/signoff-dev/signoff/internal/undo"
)

// absent stands for an object that is not there.
var absent = sum("absent")

// found is what a write finds: which object, and the fields that the write changes, before and after. Status, and fields that the write does
// not touch, are not in it, so that neither a controller nor an autoscaler changes it.
type found struct {
	UID    string               `json:"uid,omitempty"`
	Fields []v1alpha1.UndoField `json:"fields,omitempty"`
	// Version stands for fields that could not be compared, or are not for everybody where nobody has a key.
	Version string `json:"version,omitempty"`
	// Generation is the better version, where the kind has one: status does not change it.
	Generation int64 `json:"generation,omitempty"`
}

// basisOf stands for what a write finds in an object that is there. Empty: nobody can tell. A hash of what is not for everybody takes a key: of what few
// values there are, one without could be guessed.
func (d *describer) basisOf(ref v1alpha1.ObjectReference, before Found, after map[string]any) string {
	open := !isSecret(ref) && !before.Hidden
	if !open && d.view.Keyed == nil {
		return versionOf(before.Object)
	}
	is := found{UID: string(before.Object.GetUID())}
	var text []byte
	var err error
	if is.Fields, err = undo.Fields(before.Object.Object, after); err == nil {
		text, err = canonical.Encode(is)
	}
	switch {
	case err != nil && open:
		return "" // a number that has no exact form
	case err != nil:
		return versionOf(before.Object)
	case open:
		return canonical.Sum(text)
	}
	return d.view.Keyed(text)
}

// versionOf stands for an object as a whole.
func versionOf(object *unstructured.Unstructured) string {
	is := found{UID: string(object.GetUID()), Generation: object.GetGeneration()}
	if is.Generation == 0 {
		is.Version = object.GetResourceVersion()
	}
	return sum(is)
}

// BasisOf stands for what several changes find.
func BasisOf(changes []v1alpha1.PlannedChange) string {
	all := make([]string, len(changes))
	for i := range changes {
		all[i] = changes[i].Basis
	}
	return sum(all)
}

func sum(of any) string {
	text, err := canonical.SumOf(of)
	if err != nil {
		return "" // a number that has no exact form
	}
	return text
}
