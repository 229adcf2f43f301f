package catalog

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/identity"
)

// AllActions stands in a Role's names for every Action in the namespace.
const AllActions = "*"

// CompileRole compiles a Role by itself; what it inherits is found out by a Family. Where the list is not empty, the Role grants
// nothing and the result is nil.
func CompileRole(object *v1alpha1.Role) (*Role, field.ErrorList) {
	out := &Role{Object: object}
	spec := field.NewPath("spec")
	errs := CheckSubjects(&object.Spec.Members, spec.Child("members"))
	compiler, err := expression.NewCompiler(expression.RoleWhen, nil)
	if err != nil {
		return nil, append(errs, field.InternalError(spec, err))
	}
	for i := range object.Spec.Permissions {
		permission, e := compilePermission(&object.Spec.Permissions[i], compiler, spec.Child("permissions").Index(i))
		permission.Role = out
		out.Permissions = append(out.Permissions, permission)
		errs = append(errs, e...)
		errs = append(errs, systemApprovers(object, permission, spec.Child("members", "groups"))...)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return out, nil
}

func compilePermission(p *v1alpha1.Permission, compiler *expression.Compiler, path *field.Path) (*Permission, field.ErrorList) {
	out := &Permission{Verbs: p.Verbs, Names: p.Actions.Names, Message: p.Message}
	errs := checkText(path.Child("message"), p.Message)
	if p.Actions.Selector != nil {
		selector, err := p.Actions.Selector.AsSelector()
		if err != nil {
			errs = append(errs, field.Invalid(path.Child("actions", "selector"), "", err.Error()))
		}
		out.Selector = selector
	}
	if len(p.Actions.Names) > 1 && slices.Contains(p.Actions.Names, AllActions) {
		errs = append(errs, field.Invalid(path.Child("actions", "names"), AllActions, `"*" already means every Action: write it alone`))
	}
	if p.When != "" {
		when, err := compiler.Bool(p.When)
		if err != nil {
			errs = append(errs, field.Invalid(path.Child("when"), p.When, err.Error()))
		}
		out.When = when
	}
	return out, errs
}

// systemApprovers refuses a Role that would let whole classes of logins approve, ServiceAccounts among them.
func systemApprovers(object *v1alpha1.Role, p *Permission, path *field.Path) field.ErrorList {
	if !slices.Contains(p.Verbs, v1alpha1.VerbApprove) {
		return nil
	}
	var errs field.ErrorList
	for i, group := range object.Spec.Members.Groups {
		errs = append(errs, CheckApprover(ApproverGroups, group, path.Index(i))...)
	}
	return errs
}

// CheckSubjects checks what the schema cannot: that names say whom they mean.
func CheckSubjects(s *v1alpha1.Subjects, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s == nil {
		return nil
	}
	for i, user := range s.Users {
		at := path.Child("users").Index(i)
		if strings.HasPrefix(user, "system:serviceaccount:") {
			errs = append(errs, field.Invalid(at, user, fmt.Sprintf("a ServiceAccount belongs in serviceAccounts, as %q",
				strings.Replace(strings.TrimPrefix(user, "system:serviceaccount:"), ":", "/", 1))))
		}
		errs = append(errs, literalName(at, user)...)
	}
	for i, group := range s.Groups {
		at := path.Child("groups").Index(i)
		errs = append(errs, literalName(at, group)...)
	}
	return errs
}

// literalName checks the name of somebody where nothing is filled in.
func literalName(path *field.Path, name string) field.ErrorList {
	errs := append(blank(path, name), CheckName(path, name)...)
	if strings.Contains(name, "${") {
		errs = append(errs, field.Invalid(path, name, "must be the name itself: nothing is filled in here"))
	}
	if strings.Contains(name, "*") {
		errs = append(errs, field.Invalid(path, name, "must be the name itself: no pattern is understood here; whoever has logged in is in the group system:authenticated"))
	}
	return errs
}

// CheckTeamSubjects is CheckSubjects for a Team, and refuses groups of logins that are not people: whoever is in a Team may be an approver by it, and
// system groups never approve. Snapshots leave such groups out of Teams all the same.
func CheckTeamSubjects(s *v1alpha1.Subjects, path *field.Path) field.ErrorList {
	errs := CheckSubjects(s, path)
	if s == nil {
		return errs
	}
	for i, group := range s.Groups {
		if identity.IsSystem(group) {
			errs = append(errs, field.Invalid(path.Child("groups").Index(i), group,
				"a system group cannot be in a Team, because the members of a Team can approve: to let everybody ask, name the group in the members of a Role"))
		}
	}
	return errs
}

func blank(path *field.Path, name string) field.ErrorList {
	if strings.TrimSpace(name) == name {
		return nil
	}
	return field.ErrorList{field.Invalid(path, name, "must not begin or end with a blank: names are compared exactly")}
}
