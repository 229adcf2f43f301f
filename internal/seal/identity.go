package seal

import (
	"errors"
	"slices"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Identity is who did something.
type Identity struct {
	Username string              `json:"username,omitempty"`
	UID      string              `json:"uid,omitempty"`
	Groups   []string            `json:"groups,omitempty"`
	Extra    map[string][]string `json:"extra,omitempty"`
	Person   string              `json:"person,omitempty"`
}

var identityFields = all("username", "uid", "groups", "extra", "person")

// identity sorts the groups, because they are a set. It leaves out an extra attribute without a value.
func identity(id *v1alpha1.Identity) Identity {
	if id == nil {
		return Identity{}
	}
	out := Identity{Username: id.Username, UID: id.UID, Groups: sorted(id.Groups), Person: id.Person}
	for key, values := range id.Extra {
		if len(values) == 0 {
			continue
		}
		if out.Extra == nil {
			out.Extra = make(map[string][]string, len(id.Extra))
		}
		out.Extra[key] = slices.Clone(values)
	}
	return out
}

func (id *Identity) check() error {
	if id.Username == "" {
		return errors.New("nobody is named")
	}
	return nil
}

// sorted gives a set in the one order it is sealed in: by bytes.
func sorted(set []string) []string {
	out := slices.Clone(set)
	slices.Sort(out)
	return out
}
