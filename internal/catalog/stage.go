package catalog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/quorum"
	"github.com/signoff-dev/signoff/internal/template"
	"github.com/signoff-dev/signoff/internal/visible"
)

// needs says which facts something reads.
type needs struct{ target, namespace bool }

func (n *needs) add(other needs) {
	n.target, n.namespace = n.target || other.target, n.namespace || other.namespace
}

// minReminder is the shortest time after which people are reminded.
const minReminder = time.Minute

// stageTimes checks the lengths of time of a stage.
func stageTimes(stage *v1alpha1.Stage, path *field.Path) field.ErrorList {
	errs := slices.Concat(positive(path.Child("timeout"), stage.Timeout), positive(path.Child("validFor"), stage.ValidFor),
		positive(path.Child("reminder"), stage.Reminder))
	if d, err := stage.Reminder.Value(minReminder); err == nil && d < minReminder {
		errs = append(errs, field.Invalid(path.Child("reminder"), string(stage.Reminder), "must be at least a minute"))
	}
	if stage.Escalation == nil {
		return errs
	}
	at := path.Child("escalation", "after")
	errs = append(errs, positive(at, stage.Escalation.After)...)
	after, err := stage.Escalation.After.Value(0)
	timeout, errTimeout := stage.Timeout.Value(0)
	if err == nil && errTimeout == nil && timeout > 0 && after >= timeout {
		errs = append(errs, field.Invalid(at, string(stage.Escalation.After), fmt.Sprintf("the stage is over after %s, so nobody would be asked any more", stage.Timeout)))
	}
	return errs
}

// compileStages compiles the stages of an Action, or of a policy where its name is given.
func compileStages(stages []v1alpha1.Stage, policy string, c *expression.Compiler, path *field.Path) (map[string]*Stage, needs, field.ErrorList) {
	out := make(map[string]*Stage, len(stages))
	var all needs
	var errs field.ErrorList
	for i := range stages {
		stage := &stages[i]
		compiled := &Stage{
			Ref:   v1alpha1.StageReference{Name: stage.Name, Policy: policy},
			After: stage.After, Timeout: stage.Timeout, ValidFor: stage.ValidFor,
			Denials: stage.Denials, CommentOnDeny: stage.CommentOnDeny, Reminder: stage.Reminder,
		}
		for _, part := range requirementsOf(stage, path.Index(i)) {
			requirement, n, e := compileRequirement(part.requirement, c, part.path)
			compiled.Requirements = append(compiled.Requirements, requirement)
			all.add(n)
			errs = append(errs, e...)
		}
		if from := stage.Escalation; from != nil {
			further, n, e := compileRequirement(v1alpha1.Requirement{Approvers: from.Approvers}, c, path.Index(i).Child("escalation", "approvers"))
			compiled.Escalation, compiled.EscalateAfter = &further, from.After
			all.add(n)
			errs = append(errs, e...)
		}
		errs = slices.Concat(errs, demand(compiled, path.Index(i)), stageTimes(stage, path.Index(i)))
		out[stage.Name] = compiled
	}
	return out, all, append(errs, afterErrors(stages, path)...)
}

// demand refuses a stage that asks for more people than can agree in it.
func demand(stage *Stage, path *field.Path) field.ErrorList {
	all, most := 0, quorum.MaxApprovals(int(stage.Denials))
	for _, requirement := range stage.Requirements {
		all += int(requirement.Count)
	}
	if all <= most {
		return nil
	}
	return field.ErrorList{field.Invalid(path, stage.Ref.Name, fmt.Sprintf("asks for %d people in all, and %d at most can agree where %d must be able to deny; ask for fewer, or in several stages",
		all, most, max(int(stage.Denials), quorum.MinDenials)))}
}

type requirementPart struct {
	requirement v1alpha1.Requirement
	path        *field.Path
}

// requirementsOf brings the short form (approvers and count) and the long one (requirements) to one shape.
func requirementsOf(stage *v1alpha1.Stage, path *field.Path) []requirementPart {
	if stage.Approvers != nil {
		count := max(stage.Count, 1)
		return []requirementPart{{v1alpha1.Requirement{Name: stage.Name, Approvers: *stage.Approvers, Count: count}, path.Child("approvers")}}
	}
	parts := make([]requirementPart, len(stage.Requirements))
	for i := range stage.Requirements {
		parts[i] = requirementPart{stage.Requirements[i], path.Child("requirements").Index(i).Child("approvers")}
		parts[i].requirement.Count = max(parts[i].requirement.Count, 1)
	}
	return parts
}

func compileRequirement(r v1alpha1.Requirement, c *expression.Compiler, path *field.Path) (Requirement, needs, field.ErrorList) {
	out := Requirement{Name: r.Name, Count: r.Count}
	var errs field.ErrorList
	if source := r.Approvers.Expression; source != "" {
		var err error
		if out.Expression, err = c.Strings(source); err != nil {
			errs = append(errs, field.Invalid(path.Child("expression"), source, err.Error()+instead(source)))
		}
	}
	for _, list := range ApproverLists(&r.Approvers) {
		compiled := ApproverList{Kind: list.Kind}
		for i, name := range list.Names {
			at := path.Child(string(list.Kind)).Index(i)
			text, err := template.Parse(name, c)
			if err != nil {
				errs = append(errs, field.Invalid(at, name, err.Error()+instead(name)))
				continue
			}
			if text.IsLiteral() {
				errs = append(errs, CheckApprover(list.Kind, name, at)...)
			}
			compiled.Names = append(compiled.Names, ApproverName{Text: text, Source: name})
		}
		out.Approvers = append(out.Approvers, compiled)
	}
	if out.Open() && len(errs) == 0 {
		errs = append(errs, field.Required(path, "names nobody: at least one of users, groups, teams, serviceAccounts, roles, leadsOf, expression is needed"))
	}
	return out, needs{target: out.Uses("target"), namespace: out.Uses("namespaceObject")}, errs
}

// ofRequester is how people try to ask the Teams of whoever asks.
var ofRequester = regexp.MustCompile(`\brequester\.(teams|leads)\b`)

// instead says how a stage asks by the Teams of the requester, where somebody tried to name them: they are no fact that names approvers. Empty: nobody did.
func instead(source string) string {
	if !ofRequester.MatchString(source) {
		return ""
	}
	return "\nA stage cannot name the Teams of whoever asks. Let a rule choose the stage, with when: \"'payments' in requester.teams\"; or name a Team by a fact, such as " +
		"\"${target.metadata.labels['team']}\"; or name nobody, and give approve by a Role with when: \"caller.leads.exists(t, t in requester.teams)\""
}

// NamedList is one list of Approvers with its field name.
type NamedList struct {
	Kind  ApproverKind
	Names []string
}

// ApproverLists gives the lists of Approvers that are not empty.
func ApproverLists(a *v1alpha1.Approvers) []NamedList {
	all := []NamedList{
		{ApproverUsers, a.Users}, {ApproverGroups, a.Groups}, {ApproverTeams, a.Teams},
		{ApproverServiceAccounts, a.ServiceAccounts}, {ApproverRoles, a.Roles}, {ApproverLeadsOf, a.LeadsOf},
	}
	return slices.DeleteFunc(all, func(l NamedList) bool { return len(l.Names) == 0 })
}

// CheckApprover refuses names that may never approve, whoever wrote them or whichever fact they came from.
func CheckApprover(kind ApproverKind, name string, path *field.Path) field.ErrorList {
	switch {
	case surrounded(name):
		return field.ErrorList{field.Invalid(path, name, "must be a name without surrounding blanks")}
	case visible.Hides(name):
		return CheckName(path, name)
	case kind == ApproverGroups && identity.IsSystem(name):
		return field.ErrorList{field.Invalid(path, name, "system groups never approve: they hold identities that are not people; name a group of people")}
	case kind == ApproverUsers && identity.IsSystem(name):
		return field.ErrorList{field.Invalid(path, name, "system identities never approve; a ServiceAccount belongs in serviceAccounts as namespace/name")}
	case kind == ApproverServiceAccounts && strings.Count(name, "/") != 1:
		return field.ErrorList{field.Invalid(path, name, "must be namespace/name")}
	}
	return nil
}

// surrounded tells a name that is empty, or has blanks around it.
func surrounded(name string) bool { return name == "" || strings.TrimSpace(name) != name }

// afterErrors checks that after names other stages, without a circle.
func afterErrors(stages []v1alpha1.Stage, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	after := make(map[string][]string, len(stages))
	for i := range stages {
		after[stages[i].Name] = stages[i].After
	}
	for i := range stages {
		for j, name := range stages[i].After {
			at := path.Index(i).Child("after").Index(j)
			if _, ok := after[name]; !ok {
				errs = append(errs, field.NotSupported(at, name, sortedKeys(after)))
			} else if reaches(after, name, stages[i].Name, map[string]bool{}) {
				errs = append(errs, field.Invalid(at, name, "the stages wait for each other in a circle"))
			}
		}
	}
	return errs
}

func reaches(after map[string][]string, from, to string, seen map[string]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	return slices.ContainsFunc(after[from], func(next string) bool { return reaches(after, next, to, seen) })
}
