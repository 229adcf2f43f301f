package plan

import (
	"strings"

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
	// Entry is the place of the write in the plan: two that find the same must not look the same, or the second would tell what the first has found.
	Entry int `json:"entry,omitempty"`
	// Version stands for fields that could not be compared, or for all of them where nobody has a key.
	Version string `json:"version,omitempty"`
	// Generation is the better version, where the kind has one: status does not change it.
	Generation int64 `json:"generation,omitempty"`
}

// basisOf stands for what a write finds in an object that is there. Empty: nobody can tell. It is a hash that takes a key, also of an object that its
// requester may read: others read the request, and of what few values there are one without could be guessed.
func (d *describer) basisOf(before Found, after map[string]any) string {
	if d.view.Keyed == nil {
		return versionOf(before.Object)
	}
	is := found{UID: string(before.Object.GetUID()), Entry: d.entry}
	var err error
	if is.Fields, err = undo.Fields(before.Object.Object, after); err != nil {
		return versionOf(before.Object)
	}
	text, err := canonical.Encode(is)
	if err != nil {
		return versionOf(before.Object)
	}
	return d.view.Keyed(text)
}

// versionOf stands for an object as a whole.
func versionOf(object *unstructured.Unstructured) string { return sum(wholeOf(object)) }

func wholeOf(object *unstructured.Unstructured) found {
	is := found{UID: string(object.GetUID()), Generation: object.GetGeneration()}
	if is.Generation == 0 {
		is.Version = object.GetResourceVersion()
	}
	return is
}

// wholeBasisOf stands for an object as a whole of which nobody can tell what the write changes. It takes the key, so that it can be compared with what
// stands for the fields where these could be told.
func (d *describer) wholeBasisOf(object *unstructured.Unstructured) string {
	is := wholeOf(object)
	is.Entry = d.entry
	text, err := canonical.Encode(is)
	if d.view.Keyed == nil || err != nil {
		return versionOf(object)
	}
	return d.view.Keyed(text)
}

// BasisOf stands for what several changes find. It names the key of theirs, so that nobody takes another key for another object.
func BasisOf(changes []v1alpha1.PlannedChange) string {
	all, key := make([]string, len(changes)), ""
	for i := range changes {
		all[i] = changes[i].Basis
		if name, _, keyed := strings.Cut(all[i], ":"); key == "" && keyed && name != plain {
			key = name
		}
	}
	if _, hash, ok := strings.Cut(sum(all), ":"); ok && key != "" {
		return key + ":" + hash
	}
	return sum(all)
}

// plain is how a hash begins that takes no key.
const plain = "sha256"

// IsAbsent tells whether a basis stands for an object that is not there.
func IsAbsent(basis string) bool { return basis == absent }

func sum(of any) string {
	text, err := canonical.SumOf(of)
	if err != nil {
		return "" // a number that has no exact form
	}
	return text
}
