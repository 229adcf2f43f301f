package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Approval is one stage of one request at one digest. It holds everything that an approver must read. To vote, write
// spec.vote.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=signoff,shortName=ap
// +kubebuilder:selectablefield:JSONPath=`.status.state`
// +kubebuilder:selectablefield:JSONPath=`.spec.requestRef.name`
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.spec.actionRef.name`
// +kubebuilder:printcolumn:name="Requester",type=string,JSONPath=`.spec.requester.username`
// +kubebuilder:printcolumn:name="Stage",type=string,JSONPath=`.spec.stage.name`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Needs",type=string,JSONPath=`.spec.needs`
// +kubebuilder:printcolumn:name="For",type=string,JSONPath=`.spec.for`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expires`
// +kubebuilder:printcolumn:name="Waiting For",type=string,priority=1,JSONPath=`.status.waitingFor`
// +kubebuilder:printcolumn:name="Policy",type=string,priority=1,JSONPath=`.spec.stage.policy`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.state) || oldSelf.status.state == 'Open' || (has(self.status) && has(self.status.state) && (self.status.state == oldSelf.status.state || (oldSelf.status.state == 'Approved' && self.status.state == 'Superseded')))",message="a closed Approval stays closed: only Approved may still become Superseded",fieldPath=".status.state"
type Approval struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is to be agreed to, by whom, and the votes.
	// +required
	Spec ApprovalSpec `json:"spec"`

	// status is the result. Only the operator writes it.
	// +optional
	// +default={"observedGeneration":-1,"state":"Open"}
	Status ApprovalStatus `json:"status,omitzero"`
}

// ApprovalSpec is what is to be agreed to, by whom, and the votes. Only votes are ever added to it.
// +kubebuilder:validation:XValidation:rule="self.requestRef == oldSelf.requestRef",message="requestRef cannot change",fieldPath=".requestRef"
// +kubebuilder:validation:XValidation:rule="self.actionRef == oldSelf.actionRef",message="actionRef cannot change",fieldPath=".actionRef"
// +kubebuilder:validation:XValidation:rule="self.stage == oldSelf.stage",message="stage cannot change",fieldPath=".stage"
// +kubebuilder:validation:XValidation:rule="self.digest == oldSelf.digest",message="digest cannot change",fieldPath=".digest"
// +kubebuilder:validation:XValidation:rule="self.requirements == oldSelf.requirements",message="requirements cannot change",fieldPath=".requirements"
// +kubebuilder:validation:XValidation:rule="has(self.denials) == has(oldSelf.denials) && (!has(self.denials) || self.denials == oldSelf.denials)",message="denials cannot change",fieldPath=".denials"
// +kubebuilder:validation:XValidation:rule="has(self.commentOnDeny) == has(oldSelf.commentOnDeny) && (!has(self.commentOnDeny) || self.commentOnDeny == oldSelf.commentOnDeny)",message="commentOnDeny cannot change",fieldPath=".commentOnDeny"
// +kubebuilder:validation:XValidation:rule="has(self.reminder) == has(oldSelf.reminder) && (!has(self.reminder) || self.reminder == oldSelf.reminder)",message="reminder cannot change",fieldPath=".reminder"
// +kubebuilder:validation:XValidation:rule="has(self.escalation) == has(oldSelf.escalation) && (!has(self.escalation) || self.escalation == oldSelf.escalation)",message="escalation cannot change",fieldPath=".escalation"
// +kubebuilder:validation:XValidation:rule="self.requester == oldSelf.requester",message="requester cannot change",fieldPath=".requester"
// +kubebuilder:validation:XValidation:rule="self.summary == oldSelf.summary",message="summary cannot change",fieldPath=".summary"
// +kubebuilder:validation:XValidation:rule="has(self.plan) == has(oldSelf.plan) && (!has(self.plan) || self.plan == oldSelf.plan)",message="plan cannot change",fieldPath=".plan"
// +kubebuilder:validation:XValidation:rule="has(self.reason) == has(oldSelf.reason) && (!has(self.reason) || self.reason == oldSelf.reason)",message="reason cannot change",fieldPath=".reason"
// +kubebuilder:validation:XValidation:rule="has(self.__for__) == has(oldSelf.__for__) && (!has(self.__for__) || self.__for__ == oldSelf.__for__)",message="for cannot change",fieldPath=".for"
// +kubebuilder:validation:XValidation:rule="self.needs == oldSelf.needs",message="needs cannot change",fieldPath=".needs"
// +kubebuilder:validation:XValidation:rule="self.expires == oldSelf.expires",message="expires cannot change",fieldPath=".expires"
// +kubebuilder:validation:XValidation:rule="self.expiresAt == oldSelf.expiresAt",message="expiresAt cannot change",fieldPath=".expiresAt"
// +kubebuilder:validation:XValidation:rule="has(self.review) == has(oldSelf.review) && (!has(self.review) || self.review == oldSelf.review)",message="review cannot change",fieldPath=".review"
// +kubebuilder:validation:XValidation:rule="has(self.seal) == has(oldSelf.seal) && (!has(self.seal) || self.seal == oldSelf.seal)",message="seal cannot change",fieldPath=".seal"
// +kubebuilder:validation:XValidation:rule="!has(self.vote)",message="nothing was recorded: the admission webhook of Signoff, which turns vote into an entry of votes, did not see this write",fieldPath=".vote"
type ApprovalSpec struct {
	// requestRef is the request that is to be agreed to, in the same namespace.
	// +required
	RequestRef RequestReference `json:"requestRef"`

	// actionRef is the Action that is asked for.
	// +required
	ActionRef ActionReference `json:"actionRef"`

	// stage is the stage, and where it is defined.
	// +required
	Stage StageReference `json:"stage"`

	// digest stands for everything that will be executed, as "sha256:…".
	// +required
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +kubebuilder:validation:MaxLength=71
	Digest string `json:"digest"`

	// summary is what an approver must read, a line each.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=4096
	Summary []string `json:"summary"`

	// plan is what the steps will do.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Plan []PlannedChange `json:"plan,omitempty"`

	// requirements say who must agree, with every template filled in.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Requirements []Requirement `json:"requirements"`

	// denials is how many different people must deny before the Approval is Denied. Where fewer are able to, as many as are. Defaults to 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	Denials int32 `json:"denials,omitempty"`

	// commentOnDeny says whether somebody who denies must say why. Defaults to Required.
	// +optional
	CommentOnDeny CommentOnDeny `json:"commentOnDeny,omitempty"`

	// reminder is how long the Approval stays open before people are reminded, and again each time as long has passed. Unset: nobody is
	// reminded.
	// +optional
	Reminder Duration `json:"reminder,omitempty"`

	// escalation says who may agree too, and from when on. Unset: nobody else.
	// +optional
	Escalation *ApprovalEscalation `json:"escalation,omitempty"`

	// requester is who asked.
	// +required
	Requester Identity `json:"requester"`

	// reason is why, in the requester's words, with what a terminal would obey escaped; as written it is in the request. Unset: the requester gave none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Reason string `json:"reason,omitempty"`

	// for is the beginning of reason with control characters escaped. Unset: there is no reason.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	For string `json:"for,omitempty"`

	// needs says in a few words whose agreement is needed.
	// +required
	// +kubebuilder:validation:MaxLength=256
	Needs string `json:"needs"`

	// expires is expiresAt for people.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Expires string `json:"expires"`

	// expiresAt is when the Approval expires if nobody decides.
	// +required
	ExpiresAt metav1.Time `json:"expiresAt"`

	// review is true on the review of a request that broke the glass: it is voted on after the start, and holds nothing up. Unset: the
	// request waits for this Approval.
	// +optional
	Review bool `json:"review,omitempty"`

	// seal proves that the operator opened the Approval, and when. Unset: somebody else did, and it never counts.
	// +optional
	Seal *Seal `json:"seal,omitempty"`

	// vote is how to vote: write it, and the webhook turns it into one entry of votes. It is always empty when read.
	// +optional
	Vote *VoteRequest `json:"vote,omitempty"`

	// votes are the votes so far. Only the webhook appends to them. Defaults to none.
	// +optional
	// +listType=atomic
	// +default=[]
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:XValidation:rule="size(self) >= size(oldSelf) && oldSelf.all(i, v, self[i] == v)",message="votes are only ever added: to take yours back, vote Withdraw"
	Votes []Vote `json:"votes"`
}

// ApprovalEscalation says who may agree too, and from when on.
type ApprovalEscalation struct {
	// at is from when on.
	// +required
	At metav1.Time `json:"at"`

	// approvers says who, with every template filled in, for every requirement.
	// +required
	Approvers Approvers `json:"approvers"`
}

// RequestReference names an ActionRequest in the same namespace.
type RequestReference struct {
	// name is the name of the request.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// uid is the uid of the request.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Type=string
	UID types.UID `json:"uid"`
}

// StageReference names a stage and says where it is defined.
type StageReference struct {
	// name is the name of the stage.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// policy is the ActionPolicy that defines the stage. Unset: the Action does.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Policy string `json:"policy,omitempty"`
}

// ID returns the stage as "action/<stage>" or "policy/<policy>/<stage>", unique among all stages of a request.
func (s StageReference) ID() string {
	if s.Policy != "" {
		return "policy/" + s.Policy + "/" + s.Name
	}
	return "action/" + s.Name
}

// Decision is what a vote says.
// +kubebuilder:validation:Enum=Approve;Deny;Withdraw
type Decision string

const (
	// DecisionApprove agrees.
	DecisionApprove Decision = "Approve"
	// DecisionDeny refuses. Once as many people have denied as the stage says, one if it does not, the request is over.
	DecisionDeny Decision = "Deny"
	// DecisionWithdraw takes the own earlier vote back.
	DecisionWithdraw Decision = "Withdraw"
)

// VoteRequest is how to vote.
type VoteRequest struct {
	// decision is what the vote says.
	// +required
	Decision Decision `json:"decision"`

	// comment says why. Needed with Deny, unless commentOnDeny is Optional.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Comment string `json:"comment,omitempty"`

	// digest is the digest that the voter looked at, or its first 8 or more hexadecimal digits. Where it is given, the vote
	// counts only if it is still the digest of this Approval. Unset: the vote is on the digest that the Approval shows.
	// +optional
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^(sha256:)?[0-9a-f]{8,64}$`
	Digest string `json:"digest,omitempty"`

	// principal is the user name of whom the voter stands for, by a Delegation of theirs. Unset: the voter; or, where they could not vote in
	// their own name, the first who lets them.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Principal string `json:"principal,omitempty"`
}

// Vote is one vote by one login.
type Vote struct {
	// decision is what the vote says.
	// +required
	Decision Decision `json:"decision"`

	// comment says why, in the voter's words.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Comment string `json:"comment,omitempty"`

	// voter is who voted.
	// +required
	Voter Identity `json:"voter"`

	// delegation is what lets the voter vote for somebody else. Unset: the vote is the voter's own.
	// +optional
	Delegation *VoteDelegation `json:"delegation,omitempty"`

	// at is when.
	// +required
	At metav1.MicroTime `json:"at"`

	// digest is the digest of the Approval.
	// +required
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +kubebuilder:validation:MaxLength=71
	Digest string `json:"digest"`

	// seal is the signature over the vote and over the one before it, as "v1.<key id>.<signature>". The admission webhook writes it.
	// Unset: the vote was stored without the webhook, and never counts.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^v[0-9]+\.[0-9a-f]{16}\.[A-Za-z0-9_-]{86}$`
	Seal string `json:"seal,omitempty"`
}

// By names who voted, and for whom where that is somebody else, as in "dora for bob".
func (v *Vote) By() string {
	if v.Delegation == nil {
		return v.Voter.Username
	}
	return v.Voter.Username + " for " + v.Delegation.Principal
}

// ApprovalState is the result of an Approval.
// +kubebuilder:validation:Enum=Open;Approved;Denied;Expired;Superseded
type ApprovalState string

const (
	// ApprovalOpen means that votes are still counted.
	ApprovalOpen ApprovalState = "Open"
	// ApprovalApproved means that everybody who must agree has.
	ApprovalApproved ApprovalState = "Approved"
	// ApprovalDenied means that as many approvers said no as the stage lets stop it.
	ApprovalDenied ApprovalState = "Denied"
	// ApprovalExpired means that time ran out. A review never expires: one that is overdue stays Open.
	ApprovalExpired ApprovalState = "Expired"
	// ApprovalSuperseded means that the request ended, or that something else is now to be agreed to.
	ApprovalSuperseded ApprovalState = "Superseded"
)

// ApprovalStatus is the result of an Approval.
type ApprovalStatus struct {
	// observedGeneration is the generation that this status speaks of. -1: not seen yet.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// state is the result. Once it is not Open, it stays, except that Approved may become Superseded. Defaults to Open.
	// +optional
	// +default="Open"
	State ApprovalState `json:"state,omitempty"`

	// waitingFor is whose agreement is still missing, in one line.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	WaitingFor string `json:"waitingFor,omitempty"`

	// missing says per requirement how many must still agree.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=256
	Missing []string `json:"missing,omitempty"`

	// decided tells who decided what and when, or what changed, a line each.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=80
	// +kubebuilder:validation:items:MaxLength=2048
	Decided []string `json:"decided,omitempty"`

	// reminders is how many times people should have been reminded by now. Defaults to 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Reminders int32 `json:"reminders,omitempty"`

	// escalated is true once those of spec.escalation have been told that they may agree too. Defaults to false.
	// +optional
	Escalated bool `json:"escalated,omitempty"`

	// closedAt is when the Approval was closed.
	// +optional
	ClosedAt *metav1.Time `json:"closedAt,omitempty"`

	// seal says how many votes there were and how the Approval stood, so that a vote that is removed later is missed. Unset: the operator
	// has seen no vote yet.
	// +optional
	Seal *ApprovalSeal `json:"seal,omitempty"`

	// conditions are the observed conditions. Ready is True once the Approval is Approved.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ApprovalSeal says how many votes an Approval had. It covers state and closedAt as well.
type ApprovalSeal struct {
	Seal `json:",inline"`

	// votes is how many votes there were.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=256
	Votes int32 `json:"votes"`
}

// ApprovalList is a list of Approvals.
// +kubebuilder:object:root=true
type ApprovalList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of the list.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`

	// items are the Approvals.
	// +required
	Items []Approval `json:"items"`
}
