package v1alpha1

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RequestFinalizer is put on every ActionRequest when it is created, so that a request that acts is never removed unseen.
const RequestFinalizer = "signoff.dev/request"

const (
	// LabelRequest names, on an Approval, the ActionRequest it belongs to (cut to 63 characters).
	LabelRequest = "signoff.dev/request"
	// LabelRequestUID names, on an Approval, on a Job that a step created, and on what a temporary request created with nothing but a name, the uid of the
	// ActionRequest.
	LabelRequestUID = "signoff.dev/request-uid"
	// LabelStep names, on a Job, the step that created it.
	LabelStep = "signoff.dev/step"
	// LabelAction names, on a Record, the Action that was executed, as "<namespace>.<name>" where that fits. This label and the two below
	// only help to find Records: spec says what is so.
	LabelAction = "signoff.dev/action"
	// LabelRequester names, on a Record, the person who asked, where the name fits.
	LabelRequester = "signoff.dev/requester"
	// LabelHour names, on a Record, the hour in which the execution began, in UTC, as "2026-12-24T15".
	LabelHour = "signoff.dev/hour"
	// LabelNonce holds, on a Record, the nonce of the seal of its request.
	LabelNonce = "signoff.dev/nonce"
	// AnnotationEdits holds, on an Action, who has changed it lately, sealed. Only the admission webhook writes it.
	AnnotationEdits = "signoff.dev/edits"
	// AnnotationVerdict carries, on the result of a server-side dry run and nowhere else, the whole verdict as JSON.
	AnnotationVerdict = "signoff.dev/verdict"
	// AnnotationAt asks, in a server-side dry run and nowhere else, what the verdict would be at another time, in RFC 3339.
	AnnotationAt = "signoff.dev/at"
)

// Duration is a length of time such as "30m", "24h" or "1h30m": one to three numbers, each with the unit h, m or s. It is longer
// than zero.
// +kubebuilder:validation:MaxLength=18
// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s)){1,3}$`
// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be longer than zero"
type Duration string

// Value parses the duration. An empty one gives the fallback.
func (d Duration) Value(fallback time.Duration) (time.Duration, error) {
	if d == "" {
		return fallback, nil
	}
	v, err := time.ParseDuration(string(d))
	if err != nil {
		return 0, fmt.Errorf("failed to parse duration %q: %w", string(d), err)
	}
	return v, nil
}

// Subjects says "who": everybody who is named by at least one of its lists. A list that is unset names nobody.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="(has(self.users) ? size(self.users) : 0) + (has(self.groups) ? size(self.groups) : 0) + (has(self.teams) ? size(self.teams) : 0) + (has(self.serviceAccounts) ? size(self.serviceAccounts) : 0) > 0",message="names nobody: at least one of users, groups, teams, serviceAccounts is needed"
type Subjects struct {
	// users are user names, exactly as the API server authenticates them. A ServiceAccount does not belong here.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:items:XValidation:rule="!self.startsWith('system:serviceaccount:')",message="a ServiceAccount belongs in serviceAccounts, as namespace/name"
	Users []string `json:"users,omitempty"`

	// groups are group names, exactly as the API server authenticates them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Groups []string `json:"groups,omitempty"`

	// teams are names of Teams. Members of a Team below count as members of the Team above.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Teams []string `json:"teams,omitempty"`

	// serviceAccounts are ServiceAccounts as "namespace/name".
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=320
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	ServiceAccounts []string `json:"serviceAccounts,omitempty"`
}

// Approvers says who may agree in a stage: everybody who is named by at least one of its lists, may use the verb "approve"
// on the Action, and is not the requester. Every string may be a ${…} template over facts. A list that is unset names nobody.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="(has(self.users) ? size(self.users) : 0) + (has(self.groups) ? size(self.groups) : 0) + (has(self.teams) ? size(self.teams) : 0) + (has(self.serviceAccounts) ? size(self.serviceAccounts) : 0) + (has(self.roles) ? size(self.roles) : 0) + (has(self.leadsOf) ? size(self.leadsOf) : 0) + (has(self.expression) ? 1 : 0) > 0",message="names nobody: at least one of users, groups, teams, serviceAccounts, roles, leadsOf, expression is needed"
type Approvers struct {
	// users are user names, exactly as the API server authenticates them. Those that begin with "system:" never approve.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:XValidation:rule="!self.startsWith('system:')",message="system identities never approve: a ServiceAccount belongs in serviceAccounts, as namespace/name"
	Users []string `json:"users,omitempty"`

	// groups are group names, exactly as the API server authenticates them. Groups that begin with "system:" never approve.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:XValidation:rule="!self.startsWith('system:')",message="system groups never approve: name a group of people"
	Groups []string `json:"groups,omitempty"`

	// teams are names of Teams. Members of a Team below count as members of the Team above.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Teams []string `json:"teams,omitempty"`

	// serviceAccounts are ServiceAccounts as "namespace/name". The configuration must allow each of them as well.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	ServiceAccounts []string `json:"serviceAccounts,omitempty"`

	// roles are names of Roles in the namespace of the Action: their members approve.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Roles []string `json:"roles,omitempty"`

	// leadsOf are names of Teams whose leads approve.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	LeadsOf []string `json:"leadsOf,omitempty"`

	// expression is a CEL expression over facts that gives a list of further user names, up to 64 with those of users. In an Approval it is
	// unset: what it gave stands in users. Unset: there are none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Expression string `json:"expression,omitempty"`
}

// Effect is what a rule does when it applies.
// +kubebuilder:validation:Enum=Allow;RequireApproval;Hold;Deny
type Effect string

const (
	// EffectAllow lets the request run without asking anybody. Any other effect that applies is stronger.
	EffectAllow Effect = "Allow"
	// EffectRequireApproval demands the approval of every stage that the rule names.
	EffectRequireApproval Effect = "RequireApproval"
	// EffectHold delays the start for as long as the rule applies. Votes are collected meanwhile.
	EffectHold Effect = "Hold"
	// EffectDeny refuses the request at admission, and delays it if it applies only later.
	EffectDeny Effect = "Deny"
)

// Stage is one round of approval.
// +kubebuilder:validation:XValidation:rule="has(self.approvers) != has(self.requirements)",message="exactly one of approvers and requirements is needed"
// +kubebuilder:validation:XValidation:rule="!has(self.count) || has(self.approvers)",message="count goes with approvers; each of requirements has its own count"
type Stage struct {
	// name is the stage's name, unique in the Action or ActionPolicy.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// after names stages that must be approved before this one opens. A stage that is not required counts as approved.
	// Unset: the stage opens at once.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	After []string `json:"after,omitempty"`

	// approvers says who may agree. Either approvers or requirements is set.
	// +optional
	Approvers *Approvers `json:"approvers,omitempty"`

	// count is how many different people of approvers must agree. Defaults to 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	Count int32 `json:"count,omitempty"`

	// requirements are several demands, all to be met. One person counts for one of them.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Requirements []Requirement `json:"requirements,omitempty"`

	// denials is how many different people must deny before the stage is denied. Where fewer are able to, as many as are. Defaults to 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	Denials int32 `json:"denials,omitempty"`

	// commentOnDeny says whether somebody who denies must say why. Defaults to Required.
	// +optional
	CommentOnDeny CommentOnDeny `json:"commentOnDeny,omitempty"`

	// reminder is how long the stage stays open before people are reminded by an Event, and again each time as long has passed; at least a
	// minute. Unset: nobody is reminded.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m')",message="must be at least a minute"
	Reminder Duration `json:"reminder,omitempty"`

	// escalation lets further people agree once nobody has decided for some time. Unset: nobody else may ever agree.
	// +optional
	Escalation *Escalation `json:"escalation,omitempty"`

	// timeout is how long the stage stays open. Unset: as long as the request lives.
	// +optional
	Timeout Duration `json:"timeout,omitempty"`

	// validFor is how long a granted approval may wait for the start before it must be given again. Unset: as long as the
	// request lives.
	// +optional
	ValidFor Duration `json:"validFor,omitempty"`
}

// Escalation lets further people agree in a stage that has been open for some time.
type Escalation struct {
	// after is how long the stage must have been open.
	// +required
	After Duration `json:"after"`

	// approvers says who may then agree too, for every requirement of the stage.
	// +required
	Approvers Approvers `json:"approvers"`
}

// CommentOnDeny says whether somebody who denies must say why.
// +kubebuilder:validation:Enum=Required;Optional
type CommentOnDeny string

const (
	// CommentRequired refuses a denial without a comment: the requester will read it.
	CommentRequired CommentOnDeny = "Required"
	// CommentOptional accepts a denial without a comment.
	CommentOptional CommentOnDeny = "Optional"
)

// Requirement is one demand of a stage: so many different people out of these.
type Requirement struct {
	// name is the requirement's name, unique in the stage.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// approvers says who may agree.
	// +required
	Approvers Approvers `json:"approvers"`

	// count is how many different people must agree. Defaults to 1.
	// +optional
	// +default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	Count int32 `json:"count,omitempty"`
}

// ActionReference names an Action.
type ActionReference struct {
	// namespace is the namespace of the Action, its catalog.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`

	// name is the name of the Action.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// String returns the reference as "namespace/name".
func (r ActionReference) String() string { return r.Namespace + "/" + r.Name }

// Identity is who made a write, as the API server authenticated them. Only the admission webhook writes it.
type Identity struct {
	// username is the authenticated user name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Username string `json:"username"`

	// uid is the authenticated uid, where the authenticator gives one.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	UID string `json:"uid,omitempty"`

	// groups are the authenticated groups. Unset: none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MaxLength=1024
	Groups []string `json:"groups,omitempty"`

	// extra holds those extra attributes of the login that the configuration allows to be stored. Unset: none.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(key, size(key) <= 256)",message="a key has at most 256 characters"
	Extra map[string]ExtraValue `json:"extra,omitempty"`

	// person is who stands behind the login, by the person expression of the configuration. It only ever excludes. Unset: the
	// user name stands for the person.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Person string `json:"person,omitempty"`
}

// ExtraValue holds the values of one extra attribute of a login.
// +kubebuilder:validation:MaxItems=64
// +kubebuilder:validation:items:MaxLength=1024
// +listType=atomic
type ExtraValue []string

// Seal is a signature over the object that it is part of, with what the object does not say itself.
type Seal struct {
	// at is when it was sealed, by the clock of whoever sealed it, in whole milliseconds.
	// +required
	At metav1.MicroTime `json:"at"`

	// signature is the signature as "v1.<key id>.<signature>", see docs/design/seal.
	// +required
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^v[0-9]+\.[0-9a-f]{16}\.[A-Za-z0-9_-]{86}$`
	Signature string `json:"signature"`
}

// PlannedChange is what one step will do to one object.
type PlannedChange struct {
	// step is the name of the step.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Step string `json:"step,omitempty"`

	// operation is what will be done: apply, patch, delete or run.
	// +required
	// +kubebuilder:validation:MaxLength=16
	Operation string `json:"operation"`

	// object is the object, as "Kind namespace/name".
	// +required
	// +kubebuilder:validation:MaxLength=512
	Object string `json:"object"`

	// fields are the fields that will change, a line each, as "path: old → new".
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=512
	Fields []string `json:"fields,omitempty"`

	// basis stands for what the change finds: which object, and what the fields that it writes had, as "keyed-<key id>:…"; as "sha256:…" where there
	// is none, or its version stands for it. Where it is another one before the start, onDrift of the Action decides. Unset: nothing is found
	// that could change.
	// +optional
	// +kubebuilder:validation:Pattern=`^(sha256|keyed-[0-9a-f]{16}):[0-9a-f]{64}$`
	// +kubebuilder:validation:MaxLength=87
	Basis string `json:"basis,omitempty"`
}
