package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// ActionRequest asks for an Action: these inputs, for this reason. Its spec never changes, except that it can be cancelled.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=signoff,shortName=ar
// +kubebuilder:selectablefield:JSONPath=`.spec.actionRef.name`
// +kubebuilder:selectablefield:JSONPath=`.status.outcome`
// +kubebuilder:selectablefield:JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.spec.actionRef.name`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Waiting For",type=string,JSONPath=`.status.waitingFor`
// +kubebuilder:printcolumn:name="Approvals",type=string,priority=1,JSONPath=`.status.approvals`
// +kubebuilder:printcolumn:name="Requester",type=string,JSONPath=`.spec.requester.username`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.outcome) || (has(self.status) && has(self.status.outcome) && self.status.outcome == oldSelf.status.outcome)",message="status.outcome is final: it is written once",fieldPath=".status.outcome"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.execution) || (has(self.status) && has(self.status.execution) && self.status.execution == oldSelf.status.execution)",message="status.execution is the claim of one execution: it is written once",fieldPath=".status.execution"
type ActionRequest struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is asked.
	// +required
	Spec ActionRequestSpec `json:"spec"`

	// status is how far the request has come. Only the operator writes it.
	// +optional
	// +default={"observedGeneration":-1}
	Status ActionRequestStatus `json:"status,omitzero"`
}

// ActionRequestSpec is what is asked.
// +kubebuilder:validation:XValidation:rule="self.actionRef == oldSelf.actionRef",message="actionRef cannot change: make a new request",fieldPath=".actionRef"
// +kubebuilder:validation:XValidation:rule="has(self.inputs) == has(oldSelf.inputs) && (!has(self.inputs) || self.inputs == oldSelf.inputs)",message="inputs cannot change: make a new request",fieldPath=".inputs"
// +kubebuilder:validation:XValidation:rule="has(self.reason) == has(oldSelf.reason) && (!has(self.reason) || self.reason == oldSelf.reason)",message="reason cannot change: make a new request",fieldPath=".reason"
// +kubebuilder:validation:XValidation:rule="has(self.notBefore) == has(oldSelf.notBefore) && (!has(self.notBefore) || self.notBefore == oldSelf.notBefore)",message="notBefore cannot change: make a new request",fieldPath=".notBefore"
// +kubebuilder:validation:XValidation:rule="has(self.expiresAt) == has(oldSelf.expiresAt) && (!has(self.expiresAt) || self.expiresAt == oldSelf.expiresAt)",message="expiresAt cannot change: make a new request",fieldPath=".expiresAt"
// +kubebuilder:validation:XValidation:rule="has(self.breakGlass) == has(oldSelf.breakGlass) && (!has(self.breakGlass) || self.breakGlass == oldSelf.breakGlass)",message="breakGlass cannot change: make a new request",fieldPath=".breakGlass"
// +kubebuilder:validation:XValidation:rule="has(self.duration) == has(oldSelf.duration) && (!has(self.duration) || self.duration == oldSelf.duration)",message="duration cannot change: make a new request",fieldPath=".duration"
// +kubebuilder:validation:XValidation:rule="has(self.onBehalfOf) == has(oldSelf.onBehalfOf) && (!has(self.onBehalfOf) || self.onBehalfOf == oldSelf.onBehalfOf)",message="onBehalfOf cannot change: make a new request",fieldPath=".onBehalfOf"
// +kubebuilder:validation:XValidation:rule="has(self.requester) == has(oldSelf.requester) && (!has(self.requester) || self.requester == oldSelf.requester)",message="requester cannot change",fieldPath=".requester"
// +kubebuilder:validation:XValidation:rule="has(self.seal) == has(oldSelf.seal) && (!has(self.seal) || self.seal == oldSelf.seal)",message="seal cannot change",fieldPath=".seal"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.cancellation) || (has(self.cancellation) && self.cancellation == oldSelf.cancellation)",message="cancellation is final: it is written once",fieldPath=".cancellation"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.resolutions) || (has(self.resolutions) && size(self.resolutions) >= size(oldSelf.resolutions) && oldSelf.resolutions.all(i, r, self.resolutions[i] == r))",message="what people decided is never changed or removed",fieldPath=".resolutions"
// +kubebuilder:validation:XValidation:rule="!has(self.resolution)",message="nothing was recorded: the admission webhook of Signoff, which turns resolution into an entry of resolutions, did not see this write",fieldPath=".resolution"
type ActionRequestSpec struct {
	// actionRef names the Action that is asked for.
	// +required
	ActionRef ActionReference `json:"actionRef"`

	// inputs are the values for the inputs of the Action. They are stored as sent; defaults are filled in when
	// judging. Unset: none.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MaxProperties=256
	// +kubebuilder:pruning:PreserveUnknownFields
	Inputs *runtime.RawExtension `json:"inputs,omitempty"`

	// reason tells approvers why, in the requester's words. Unset: the requester gave none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Reason string `json:"reason,omitempty"`

	// notBefore is the time before which nothing is executed. Approvals are collected meanwhile. Whole seconds.
	// Unset: it starts as soon as it may.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	NotBefore *metav1.Time `json:"notBefore,omitempty"`

	// expiresAt is the time at which an unfinished request ends. Whole seconds. The Action may set an earlier one by requestTTL.
	// Unset: requestTTL of the Action decides alone.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// duration is how long what is done stays before it is taken back, such as "2h". Only where the Action is temporary.
	// Unset: the Action says how long.
	// +optional
	Duration Duration `json:"duration,omitempty"`

	// onBehalfOf is for whom it is asked, as the requester claims: a pipeline names the author of a commit. It only takes rights away: the
	// requester needs the verb request-on-behalf as well as request, and who is named here cannot approve. Unset: the requester asks for themself.
	// +optional
	OnBehalfOf *OnBehalfOf `json:"onBehalfOf,omitempty"`

	// breakGlass runs the request at once in an emergency, past Hold and RequireApproval, and past a Deny whose override names the
	// requester. A review opens that somebody else must do. Unset: no emergency.
	// +optional
	BreakGlass *BreakGlass `json:"breakGlass,omitempty"`

	// requester is who asked. The admission webhook writes it; a client cannot. Unset: the request was stored without the
	// webhook, and never runs.
	// +optional
	Requester *Identity `json:"requester,omitempty"`

	// seal proves who asked for what, and when. The admission webhook writes it; a client cannot. Unset: the request was stored
	// without the webhook, and never runs.
	// +optional
	Seal *RequestSeal `json:"seal,omitempty"`

	// cancellation ends the request. It can be added at any time before the end, and never be removed. Unset: nobody cancelled.
	// +optional
	Cancellation *Cancellation `json:"cancellation,omitempty"`

	// resolution decides how a step ended whose outcome nobody knows. Write it, and the admission webhook adds it to resolutions as yours; it
	// is always unset when read.
	// +optional
	Resolution *NewResolution `json:"resolution,omitempty"`

	// resolutions are what people decided about steps whose outcome nobody knew. The admission webhook writes them; a client cannot. Unset:
	// nothing.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Resolutions []Resolution `json:"resolutions,omitempty"`
}

// OnBehalfOf is for whom somebody asks. Nobody has proved it.
type OnBehalfOf struct {
	// username is the user name of a person, or what identifies them in the configuration of Signoff.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Username string `json:"username"`
}

// RequestSeal proves who asked for what, and when.
type RequestSeal struct {
	Seal `json:",inline"`

	// expiresAt is when the seal ends: a request that the operator has not taken up by then never runs.
	// +required
	ExpiresAt metav1.Time `json:"expiresAt"`

	// nonce is random: no two requests have the same.
	// +required
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{32}$`
	Nonce string `json:"nonce"`

	// actionUID is the uid of the Action as it was when it was asked for.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Type=string
	ActionUID types.UID `json:"actionUID"`

	// actionDigest stands for what the Action said then, as "sha256:…".
	// +required
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +kubebuilder:validation:MaxLength=71
	ActionDigest string `json:"actionDigest"`
}

// BreakGlass says that there is an emergency.
type BreakGlass struct {
	// reason tells reviewers what the emergency is.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason"`
}

// Cancellation ends a request.
type Cancellation struct {
	// reason tells why.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason"`

	// by is who cancelled. The admission webhook writes it.
	// +optional
	By *Identity `json:"by,omitempty"`

	// seal proves it. The admission webhook writes it. Unset: nobody can tell who cancelled; the request ends all the same.
	// +optional
	Seal *Seal `json:"seal,omitempty"`
}

// NewResolution decides how a step ended whose outcome nobody knows.
type NewResolution struct {
	// step is the name of the step. Of a temporary request that is Reverting: revert, which stands for all that is left.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Step string `json:"step"`

	// outcome is how the step ended: after Succeeded the next steps run, and after Failed the request fails. For revert it is Succeeded: what is left
	// is taken back by hand, or may stay.
	// +required
	Outcome StepOutcome `json:"outcome"`

	// comment tells how that is known.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Comment string `json:"comment"`
}

// Resolution is what somebody decided about a step whose outcome nobody knew.
type Resolution struct {
	NewResolution `json:",inline"`

	// by is who decided.
	// +required
	By Identity `json:"by"`

	// seal proves it. Unset: it was stored without the webhook, and does not count.
	// +optional
	Seal *Seal `json:"seal,omitempty"`
}

// StepRevert stands, in a resolution, for what could not be taken back of a temporary request. Such a request has no step of which nobody knows how it
// ended.
const StepRevert = "revert"

// EndsRevert tells whether a decision is about what could not be taken back, and not about a step that happens to have that name.
func (r *ActionRequest) EndsRevert(given *NewResolution) bool {
	for i := range r.Status.Steps {
		if step := &r.Status.Steps[i]; step.Name == given.Step && step.UnknownSince != nil {
			return false
		}
	}
	return given.Step == StepRevert
}

// StepOutcome is how a step ended, as somebody decided.
// +kubebuilder:validation:Enum=Succeeded;Failed
type StepOutcome string

const (
	// StepSucceeded means that the step did what it should.
	StepSucceeded StepOutcome = "Succeeded"
	// StepDidFail means that the step did not do what it should.
	StepDidFail StepOutcome = "Failed"
)

// Phase is how far a request has come, in one word. It is derived; conditions say more.
// +kubebuilder:validation:Enum=Pending;AwaitingApproval;Approved;Held;Executing;OutcomeUnknown;Active;Reverting;Succeeded;Failed;Denied;Expired;Cancelled;Reverted
type Phase string

const (
	// PhasePending means that the request has been admitted and is being planned, or that it cannot be judged at the moment.
	PhasePending Phase = "Pending"
	// PhaseAwaitingApproval means that somebody must agree.
	PhaseAwaitingApproval Phase = "AwaitingApproval"
	// PhaseApproved means that everybody who must agree has, and the start is imminent.
	PhaseApproved Phase = "Approved"
	// PhaseHeld means that a rule delays the start although nobody's agreement is missing, or that the guard is missing, so that nothing starts.
	PhaseHeld Phase = "Held"
	// PhaseExecuting means that steps are running.
	PhaseExecuting Phase = "Executing"
	// PhaseOutcomeUnknown means that nobody knows whether a step was done. The request waits until somebody who holds the verb resolve decides.
	PhaseOutcomeUnknown Phase = "OutcomeUnknown"
	// PhaseActive means that all steps of a temporary request are done, and that its time is not over.
	PhaseActive Phase = "Active"
	// PhaseReverting means that what a temporary request has done is being taken back.
	PhaseReverting Phase = "Reverting"
	// PhaseSucceeded means that all steps are done. Final.
	PhaseSucceeded Phase = "Succeeded"
	// PhaseFailed means that a step failed. Final.
	PhaseFailed Phase = "Failed"
	// PhaseDenied means that an approver said no. Final.
	PhaseDenied Phase = "Denied"
	// PhaseExpired means that time ran out before everybody agreed or the start was possible. Final.
	PhaseExpired Phase = "Expired"
	// PhaseCancelled means that somebody cancelled. Final.
	PhaseCancelled Phase = "Cancelled"
	// PhaseReverted means that what a temporary request had done is gone. Final.
	PhaseReverted Phase = "Reverted"
)

// Outcome is how a request ended. Absent until then, never changed after.
// +kubebuilder:validation:Enum=Succeeded;Failed;Denied;Expired;Cancelled;Reverted
type Outcome string

const (
	// OutcomeSucceeded means that all steps are done.
	OutcomeSucceeded Outcome = "Succeeded"
	// OutcomeFailed means that a step failed. Earlier steps may have acted.
	OutcomeFailed Outcome = "Failed"
	// OutcomeDenied means that an approver said no. Nothing was executed.
	OutcomeDenied Outcome = "Denied"
	// OutcomeExpired means that time ran out. Nothing was executed.
	OutcomeExpired Outcome = "Expired"
	// OutcomeCancelled means that somebody cancelled. What had been executed before is listed in status.steps.
	OutcomeCancelled Outcome = "Cancelled"
	// OutcomeReverted means that all steps of a temporary request were done, and that what they did is gone.
	OutcomeReverted Outcome = "Reverted"
)

// ActionRequestStatus is how far a request has come.
type ActionRequestStatus struct {
	// observedGeneration is the generation that this status speaks of. -1: not seen yet.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// phase is how far the request has come, in one word.
	// +optional
	Phase Phase `json:"phase,omitempty"`

	// outcome is how the request ended. Absent until then.
	// +optional
	Outcome Outcome `json:"outcome,omitempty"`

	// waitingFor is what the request waits for, in one line.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	WaitingFor string `json:"waitingFor,omitempty"`

	// approvals counts the stages that have approved and those that must, such as "1/2".
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Approvals string `json:"approvals,omitempty"`

	// summary tells the story for people, a line each.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=1024
	Summary []string `json:"summary,omitempty"`

	// verdict is the last decision.
	// +optional
	Verdict *Verdict `json:"verdict,omitempty"`

	// digest stands for everything that will be executed, as "sha256:…".
	// +optional
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +kubebuilder:validation:MaxLength=71
	Digest string `json:"digest,omitempty"`

	// plan is what the steps will do.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Plan []PlannedChange `json:"plan,omitempty"`

	// planning is how far the plan steps have come. Unset: the Action has none, or they have not begun.
	// +optional
	Planning *Planning `json:"planning,omitempty"`

	// adoption says that the operator has taken up the request, and which Approvals it has opened since. Unset: not yet.
	// +optional
	Adoption *Adoption `json:"adoption,omitempty"`

	// execution is the claim of the one execution. Written once.
	// +optional
	Execution *ExecutionClaim `json:"execution,omitempty"`

	// steps is how far each step has come, those of finally after the others.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=42
	Steps []StepStatus `json:"steps,omitempty"`

	// activeUntil is when what a temporary request has done is taken back. Unset: it is not done yet, or it stays.
	// +optional
	ActiveUntil *metav1.Time `json:"activeUntil,omitempty"`

	// conditions are the observed conditions: Ready, Finished, Stalled, Authorized, Approved, Executed, Reviewed, Reverted.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Planning is a run of the plan steps of an Action.
type Planning struct {
	// record is the name of the Record of the run.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Record string `json:"record"`

	// round counts the runs: what they gave can expire, and the Action can change.
	// +required
	// +kubebuilder:validation:Minimum=1
	Round int32 `json:"round"`

	// validUntil is when they run again. Unset: they run, or what they gave holds as long as the request waits.
	// +optional
	ValidUntil *metav1.Time `json:"validUntil,omitempty"`

	// steps is how far each step has come, and what it gave.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=10
	Steps []StepStatus `json:"steps,omitempty"`
}

// Adoption binds a request to the uid that the API server gave it after it was sealed, and to its Approvals: one that is not there
// any more ends the request.
type Adoption struct {
	Seal `json:",inline"`

	// approvals are the Approvals that were opened and still count.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Approvals []OpenedApproval `json:"approvals,omitempty"`
}

// OpenedApproval names an Approval that the operator has opened.
type OpenedApproval struct {
	// name is the name of the Approval.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// uid is its uid.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Type=string
	UID types.UID `json:"uid"`
}

// ExecutionClaim says that an execution has begun.
type ExecutionClaim struct {
	// id is the name of the Record that holds the claim.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ID string `json:"id"`

	// startedAt is when it began.
	// +required
	StartedAt metav1.Time `json:"startedAt"`

	// digest is what is executed.
	// +required
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +kubebuilder:validation:MaxLength=71
	Digest string `json:"digest"`
}

// Verdict is a decision, with the rules that led to it.
type Verdict struct {
	// effect is the strongest effect.
	// +required
	Effect Effect `json:"effect"`

	// rules are all rules that were judged, those that apply first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Rules []RuleResult `json:"rules,omitempty"`

	// facts are what the rules and approvers were judged on.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Facts []Fact `json:"facts,omitempty"`

	// stages are the stages that must approve, as "action/<stage>" or "policy/<policy>/<stage>".
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=400
	Stages []string `json:"stages,omitempty"`

	// evaluatedAt is when the decision was made.
	// +required
	EvaluatedAt metav1.Time `json:"evaluatedAt"`

	// nextChange is the next time at which time alone could change the decision. Unset: never, or nobody can tell.
	// +optional
	NextChange *metav1.Time `json:"nextChange,omitempty"`
}

// Fact is something that was read for a decision.
type Fact struct {
	// name is the variable by which expressions read it.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// object is what was read, such as "Deployment production/checkout", or the URL of a host without its query.
	// +required
	// +kubebuilder:validation:MaxLength=700
	Object string `json:"object"`

	// version is the resourceVersion of what was read; for a list, that of its newest object, and how many objects there are; for the value of a
	// host, when it was fetched. Unset: it does not exist.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Version string `json:"version,omitempty"`

	// readAs is the ServiceAccount as which it was read. Unset: the operator, which reads the labels of namespaces.
	// +optional
	// +kubebuilder:validation:MaxLength=320
	ReadAs string `json:"readAs,omitempty"`

	// trust is RequesterWritable where the Action accepts that the requester can change it.
	// +optional
	Trust Trust `json:"trust,omitempty"`
}

// RuleAnswer says whether a rule applies.
// +kubebuilder:validation:Enum=Applies;NotApplicable;Overridden;Unknown
type RuleAnswer string

const (
	// RuleApplies means that the rule applies.
	RuleApplies RuleAnswer = "Applies"
	// RuleNotApplicable means that the rule does not apply.
	RuleNotApplicable RuleAnswer = "NotApplicable"
	// RuleOverridden means that the rule applies, and that the requester passed it by breakGlass.
	RuleOverridden RuleAnswer = "Overridden"
	// RuleUnknown means that nobody can tell.
	RuleUnknown RuleAnswer = "Unknown"
)

// RuleResult is a rule and its answer.
type RuleResult struct {
	// name is the rule, as "<rule>" for a rule of the Action and "policy/<policy>/<rule>" for one of an ActionPolicy.
	// +required
	// +kubebuilder:validation:MaxLength=400
	Name string `json:"name"`

	// effect is what the rule does.
	// +required
	Effect Effect `json:"effect"`

	// answer says whether the rule applies.
	// +required
	Answer RuleAnswer `json:"answer"`

	// message tells why.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`

	// because is what the answer rests on, a line each, such as 'inputs.environment is "production"'. What the requester may not read
	// is not shown.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=256
	Because []string `json:"because,omitempty"`

	// differ is what would have to be otherwise for another answer, a line each.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=256
	Differ []string `json:"differ,omitempty"`
}

// StepState is how far a step has come.
// +kubebuilder:validation:Enum=Started;Done;Failed;Skipped;Unknown
type StepState string

const (
	// StepStarted means that the step is being done, or is waited for.
	StepStarted StepState = "Started"
	// StepDone means that the step is done.
	StepDone StepState = "Done"
	// StepFailed means that the step failed.
	StepFailed StepState = "Failed"
	// StepSkipped means that when gave false, or that an earlier end made the step unnecessary.
	StepSkipped StepState = "Skipped"
	// StepUnknown means that nobody knows whether the step was done. It is not done again; somebody must decide.
	StepUnknown StepState = "Unknown"
)

// StepStatus is how far a step has come.
type StepStatus struct {
	// name is the name of the step.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// state is how far the step has come.
	// +required
	State StepState `json:"state"`

	// message says more, in one line.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// startedAt is when the step began.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`

	// finishedAt is when the step ended.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`

	// unknownSince is when it became unknown how the step ended. Unset: it always was known.
	// +optional
	UnknownSince *metav1.Time `json:"unknownSince,omitempty"`

	// resolvedAt is when it was taken up what somebody decided about that. No timeout runs in between. Unset: nobody has.
	// +optional
	ResolvedAt *metav1.Time `json:"resolvedAt,omitempty"`

	// basis is the resourceVersion of the object on which a step that must not be repeated was based.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Basis string `json:"basis,omitempty"`

	// attempts is how many attempts have failed so far.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	Attempts int32 `json:"attempts,omitempty"`

	// retryAt is when the step is tried again. Unset: no attempt is to come.
	// +optional
	RetryAt *metav1.Time `json:"retryAt,omitempty"`

	// url is where a call asks whether what it began is done. Unset: it does not.
	// +optional
	// +kubebuilder:validation:MaxLength=8192
	URL string `json:"url,omitempty"`

	// job is how the Job of the step ended. Unset: it has not, or nobody could look.
	// +optional
	Job *JobResult `json:"job,omitempty"`

	// outputs are the values that the step gave, by name. Unset: none.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:pruning:PreserveUnknownFields
	Outputs *runtime.RawExtension `json:"outputs,omitempty"`
}

// JobResult is how a Job ended.
type JobResult struct {
	// exitCode is that of the container of the step, or of another one of its pod that failed where that did not.
	// +required
	ExitCode int32 `json:"exitCode"`

	// message is the termination message of the same container.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`

	// log is the end of the log of that container, as far as logLines of the step keeps it.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Log string `json:"log,omitempty"`
}

// ActionRequestList is a list of ActionRequests.
// +kubebuilder:object:root=true
type ActionRequestList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of the list.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`

	// items are the ActionRequests.
	// +required
	Items []ActionRequest `json:"items"`
}
