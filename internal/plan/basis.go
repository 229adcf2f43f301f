package plan

import (
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
	// Version stands for fields that are not for everybody: a hash of what few values there are could be guessed.
	Version string `json:"version,omitempty"`
	// Generation is the better version, where the kind has one: status does not change it.
	Generation int64 `json:"generation,omitempty"`
}

// basisOf stands for what a write finds in an object that is there. Empty: nobody can tell.
func basisOf(ref v1alpha1.ObjectReference, before Found, after map[string]any) string {
	object := before.Object
	is := found{UID: string(object.GetUID())}
	switch {
	case !isSecret(ref) && !before.Hidden:
		var err error
		if is.Fields, err = undo.Fields(object.Object, after); err != nil {
			return ""
		}
	case object.GetGeneration() > 0:
		is.Generation = object.GetGeneration()
	default:
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
