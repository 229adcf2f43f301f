package role

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/conditions"
)

// members says who holds a Role, as in "user alice, group developers".
func members(s *v1alpha1.Subjects) string {
	var all []string
	for _, list := range []struct {
		kind  string
		names []string
	}{{"user", s.Users}, {"group", s.Groups}, {"team", s.Teams}, {"serviceaccount", s.ServiceAccounts}} {
		for _, name := range list.names {
			all = append(all, list.kind+" "+name)
		}
	}
	return conditions.Column(all, ", ")
}

// permissions says what members may do, as in "request, cancel on deploy; approve on *; inherits viewer".
func permissions(spec *v1alpha1.RoleSpec) string {
	list := spec.Permissions
	var all []string
	for i := range list {
		p := &list[i]
		verbs := make([]string, len(p.Verbs))
		for j, verb := range p.Verbs {
			verbs[j] = string(verb)
		}
		text := fmt.Sprintf("%s on %s", strings.Join(verbs, ", "), actions(&p.Actions))
		if p.When != "" {
			// The condition itself is too long for a column.
			text += " (conditional)"
		}
		all = append(all, text)
	}
	if len(spec.Inherits) > 0 {
		all = append(all, "inherits "+strings.Join(spec.Inherits, ", "))
	}
	return conditions.Column(all, "; ")
}

func actions(s *v1alpha1.ActionSelector) string {
	if s.Selector == nil {
		return strings.Join(s.Names, ", ")
	}
	selector, err := s.Selector.AsSelector()
	if err != nil {
		selector = labels.Nothing()
	}
	return "Actions with " + selector.String()
}
