package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Record is the operator's own book of one execution. Its name is the uid of the request, or, with until, made of what it asks, so that
// creating it is the lock that lets an execution begin once. It lives in the namespace of the operator and outlasts the request.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=signoff,shortName=sgrecord
// +kubebuilder:selectablefield:JSONPath=`.status.outcome`
// +kubebuilder:selectablefield:JSONPath=`.spec.review.name`
// +kubebuilder:selectablefield:JSONPath=`.status.review.state`
// +kubebuilder:printcolumn:name="Request Namespace",type=string,JSONPath=`.spec.requestRef.namespace`
// +kubebuilder:printcolumn:name="Request",type=string,JSONPath=`.spec.requestRef.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.duration`
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.spec.actionRef.name`
// +kubebuilder:printcolumn:name="Outcome",type=string,JSONPath=`.status.outcome`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.review) || (has(self.status) && has(self.status.review) && self.status.review == oldSelf.status.review)",message="status.review is final: it is written once",fieldPath=".status.review"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.activeUntil) || (has(self.status) && has(self.status.activeUntil) && self.status.activeUntil == oldSelf.status.activeUntil)",message="status.activeUntil is final: it is written once",fieldPath=".status.activeUntil"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.revert) || (has(self.status) && has(self.status.revert) && self.status.revert == oldSelf.status.revert)",message="status.revert is final: it is written once",fieldPath=".status.revert"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.outcome) || (has(self.status) && has(self.status.outcome) && self.status.outcome == oldSelf.status.outcome)",message="status.outcome is final: it is written once",fieldPath=".status.outcome"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.revision) || (has(self.status) && has(self.status.revision) && self.status.revision >= oldSelf.status.revision)",message="status.revision only grows",fieldPath=".status.revision"
type Record struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the claim. It never changes.
	// +required
	Spec RecordSpec `json:"spec"`

	// status is how far the execution has come.
	// +optional
	// +default={"observedGeneration":-1}
	Status RecordStatus `json:"status,omitzero"`
}

// RecordSpec is the claim of an execution.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a claim never changes"
type RecordSpec struct {
	// requestRef is the request that is executed.
	// +required
	RequestRef RecordRequestReference `json:"requestRef"`

	// actionRef is the Action that is executed.
	// +required
	ActionRef ActionReference `json:"actionRef"`

	// purpose is Plan where the steps are those that run before anybody is asked. Defaults to Execute: they are those that were agreed to.
	// +optional
	Purpose RecordPurpose `json:"purpose,omitempty"`

	// requester is who asked.
	// +required
	Requester Identity `json:"requester"`

	// onBehalfOf is for whom it was asked, as the requester claimed. Unset: for themself.
	// +optional
	OnBehalfOf *OnBehalfOf `json:"onBehalfOf,omitempty"`

	// serviceAccountName is the ServiceAccount, in the namespace of the Action, as which the steps run.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ServiceAccountName string `json:"serviceAccountName"`

	// digest is what is executed.
	// +required
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +kubebuilder:validation:MaxLength=71
	Digest string `json:"digest"`

	// claimedAt is when the execution began.
	// +required
	ClaimedAt metav1.MicroTime `json:"claimedAt"`

	// approvals are the votes that let it begin. Unset: nobody had to agree.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Approvals []RecordedApproval `json:"approvals,omitempty"`

	// plan is what the steps were to do. Unset: nothing was found to change.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Plan []PlannedChange `json:"plan,omitempty"`

	// timeout is how long all steps together may take.
	// +required
	Timeout Duration `json:"timeout"`

	// steps are the steps with everything filled in, as they are executed.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Steps []RenderedStep `json:"steps"`

	// finally are the steps that run once the others have ended. Unset: none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	Finally []RenderedStep `json:"finally,omitempty"`

	// planned is what the plan steps gave. Unset: the Action has none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	Planned []PlannedStep `json:"planned,omitempty"`

	// duration is how long what the steps do stays before it is taken back. Unset: it stays.
	// +optional
	Duration Duration `json:"duration,omitempty"`

	// variables are what when reads of the request while the steps run: inputs, request and requester, as they were at the claim, and types, a
	// schema that says of what types the inputs are that it reads. Unset: no step reads them.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MaxProperties=4
	// +kubebuilder:pruning:PreserveUnknownFields
	Variables *runtime.RawExtension `json:"variables,omitempty"`

	// until is when neither the request (expiresAt, or requestTTL of the Action) nor its seal counts any more: the Record is kept at least until then, so
	// that a request that says the same, or was put back, finds it. Unset: an older version wrote it.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`

	// verdict is what was decided when the execution began, and on what: the rules that applied, were overridden or could not be judged, why, and the facts
	// that were read. Rules that did not apply, what would have to be otherwise, and when time changes it are left out. Unset: an older version wrote it.
	// +optional
	Verdict *Verdict `json:"verdict,omitempty"`

	// review is what must be reviewed, and by whom, because the request broke the glass. Unset: nothing must.
	// +optional
	Review *RecordedReview `json:"review,omitempty"`

	// seal proves that the operator made the claim.
	// +optional
	Seal *Seal `json:"seal,omitempty"`
}

// RecordPurpose is what the steps of a Record are for.
// +kubebuilder:validation:Enum=Plan;Execute
type RecordPurpose string

const (
	// PurposePlan says that the steps run before anybody is asked.
	PurposePlan RecordPurpose = "Plan"
	// PurposeExecute says that the steps are those that were agreed to.
	PurposeExecute RecordPurpose = "Execute"
)

// PlannedStep is a plan step that is done.
type PlannedStep struct {
	// name is the name of the step.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// declared are its outputs as they are declared. Unset: none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Declared []StepOutput `json:"declared,omitempty"`

	// outputs are the values that it gave, by name. Unset: none.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Outputs *runtime.RawExtension `json:"outputs,omitempty"`
}

// RecordedReview is the review that an emergency demands. It holds what is needed to ask for it again where the Approval beside the
// request is gone with its namespace.
type RecordedReview struct {
	// name is the name of the Approval, beside the request.
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

	// dueAt is when it must be done.
	// +required
	DueAt metav1.Time `json:"dueAt"`

	// requirements say who must review.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Requirements []Requirement `json:"requirements"`

	// summary is what a reviewer must read, a line each.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=4096
	Summary []string `json:"summary"`

	// inputs are the inputs of the request, as they were sent. Rules about who may review can read them. Unset: none.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MaxProperties=256
	// +kubebuilder:pruning:PreserveUnknownFields
	Inputs *runtime.RawExtension `json:"inputs,omitempty"`
}

// RecordRequestReference names an ActionRequest.
type RecordRequestReference struct {
	// namespace is the namespace of the request.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`

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

// RecordedApproval is a stage that approved.
type RecordedApproval struct {
	// name is the name of the Approval.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// uid is the uid of the Approval.
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Type=string
	UID types.UID `json:"uid"`

	// stage is the stage.
	// +required
	Stage StageReference `json:"stage"`

	// approvedBy are the user names whose votes met the requirements.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=1024
	ApprovedBy []string `json:"approvedBy,omitempty"`

	// votes is how many votes there were, denials and withdrawals included.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=256
	Votes int32 `json:"votes,omitempty"`

	// head is the hash of the last of them, each of which names the one before, as "sha256:…".
	// +optional
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +kubebuilder:validation:MaxLength=71
	Head string `json:"head,omitempty"`
}

// RenderedStep is a step with everything filled in.
// +kubebuilder:validation:ExactlyOneOf=writes;http
type RenderedStep struct {
	// name is the name of the step.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// writes are what the step sends to the API server, in order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Writes []RenderedWrite `json:"writes,omitempty"`

	// http is the call that the step makes.
	// +optional
	HTTP *RenderedHTTP `json:"http,omitempty"`

	// when is judged when the step is reached; where it gives false, the step is skipped. Unset: always.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	When string `json:"when,omitempty"`

	// waitFor is what must hold of every object written before the step counts as done. Unset: the write is enough.
	// +optional
	WaitFor *WaitFor `json:"waitFor,omitempty"`

	// failWhen ends the wait as failed where it gives true. Unset: only time ends it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	FailWhen string `json:"failWhen,omitempty"`

	// retries is how often the step is tried again after it failed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	Retries int32 `json:"retries,omitempty"`

	// outputs are values that the step gives to those after it. Unset: none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Outputs []StepOutput `json:"outputs,omitempty"`

	// logLines is how many lines of the end of the log of a Job are kept.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=50
	LogLines int32 `json:"logLines,omitempty"`

	// timeout is how long the step may take. Unset: as long as the execution of the Action may.
	// +optional
	Timeout Duration `json:"timeout,omitempty"`
}

// WriteOperation is how an object is written.
// +kubebuilder:validation:Enum=Apply;StrategicPatch;MergePatch;JSONPatch;CreateJob;Delete
type WriteOperation string

const (
	// WriteApply is a server-side apply.
	WriteApply WriteOperation = "Apply"
	// WriteStrategicPatch is a strategic merge patch.
	WriteStrategicPatch WriteOperation = "StrategicPatch"
	// WriteMergePatch is a JSON merge patch.
	WriteMergePatch WriteOperation = "MergePatch"
	// WriteJSONPatch is a JSON patch, sent at most once.
	WriteJSONPatch WriteOperation = "JSONPatch"
	// WriteCreateJob creates a Job, once, and waits until it is complete.
	WriteCreateJob WriteOperation = "CreateJob"
	// WriteDelete deletes an object and waits until it is gone. What is sent are options for it, with the uid of the object.
	WriteDelete WriteOperation = "Delete"
)

// RenderedWrite is one write to the API server with everything filled in.
type RenderedWrite struct {
	// operation is how the object is written.
	// +required
	Operation WriteOperation `json:"operation"`

	// object is the object.
	// +required
	Object ObjectReference `json:"object"`

	// body is what is sent.
	// +required
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Body runtime.RawExtension `json:"body"`

	// fieldManager is the field manager that the write names.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	FieldManager string `json:"fieldManager"`

	// conflicts says what an apply does where another field manager owns a field. Unset: Fail.
	// +optional
	Conflicts ConflictPolicy `json:"conflicts,omitempty"`

	// uid is that of the object with which the write was compared: nothing is written to another one. Unset: any will do, since there was none, an earlier step
	// deletes it, it could not be read, or the Action says not to look at drift.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Type=string
	UID types.UID `json:"uid,omitempty"`

	// late are the places in body that are filled in when the step is reached, with outputs of earlier steps. Unset: none.
	// +optional
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MaxItems=64
	Late []LateValue `json:"late,omitempty"`
}

// LateValue is a place in a body that is filled in when its step is reached. Until then the template stands there.
type LateValue struct {
	// path is the place, as a JSON pointer.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path"`

	// parts are what is put there, one after the other. One expression alone keeps the type of what it gives, but where asText
	// or expands is set.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Parts []LatePart `json:"parts"`

	// asText says that what is put there becomes text, also where it is one expression alone.
	// +optional
	AsText bool `json:"asText,omitempty"`

	// encodes says that what is put there is percent-encoded, as in a URL.
	// +optional
	Encodes bool `json:"encodes,omitempty"`

	// expands says that Kubernetes replaces $(VAR) there, so that "$" in what is put there is doubled.
	// +optional
	Expands bool `json:"expands,omitempty"`
}

// LatePart is a text, or an expression that gives one: exactly one is set.
// +kubebuilder:validation:ExactlyOneOf=text;expression
type LatePart struct {
	// text is put there as it is.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	Text string `json:"text,omitempty"`

	// expression is a CEL expression over "steps".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Expression string `json:"expression,omitempty"`
}

// RenderedHTTP is a call with everything filled in but secrets.
type RenderedHTTP struct {
	// method is what is asked for.
	// +required
	Method HTTPMethod `json:"method"`

	// url is where.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8192
	URL string `json:"url"`

	// idempotencyKey is the value of the header Idempotency-Key.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	IdempotencyKey string `json:"idempotencyKey"`

	// headers are sent too.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Headers []RenderedHeader `json:"headers,omitempty"`

	// body is sent as JSON.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Body *runtime.RawExtension `json:"body,omitempty"`

	// text is sent as it is.
	// +optional
	// +kubebuilder:validation:MaxLength=262144
	Text string `json:"text,omitempty"`

	// late are the places that are filled in when the step is reached: "/url", and below "/body".
	// +optional
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MaxItems=64
	Late []LateValue `json:"late,omitempty"`

	// sign is the key by which the call is signed. Unset: it is not.
	// +optional
	Sign *RecordedSecret `json:"sign,omitempty"`

	// caBundle holds the authorities that sign the certificate of the host. Unset: those of the system.
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	CABundle string `json:"caBundle,omitempty"`

	// idempotent says that the call can be sent again.
	// +optional
	Idempotent bool `json:"idempotent,omitempty"`

	// success says whether the call did what it should. Unset: a status from 200 to 299.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Success string `json:"success,omitempty"`

	// poll asks until what the call began is done. Unset: the answer is enough.
	// +optional
	Poll *RenderedPoll `json:"poll,omitempty"`

	// lookup finds out after a crash whether the call was made. Unset: nobody can tell.
	// +optional
	Lookup *RenderedLookup `json:"lookup,omitempty"`
}

// RenderedHeader is a header, or where its value is kept: exactly one of value and secret is set.
// +kubebuilder:validation:ExactlyOneOf=value;secret
type RenderedHeader struct {
	// name is its name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Name string `json:"name"`

	// value is its value.
	// +optional
	// +kubebuilder:validation:MaxLength=8192
	Value string `json:"value,omitempty"`

	// secret is where its value is kept.
	// +optional
	Secret *RecordedSecret `json:"secret,omitempty"`

	// prefix stands before the value of secret.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Prefix string `json:"prefix,omitempty"`
}

// RecordedSecret is a key of a Secret in the namespace of the Action.
type RecordedSecret struct {
	SecretKey `json:",inline"`

	// uid is that of the Secret that people agreed to.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Type=string
	UID types.UID `json:"uid"`
}

// RenderedPoll asks until something is done.
type RenderedPoll struct {
	// url are the parts of where; expressions read response, the answer to the call.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	URL []LatePart `json:"url"`

	// every is how long it pauses in between.
	// +required
	Every Duration `json:"every"`

	// until says that it is done.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Until string `json:"until"`

	// failWhen says that it has failed. Unset: only time ends it.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	FailWhen string `json:"failWhen,omitempty"`
}

// RenderedLookup finds out whether a call was made.
type RenderedLookup struct {
	// url is where.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8192
	URL string `json:"url"`

	// done says that the call was made.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Done string `json:"done"`

	// notDone says that it certainly was not. Unset: that is never certain.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	NotDone string `json:"notDone,omitempty"`

	// response gives what stands for the body of the answer to the call. Unset: the body of this answer.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Response string `json:"response,omitempty"`
}

// RecordStatus is how far an execution has come.
type RecordStatus struct {
	// observedGeneration is the generation that this status speaks of. -1: not seen yet.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// revision is how many times this status was written. It only grows: a Record with a smaller one than before was put back to what it was.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Revision int32 `json:"revision,omitempty"`

	// steps is how far each step has come, those of finally after the others.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=42
	Steps []StepStatus `json:"steps,omitempty"`

	// ending is how the steps ended, while those of finally run. Unset: the steps are not over, or there is no finally.
	// +optional
	Ending *Ending `json:"ending,omitempty"`

	// outcome is how the execution ended. Absent until then.
	// +optional
	Outcome Outcome `json:"outcome,omitempty"`

	// message says more about the outcome, in one line.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// finishedAt is when the execution ended.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`

	// undo is how what the steps wrote is taken back. It is stored before each write, for a temporary request only.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	Undo []Undo `json:"undo,omitempty"`

	// activeUntil is when it is taken back. Unset: not all steps are done yet.
	// +optional
	ActiveUntil *metav1.Time `json:"activeUntil,omitempty"`

	// revert says that it is being taken back, and why. Unset: not yet.
	// +optional
	Revert *Revert `json:"revert,omitempty"`

	// review is how the review ended. Unset: it is still to be done, or none is needed.
	// +optional
	Review *ReviewResult `json:"review,omitempty"`

	// seal covers the claim and all of the above. Unset: nothing of it has been written yet.
	// +optional
	Seal *Seal `json:"seal,omitempty"`
}

// Undo is how one write is taken back: an object that it created is deleted, and in one that was there the fields that still have what
// was written get back what they had.
type Undo struct {
	// step is the name of the step.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Step string `json:"step"`

	// object is the object that was written.
	// +required
	Object ObjectReference `json:"object"`

	// fieldManager is the field manager of the write.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	FieldManager string `json:"fieldManager"`

	// created says that the object was not there before.
	// +optional
	Created bool `json:"created,omitempty"`

	// uid is the uid of the object. Unset: it is being created.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Type=string
	UID types.UID `json:"uid,omitempty"`

	// fields are what the write changes in an object that was there.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=512
	Fields []UndoField `json:"fields,omitempty"`
}

// UndoField is one field before and after a write.
type UndoField struct {
	// path leads to the field.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Path []PathElement `json:"path"`

	// before is the value before. Unset: the field was not there.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Before *runtime.RawExtension `json:"before,omitempty"`

	// after is the value that was written. Unset: the field was removed.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	After *runtime.RawExtension `json:"after,omitempty"`

	// order are the names that the elements of a list had before, in their order, where the write has changed it. The path leads to the list, and then
	// to the field that names its elements.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=512
	// +kubebuilder:validation:items:MaxLength=1024
	Order []string `json:"order,omitempty"`
}

// PathElement is one step into an object: a field of a map, or the element of a list that has a value in a field.
type PathElement struct {
	// field is the name of the field. With value, that of the field by which elements of a list are told apart. Empty: by all that they are.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Field string `json:"field"`

	// value is the value of that field in the element. Unset: the step leads into a map.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Value *string `json:"value,omitempty"`
}

// Revert says that what a temporary request has done is being taken back.
type Revert struct {
	// startedAt is when that began.
	// +required
	StartedAt metav1.Time `json:"startedAt"`

	// outcome is how the request ends once it is gone.
	// +required
	Outcome Outcome `json:"outcome"`

	// message tells why it is taken back, in one line.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message"`
}

// Ending is how the steps of an execution ended.
type Ending struct {
	// outcome is how.
	// +required
	Outcome Outcome `json:"outcome"`

	// message says more, in one line.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// ReviewResult is how a review ended.
type ReviewResult struct {
	// state is Approved or Denied.
	// +required
	// +kubebuilder:validation:Enum=Approved;Denied
	State ApprovalState `json:"state"`

	// decided tells who decided, and why, a line each.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=80
	// +kubebuilder:validation:items:MaxLength=2048
	Decided []string `json:"decided,omitempty"`

	// at is when.
	// +required
	At metav1.Time `json:"at"`
}

// RecordList is a list of Records.
// +kubebuilder:object:root=true
type RecordList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of the list.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`

	// items are the Records.
	// +required
	Items []Record `json:"items"`
}
