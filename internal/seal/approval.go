package seal

import (
	"errors"
	"fmt"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/canonical"
)

// Approval is approval.v1: what is to be agreed to, by whom, and until when. Votes begin their chain at it. It is sealed before the API
// server gives the Approval its uid; each vote names that.
type Approval struct {
	Common
	Name string `json:"name,omitempty"`
	// Request is the request that is to be agreed to.
	Request Reference `json:"request,omitzero"`
	Action  Reference `json:"action,omitzero"`
	Stage   Stage     `json:"stage,omitzero"`
	Digest  string    `json:"digest,omitempty"`
	// ClosesAt is in milliseconds. It was opened at IssuedAt.
	ClosesAt     int64         `json:"closes,omitempty"`
	Requirements []Requirement `json:"requirements,omitempty"`
	// Denials and CommentOnDeny are how many must deny, and whether they must say why.
	Denials       int32  `json:"denials,omitempty"`
	CommentOnDeny string `json:"commentOnDeny,omitempty"`
	Reminder      string `json:"reminder,omitempty"`
	// Escalation is who may agree too, and from when on.
	Escalation Escalation `json:"escalation,omitzero"`
	Review     bool       `json:"review,omitempty"`
	// Shown is the hash of what approvers read. The text itself is not in the seal, because seals are shown in audit logs.
	Shown string `json:"shown,omitempty"`
}

// Reference names an object. Its namespace is left out where it is that of the payload.
type Reference struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	UID       string `json:"uid,omitempty"`
}

// Stage is a stage, and the ActionPolicy that defines it. Empty: the Action does.
type Stage struct {
	Name   string `json:"name,omitempty"`
	Policy string `json:"policy,omitempty"`
}

// Escalation is who may agree too, from a time on, in milliseconds.
type Escalation struct {
	At int64 `json:"at,omitempty"`
	Approvers
}

// Requirement is one demand of a stage.
type Requirement struct {
	Name  string `json:"name,omitempty"`
	Count int32  `json:"count,omitempty"`
	Approvers
}

// Approvers are who may agree. All lists are sets.
type Approvers struct {
	Users           []string `json:"users,omitempty"`
	Groups          []string `json:"groups,omitempty"`
	Teams           []string `json:"teams,omitempty"`
	ServiceAccounts []string `json:"serviceAccounts,omitempty"`
	Roles           []string `json:"roles,omitempty"`
	LeadsOf         []string `json:"leadsOf,omitempty"`
	Expression      string   `json:"expression,omitempty"`
}

// shown is what approvers read. It is closed, as payloads are.
type shown struct {
	Requester Identity `json:"requester,omitzero"`
	Summary   []string `json:"summary,omitempty"`
	Plan      []change `json:"plan,omitempty"`
	Reason    string   `json:"reason,omitempty"`
	For       string   `json:"for,omitempty"`
	Needs     string   `json:"needs,omitempty"`
	Expires   string   `json:"expires,omitempty"`
}

type change struct {
	Step      string   `json:"step,omitempty"`
	Operation string   `json:"operation,omitempty"`
	Object    string   `json:"object,omitempty"`
	Fields    []string `json:"fields,omitempty"`
	Basis     string   `json:"basis,omitempty"`
}

var changeFields = all("step", "operation", "object", "fields", "basis")

var approverFields = all("users", "groups", "teams", "serviceAccounts", "roles", "leadsOf", "expression")

var requirementFields = all("name", "count").under("approvers", approverFields)

var approvalFields = knownOf[v1alpha1.ApprovalSpec](
	all("requestRef.name", "requestRef.uid", "actionRef.namespace", "actionRef.name", "stage.name", "stage.policy",
		"digest", "summary", "reason", "for", "needs", "expires", "expiresAt", "review", "denials", "commentOnDeny", "reminder").
		under("plan[]", changeFields).
		under("requester", identityFields).
		under("requirements[]", requirementFields).
		under("escalation", all("at").under("approvers", approverFields)).
		but("seal", "it is the stamp and the signature of this payload").
		but("vote", "it is never stored; what it says becomes an entry of votes").
		but("votes", "each comes later and has a seal of its own, vote.v1"))

// Type is approval.v1.
func (*Approval) Type() Type { return TypeApproval }

func (p *Approval) check() error {
	var m missing
	m.add(p.Common.check())
	m.text("namespace", p.Namespace)
	m.text("name", p.Name)
	m.text("request.name", p.Request.Name)
	m.text("request.uid", p.Request.UID)
	m.text("action.namespace", p.Action.Namespace)
	m.text("action.name", p.Action.Name)
	m.text("stage.name", p.Stage.Name)
	m.sum("digest", p.Digest)
	m.sum("shown", p.Shown)
	m.number("closes", p.ClosesAt)
	if len(p.Requirements) == 0 {
		m.add(errors.New("requirements are missing"))
	}
	return m.err()
}

// ApprovalPayload builds approval.v1 from an Approval.
func ApprovalPayload(ap *v1alpha1.Approval, s Stamp) (*Approval, error) {
	spec := &ap.Spec
	if err := approvalFields.check(TypeApproval, spec); err != nil {
		return nil, err
	}
	var m millis
	texts, err := canonical.SumOf(shown{
		Requester: identity(&spec.Requester), Summary: spec.Summary, Plan: changes(spec.Plan),
		Reason: spec.Reason, For: spec.For, Needs: spec.Needs, Expires: spec.Expires,
	})
	if err != nil {
		m.add(fmt.Errorf("failed to encode what approvers read: %w", err))
	}
	return built(&Approval{
		Common:       s.common(&m, approvals, ap.Namespace),
		Name:         ap.Name,
		Request:      Reference{Name: spec.RequestRef.Name, UID: string(spec.RequestRef.UID)},
		Action:       Reference{Namespace: spec.ActionRef.Namespace, Name: spec.ActionRef.Name},
		Stage:        Stage{spec.Stage.Name, spec.Stage.Policy},
		Digest:       spec.Digest,
		ClosesAt:     m.of("expiresAt", spec.ExpiresAt.Time),
		Requirements: requirements(spec.Requirements),
		Denials:      spec.Denials, CommentOnDeny: string(spec.CommentOnDeny),
		Reminder: string(spec.Reminder), Escalation: escalation(&m, spec.Escalation),
		Review: spec.Review,
		Shown:  texts,
	}, &m)
}

func requirements(list []v1alpha1.Requirement) []Requirement {
	out := make([]Requirement, 0, len(list))
	for i := range list {
		out = append(out, Requirement{Name: list[i].Name, Count: list[i].Count, Approvers: approversOf(&list[i].Approvers)})
	}
	return out
}

func escalation(m *millis, e *v1alpha1.ApprovalEscalation) Escalation {
	if e == nil {
		return Escalation{}
	}
	return Escalation{At: m.at("escalation.at", &e.At), Approvers: approversOf(&e.Approvers)}
}

func approversOf(who *v1alpha1.Approvers) Approvers {
	return Approvers{
		Users: sorted(who.Users), Groups: sorted(who.Groups), Teams: sorted(who.Teams),
		ServiceAccounts: sorted(who.ServiceAccounts), Roles: sorted(who.Roles), LeadsOf: sorted(who.LeadsOf), Expression: who.Expression,
	}
}

func changes(list []v1alpha1.PlannedChange) []change {
	out := make([]change, 0, len(list))
	for _, c := range list {
		out = append(out, change{c.Step, c.Operation, c.Object, c.Fields, c.Basis})
	}
	return out
}
