package gate

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// maxStages is how many stages one request can have.
const maxStages = 64

// AnyRole stands in resolved Approvers for every Role that gives the verb approve on the Action.
const AnyRole = "*"

// resolve fills in the templates of every stage that must approve. A stage that would name nobody stops the request.
func (r *run) resolve(ctx context.Context) *Problem {
	if count := len(r.out.Verdict.Stages); count > maxStages {
		return &Problem{Reason: v1alpha1.ReasonIndeterminate, Message: fmt.Sprintf("%d stages would have to approve, more than the %d that can be recorded", count, maxStages)}
	}
	for _, stage := range r.out.Verdict.Stages {
		resolved := Stage{Stage: stage}
		for i := range stage.Requirements {
			requirement, problem := r.requirement(ctx, stage, &stage.Requirements[i])
			if problem != nil {
				return problem
			}
			resolved.Requirements = append(resolved.Requirements, requirement)
		}
		if stage.Escalation != nil {
			further, problem := r.named(ctx, stage, stage.Escalation)
			if problem != nil {
				return problem
			}
			// Whether anybody is there to be asked then is no reason not to ask the others now.
			if !apiequality.Semantic.DeepEqual(further, v1alpha1.Approvers{}) {
				resolved.Further = &further
			}
		}
		r.out.Stages = append(r.out.Stages, resolved)
	}
	return nil
}

func (r *run) requirement(ctx context.Context, stage *catalog.Stage, from *catalog.Requirement) (v1alpha1.Requirement, *Problem) {
	out := v1alpha1.Requirement{Name: from.Name, Count: from.Count}
	var problem *Problem
	if out.Approvers, problem = r.named(ctx, stage, from); problem != nil {
		return out, problem
	}
	if who := emptiness(r.out.Snapshot, r.out.Action, &out.Approvers); who != "" {
		if hidden := r.hidden(ctx, from.Uses); hidden != "" {
			who = "what it takes from facts names nobody (" + hidden + ")"
		}
		problem := nobody(stage, who)
		if from.Expression != nil {
			problem.Reason = v1alpha1.ReasonUnsatisfiable
		}
		return out, problem
	}
	return out, nil
}

// named fills in who a requirement names.
func (r *run) named(ctx context.Context, stage *catalog.Stage, from *catalog.Requirement) (v1alpha1.Approvers, *Problem) {
	var out v1alpha1.Approvers
	if from.Open() {
		out.Roles = []string{AnyRole}
	}
	for i := range from.Approvers {
		names, problem := r.names(ctx, stage, &from.Approvers[i])
		if problem != nil {
			return out, problem
		}
		*listOf(&out, from.Approvers[i].Kind) = names
	}
	return out, r.computed(ctx, stage, from, &out)
}

// maxUsers is how many user names one requirement can hold.
const maxUsers = 64

// computed adds the users that an expression gives.
func (r *run) computed(ctx context.Context, stage *catalog.Stage, from *catalog.Requirement, to *v1alpha1.Approvers) *Problem {
	if from.Expression == nil {
		return nil
	}
	source := from.Expression.Source()
	if problem := r.doubtStage(ctx, stage, from.Expression.Uses, source); problem != nil {
		return problem
	}
	hidden := func() string { return r.hidden(ctx, from.Expression.Uses) }
	names, err := from.Expression.EvalStrings(ctx, r.out.Vars, r.budget)
	if err != nil {
		return r.unnamed(stage, source, err, hidden)
	}
	for _, name := range names {
		if errs := catalog.CheckApprover(catalog.ApproverUsers, name, nil); len(errs) > 0 {
			return misnamed(stage, source, name, errs[0].Detail, hidden())
		}
	}
	names = append(names, to.Users...)
	slices.Sort(names)
	if to.Users = slices.Compact(names); len(to.Users) > maxUsers {
		return &Problem{Reason: v1alpha1.ReasonIndeterminate, Message: fmt.Sprintf(
			"cannot tell who must approve: in stage %q, %s gives more than the %d users that an Approval can hold. Name a group or a Team instead.", stage.Ref.Name, source, maxUsers)}
	}
	return nil
}

// unnamed says that something gave no name, without what the requester may not read.
func (r *run) unnamed(stage *catalog.Stage, source string, err error, hidden func() string) *Problem {
	why := err.Error()
	if !unavailableNow(err) {
		if hidden := hidden(); hidden != "" {
			why = "that gives no name (" + hidden + ")"
		}
	}
	return &Problem{Reason: v1alpha1.ReasonIndeterminate, Message: fmt.Sprintf(
		"cannot tell who must approve: stage %q asks for %s, and %s", stage.Ref.Name, source, why)}
}

// misnamed says that something gave what can be nobody's name.
func misnamed(stage *catalog.Stage, source, name, why, hidden string) *Problem {
	if hidden != "" {
		return nobody(stage, fmt.Sprintf("%s gives nobody's name (%s)", source, hidden))
	}
	return nobody(stage, fmt.Sprintf("%s gives %q: %s", source, name, why))
}

// hidden says why what something gives is not shown to the requester: it rests on a fact that they may not read. Empty: it can be shown.
func (r *run) hidden(ctx context.Context, uses func(string) bool) string {
	if _, why := r.secret(uses, r.listener(ctx, true)); why != "" {
		return "not shown: " + why
	}
	return ""
}

func (r *run) names(ctx context.Context, stage *catalog.Stage, list *catalog.ApproverList) ([]string, *Problem) {
	var names []string
	for _, text := range list.Names {
		if problem := r.doubtStage(ctx, stage, text.Uses, text.Source); problem != nil {
			return nil, problem
		}
		hidden := func() string { return r.hidden(ctx, text.Uses) }
		name, err := text.RenderString(ctx, r.out.Vars, r.budget)
		if err != nil {
			return nil, r.unnamed(stage, text.Source, err, hidden)
		}
		if errs := catalog.CheckApprover(list.Kind, name, nil); len(errs) > 0 {
			return nil, misnamed(stage, text.Source, name, errs[0].Detail, hidden())
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func nobody(stage *catalog.Stage, who string) *Problem {
	return &Problem{Reason: v1alpha1.ReasonIndeterminate,
		Message: fmt.Sprintf("cannot tell who must approve: in stage %q, %s. Nobody could agree, so the request could never run.", stage.Ref.Name, who)}
}

func listOf(a *v1alpha1.Approvers, kind catalog.ApproverKind) *[]string {
	switch kind {
	case catalog.ApproverUsers:
		return &a.Users
	case catalog.ApproverGroups:
		return &a.Groups
	case catalog.ApproverTeams:
		return &a.Teams
	case catalog.ApproverServiceAccounts:
		return &a.ServiceAccounts
	case catalog.ApproverRoles:
		return &a.Roles
	case catalog.ApproverLeadsOf:
		return &a.LeadsOf
	}
	return &[]string{}
}

// emptiness says why approvers name nobody at all, or nothing where somebody may exist.
func emptiness(s *snapshot.Snapshot, action *catalog.Action, a *v1alpha1.Approvers) string {
	if len(a.ServiceAccounts) > 0 {
		return ""
	}
	for subjects := range NamedBy(s, action.Object, a) {
		if users, open := s.PeopleOf(subjects); len(users) > 0 || open {
			return ""
		}
	}
	var why []string
	for _, team := range slices.Concat(a.Teams, a.LeadsOf) {
		if s.Team(team) == nil {
			why = append(why, fmt.Sprintf("there is no Team %q", team))
		} else {
			why = append(why, fmt.Sprintf("Team %q names nobody", team))
		}
	}
	for _, role := range a.Roles {
		if role == AnyRole {
			why = append(why, fmt.Sprintf("no Role in namespace %s gives \"approve\" on %s", action.Object.Namespace, action.Object.Name))
		} else if s.Role(action.Object.Namespace, role) == nil {
			why = append(why, fmt.Sprintf("there is no Role %q in namespace %s", role, action.Object.Namespace))
		} else {
			why = append(why, fmt.Sprintf("Role %q has no members", role))
		}
	}
	if len(why) == 0 {
		return "it names nobody"
	}
	return strings.Join(why, " and ")
}

// approvers lists the users that approvers name, and the groups, whose members nobody can list.
func approvers(s *snapshot.Snapshot, action *catalog.Action, a *v1alpha1.Approvers) (users, groups []string) {
	for subjects := range NamedBy(s, action.Object, a) {
		u, _ := s.PeopleOf(subjects)
		users, groups = append(users, u...), append(groups, s.GroupsOf(subjects)...)
	}
	slices.Sort(users)
	slices.Sort(groups)
	return slices.Compact(users), slices.Compact(groups)
}

// NamedBy gives everything by which approvers of an Action name people.
func NamedBy(s *snapshot.Snapshot, action *v1alpha1.Action, a *v1alpha1.Approvers) iter.Seq[*v1alpha1.Subjects] {
	return func(yield func(*v1alpha1.Subjects) bool) {
		if !yield(&v1alpha1.Subjects{Users: a.Users, Groups: a.Groups, Teams: a.Teams}) {
			return
		}
		for _, team := range a.LeadsOf {
			if t := s.Team(team); t != nil && t.Spec.Leads != nil && !yield(t.Spec.Leads) {
				return
			}
		}
		for _, role := range rolesOf(s, action, a.Roles) {
			if !yield(&role.Object.Spec.Members) {
				return
			}
		}
	}
}

// rolesOf finds the Roles that approvers name, and those that inherit them.
func rolesOf(s *snapshot.Snapshot, action *v1alpha1.Action, names []string) []*catalog.Role {
	var roles []*catalog.Role
	for _, name := range names {
		if name == AnyRole {
			roles = append(roles, s.Granting(action, v1alpha1.VerbApprove)...)
			continue
		}
		roles = append(roles, s.Holding(action.Namespace, name)...)
	}
	return roles
}

// Defines tells whether there is a stage, demanded or not.
func (j *Judgement) Defines(stage v1alpha1.StageReference) bool {
	if stage.Policy == "" {
		return j.Action.Stages[stage.Name] != nil
	}
	return slices.ContainsFunc(j.Snapshot.AllPolicies(), func(e snapshot.PolicyEntry) bool {
		return e.Policy.Object.Name == stage.Policy && (e.Err != nil || slices.ContainsFunc(e.Policy.Object.Spec.Stages, func(s v1alpha1.Stage) bool {
			return s.Name == stage.Name
		}))
	})
}
