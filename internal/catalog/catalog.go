// Package catalog holds the compiled form of what a platform team publishes: Actions, Roles and ActionPolicies. The webhook
// compiles an object to refuse it with a field path, and the snapshot compiles the same object to use it.
package catalog

import (
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/inputs"
	"github.com/signoff-dev/signoff/internal/steps"
	"github.com/signoff-dev/signoff/internal/template"
)

// ImplicitStage is the name of the stage of an Action that writes none.
const ImplicitStage = "approval"

// Action is a compiled Action. It never changes.
type Action struct {
	// Object is the Action it was compiled from.
	Object *v1alpha1.Action
	// Inputs is the schema of the inputs; nil where the Action takes none.
	Inputs *inputs.Schema
	// Target is the object that the Action is about; nil where it names none.
	Target *Target
	// Lookups are further facts.
	Lookups []*Lookup
	// Rules are the rules of the Action.
	Rules []Rule
	// Default applies where none of Rules does.
	Default Rule
	// Stages are the stages of the Action by name.
	Stages map[string]*Stage
	// Steps are the steps of the Action.
	Steps *steps.Steps
	// NeedsTarget says that something reads the target, NeedsNamespace that something reads its namespace.
	NeedsTarget, NeedsNamespace bool
	// Digest stands for what the Action says, as digest.OfAction gives it. It is computed when it is first asked for.
	Digest func() (string, error)
	// Counts says that a decision rests on what was executed before, so that no two executions may be decided on at once.
	Counts bool
}

// Ref names the Action.
func (a *Action) Ref() v1alpha1.ActionReference {
	return v1alpha1.ActionReference{Namespace: a.Object.Namespace, Name: a.Object.Name}
}

// ReadServiceAccount is the name of the ServiceAccount as which facts are read.
func (a *Action) ReadServiceAccount() string {
	if name := a.Object.Spec.Execution.ReadServiceAccountName; name != "" {
		return name
	}
	return a.Object.Spec.Execution.ServiceAccountName
}

// Target names an object by templates.
type Target struct {
	APIVersion, Kind string
	Namespace, Name  *template.Text
	// Trusted says that the Action accepts it, and its namespace, although the requester can change them.
	Trusted bool
	// Literal says that nothing of a request decides which object it is.
	Literal bool
}

// Rule is a compiled rule of an Action or an ActionPolicy.
type Rule struct {
	// Name is "<rule>" for a rule of an Action and "policy/<policy>/<rule>" for one of an ActionPolicy.
	Name string
	// When is nil where the rule always applies.
	When *expression.Program
	// During names a Calendar in the operator's namespace, within which the rule applies. Empty: always.
	During string
	// Effect is what the rule does.
	Effect v1alpha1.Effect
	// Stages are the stages that must approve.
	Stages []*Stage
	// Message tells people why.
	Message string
	// Override says who passes the rule in an emergency; nil: nobody.
	Override *Override
}

// Override is the compiled override of a rule that denies.
type Override struct {
	// By are those who may pass the rule.
	By *v1alpha1.Subjects
	// Review is the stage that must approve afterwards.
	Review *Stage
	// Within is how long after the start the review is due.
	Within v1alpha1.Duration
}

// Stage is a compiled stage.
type Stage struct {
	Ref          v1alpha1.StageReference
	After        []string
	Requirements []Requirement
	// Denials is how many different people must deny; less than 1 counts as 1.
	Denials           int32
	CommentOnDeny     v1alpha1.CommentOnDeny
	Timeout, ValidFor v1alpha1.Duration
	// Reminder is after how long people are reminded, again and again. Empty: never.
	Reminder v1alpha1.Duration
	// Escalation is who may agree too, EscalateAfter the stage has been open for so long; nil: nobody.
	Escalation    *Requirement
	EscalateAfter v1alpha1.Duration
}

// Requirement is a compiled requirement of a stage. Without approvers, whoever holds the verb approve meets it.
type Requirement struct {
	Name      string
	Count     int32
	Approvers []ApproverList
	// Expression gives further user names; nil where there is none.
	Expression *expression.Program
}

// Open tells that whoever holds the verb approve meets the requirement.
func (r *Requirement) Open() bool { return len(r.Approvers) == 0 && r.Expression == nil }

// Uses tells whether the approvers are taken from a variable.
func (r *Requirement) Uses(variable string) bool {
	return r.Expression != nil && r.Expression.Uses(variable) || slices.ContainsFunc(r.Approvers, func(list ApproverList) bool {
		return slices.ContainsFunc(list.Names, func(name ApproverName) bool { return name.Uses(variable) })
	})
}

// ApproverList is one list of Approvers, with its templates.
type ApproverList struct {
	Kind  ApproverKind
	Names []ApproverName
}

// ApproverName is one name, with its template.
type ApproverName struct {
	*template.Text
	// Source is what the author wrote.
	Source string
}

// ApproverKind says what the names of an ApproverList are.
type ApproverKind string

// The kinds of names, as the fields of v1alpha1.Approvers call them.
const (
	ApproverUsers           ApproverKind = "users"
	ApproverGroups          ApproverKind = "groups"
	ApproverTeams           ApproverKind = "teams"
	ApproverServiceAccounts ApproverKind = "serviceAccounts"
	ApproverRoles           ApproverKind = "roles"
	ApproverLeadsOf         ApproverKind = "leadsOf"
)

// Role is a compiled Role. It never changes.
type Role struct {
	Object      *v1alpha1.Role
	Permissions []*Permission
}

// Permission is a compiled permission of a Role.
type Permission struct {
	// Role is the Role that gives the permission.
	Role *Role
	// Verbs are what it allows.
	Verbs []v1alpha1.Verb
	// Names are the names of Actions; nil where Selector selects them.
	Names []string
	// Selector selects Actions by label; nil where Names names them.
	Selector labels.Selector
	// When is nil where the permission always holds.
	When *expression.Program
	// Message says what When demands.
	Message string
}

// Policy is a compiled ActionPolicy. It never changes.
type Policy struct {
	Object *v1alpha1.ActionPolicy
	Rules  []Rule
	// Selector selects Actions by label; nil where the policy does not.
	Selector labels.Selector
	// Objects select requests by what they would write; nil where the policy does not.
	Objects []ObjectMatch
	// NeedsObjects says that a rule reads the objects that the request would write; NeedsObjectLabels that it reads their labels,
	// NeedsObjectNamespaces that it reads their namespaces.
	NeedsObjects, NeedsObjectLabels, NeedsObjectNamespaces bool
	// NeedsTarget says that something reads the target, NeedsNamespace that something reads its namespace.
	NeedsTarget, NeedsNamespace bool
}
