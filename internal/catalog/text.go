package catalog

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/internal/visible"
)

// checkText refuses a text for people with characters that do not show, such as those that move a cursor or turn the direction of writing: it
// would say something else than it holds. Lines may end.
func checkText(path *field.Path, text string) field.ErrorList {
	if !visible.Hides(strings.ReplaceAll(text, "\n", " ")) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, text, "must not have characters that do not show, such as control characters")}
}

// CheckName refuses a name that people could read as another one, or that breaks the line that it stands in.
func CheckName(path *field.Path, name string) field.ErrorList {
	if !visible.Hides(name) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, name, "must be a name that everybody can read, without characters that do not show")}
}
