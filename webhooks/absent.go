package webhooks

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/calendar"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/inputs"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// absences collects what an object names and what is not there. It may come later, so it is a warning: a misspelt name is one as well.
type absences struct {
	snapshot *snapshot.Snapshot
	// namespace is where Calendars, Roles and Actions are looked for.
	namespace string
	warnings  []string
}

func (w *governing) absences(namespace string) *absences {
	return &absences{snapshot: w.Store.Current(), namespace: namespace}
}

// list gives the warnings: some of them, if there are many. Nothing is known to be absent while the snapshot is not complete.
func (a *absences) list() []string {
	if !a.snapshot.Synced() {
		return nil
	}
	slices.Sort(a.warnings)
	return bounded(slices.Compact(a.warnings), "more names of what is not there")
}

// bounded cuts warnings to so many, and each to what the API server lets pass.
func bounded(warnings []string, rest string) []string {
	if more := len(warnings) - maxWarnings; more > 0 {
		warnings = append(warnings[:maxWarnings:maxWarnings], fmt.Sprintf("and %d %s", more, rest))
	}
	for i := range warnings {
		warnings[i] = gate.Cut(warnings[i], maxWarning)
	}
	return warnings
}

// program looks at what an expression names literally. Nil: there is no expression.
func (a *absences) program(program *expression.Program, until string) {
	if program == nil {
		return
	}
	a.calendars(program.Calendars(), until)
	a.teams(program.Teams(), until)
}

func (a *absences) calendars(names []string, until string) {
	for _, name := range names {
		if _, err := a.snapshot.CalendarOf(a.namespace, name); err != nil {
			a.warnings = append(a.warnings, fmt.Sprintf("%v: until there is, %s", err, until))
		}
	}
}

func (a *absences) teams(names []string, until string) {
	for _, name := range names {
		if a.snapshot.Team(name) == nil {
			a.warnings = append(a.warnings, fmt.Sprintf("there is no Team %q: until there is, %s", name, until))
		}
	}
}

// stage looks at who must approve, as far as it is written out.
func (a *absences) stage(stage *catalog.Stage) {
	nobody := fmt.Sprintf("nobody approves stage %q by it", stage.Ref.Name)
	for i := range stage.Requirements {
		for _, list := range stage.Requirements[i].Approvers {
			for _, name := range list.Names {
				if !name.IsLiteral() {
					continue
				}
				switch list.Kind {
				case catalog.ApproverTeams, catalog.ApproverLeadsOf:
					a.teams([]string{name.Source}, nobody)
				case catalog.ApproverRoles:
					// The Roles that a policy names are those in the namespace of the Action, whichever that is.
					if stage.Ref.Policy == "" && a.snapshot.Role(a.namespace, name.Source) == nil {
						a.warnings = append(a.warnings, fmt.Sprintf("there is no Role %q in namespace %s: until there is, %s", name.Source, a.namespace, nobody))
					}
				case catalog.ApproverUsers, catalog.ApproverGroups, catalog.ApproverServiceAccounts:
				}
			}
		}
	}
}

// executions looks at the Actions whose executions a lookup counts. The Action itself may be about to be created.
func (a *absences) executions(lookup *catalog.Lookup, self string) {
	if lookup.Executions == nil {
		return
	}
	known := a.snapshot.ActionNames(a.namespace)
	for _, counted := range lookup.Executions.Actions {
		if counted.Name != self && !slices.Contains(known, counted.Name) {
			a.warnings = append(a.warnings, fmt.Sprintf("there is no Action %q in namespace %s: until there is, lookup %q counts nothing of it", counted.Name, a.namespace, lookup.Name))
		}
	}
}

// absentInAction warns of Calendars, Teams, Roles and Actions that an Action names and that are not there.
func (w *governing) absentInAction(action *catalog.Action) []string {
	a := w.absences(action.Object.Namespace)
	for i := range action.Rules {
		a.program(action.Rules[i].When, fmt.Sprintf("rule %q cannot be judged", action.Rules[i].Name))
	}
	for _, stage := range action.Stages {
		a.stage(stage)
	}
	for _, lookup := range action.Lookups {
		a.executions(lookup, action.Object.Name)
	}
	return a.list()
}

// unserved warns of kinds that an Action names and that the API server does not serve.
func (w *governing) unserved(spec *v1alpha1.ActionSpec) []string {
	var warnings []string
	for _, name := range w.Kinds.Unserved(spec) {
		warnings = append(warnings, fmt.Sprintf("the API server serves no %s: until it does, requests for this Action cannot run", name))
	}
	return bounded(warnings, "more kinds that are not served")
}

// secretive warns of inputs whose names say that they are secrets.
func secretive(schema *inputs.Schema) []string {
	var warnings []string
	for _, name := range schema.Secretive() {
		warnings = append(warnings, fmt.Sprintf("input %s sounds like a secret, and inputs are shown to everybody who may read the request: let it name a Secret instead, as in secretName", name))
	}
	return bounded(warnings, "more inputs that sound like secrets")
}

// absentInPolicy warns of Calendars and Teams that a policy names and that are not there.
func (w *governing) absentInPolicy(policy *catalog.Policy) []string {
	const waits = "requests that this policy is about are refused or wait"
	a := w.absences(w.OperatorNamespace)
	for i := range policy.Rules {
		rule := &policy.Rules[i]
		a.program(rule.When, waits)
		if rule.During != "" {
			a.calendars([]string{rule.During}, waits)
		}
		for _, stage := range rule.Stages {
			a.stage(stage)
		}
	}
	for _, stage := range policy.Object.Spec.Stages {
		used := func(rule v1alpha1.PolicyRule) bool { return slices.Contains(rule.Stages, stage.Name) }
		if !slices.ContainsFunc(policy.Object.Spec.Rules, used) {
			a.warnings = append(a.warnings, fmt.Sprintf("no rule uses stage %q: name it in spec.rules[].stages, or remove it", stage.Name))
		}
	}
	return a.list()
}

// absentInRole warns of Teams and Actions that a Role names and that are not there.
func (w *governing) absentInRole(role *catalog.Role) []string {
	a := w.absences(role.Object.Namespace)
	a.teams(role.Object.Spec.Members.Teams, "the Role has no members by it")
	known := a.snapshot.ActionNames(a.namespace)
	for _, permission := range role.Permissions {
		a.program(permission.When, "a permission cannot be judged, and gives nothing")
		for _, name := range permission.Names {
			if name != catalog.AllActions && !slices.Contains(known, name) {
				a.warnings = append(a.warnings, fmt.Sprintf("there is no Action %q in namespace %s: until there is, the permission gives nothing", name, a.namespace))
			}
		}
	}
	return a.list()
}

// absentInTeam warns of a parent that is not there.
func (w *governing) absentInTeam(team *v1alpha1.Team) []string {
	a := w.absences("")
	if parent := team.Spec.Parent; parent != "" {
		a.teams([]string{parent}, "this Team is below nothing")
	}
	return a.list()
}

// never warns of a Calendar that is closed for ever.
func (w *governing) never(of *calendar.Calendar) []string {
	now := w.Clock.Now()
	if _, opens := of.Next(now); of.Contains(now) || opens {
		return nil
	}
	return []string{"this Calendar is closed from now on and for ever: look at dates, and at what except takes away"}
}

// nowhere warns of a policy that names or selects only namespaces that are not there.
func (w *governing) nowhere(ctx context.Context, policy *catalog.Policy) []string {
	match := policy.Object.Spec.Match
	if match == nil || match.RequestNamespaces == nil && len(policy.Objects) == 0 {
		return nil
	}
	list := &corev1.NamespaceList{}
	if err := w.Namespaces.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	var warnings []string
	there := func(name string) bool {
		return slices.ContainsFunc(list.Items, func(n corev1.Namespace) bool { return n.Name == name })
	}
	if from := match.RequestNamespaces; from != nil && !slices.ContainsFunc(from.Names, there) {
		warnings = append(warnings, "this policy is about requests from namespaces that are not there: check spec.match.requestNamespaces.names")
	}
	somewhere := func(m catalog.ObjectMatch) bool { return isSomewhere(&m, list.Items) }
	if len(policy.Objects) > 0 && !slices.ContainsFunc(policy.Objects, somewhere) {
		warnings = append(warnings, "this policy is about objects in namespaces that are not there: check namespaces and namespaceSelector in spec.match.objects")
	}
	return warnings
}

// isSomewhere tells whether objects can be selected in one of the namespaces, or outside of all.
func isSomewhere(m *catalog.ObjectMatch, namespaces []corev1.Namespace) bool {
	if m.In("") && m.Namespace == nil {
		return true
	}
	return slices.ContainsFunc(namespaces, func(n corev1.Namespace) bool {
		return m.In(n.Name) && (m.Namespace == nil || m.Namespace.Matches(labels.Set(n.Labels)))
	})
}
