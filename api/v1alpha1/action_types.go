package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Action publishes something that may be asked for: its inputs, who must agree and when, and what is then executed.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=signoff,shortName=sgaction
// +kubebuilder:printcolumn:name="Title",type=string,JSONPath=`.spec.title`
// +kubebuilder:printcolumn:name="Inputs",type=string,JSONPath=`.status.inputs`
// +kubebuilder:printcolumn:name="Approval",type=string,JSONPath=`.status.approval`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Action struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the platform team publishes.
	// +required
	Spec ActionSpec `json:"spec"`

	// status is what the operator found out about the Action.
	// +optional
	// +default={"observedGeneration":-1}
	Status ActionStatus `json:"status,omitzero"`
}

// ActionSpec says what may be asked, who must agree, and what is executed.
// +kubebuilder:validation:XValidation:rule="!has(self.stages) || (has(self.rules) ? self.rules.exists(r, has(r.stages)) : false) || (has(self.default) && has(self.default.stages))",message="stages are defined, but no rule uses one: name it in rules[].stages or default.stages, or remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.stages) || !has(self.rules) || self.rules.all(r, r.effect != 'RequireApproval' || has(r.stages))",message="spec.stages is set, so every rule with effect RequireApproval must name its stages",fieldPath=".rules"
// +kubebuilder:validation:XValidation:rule="!has(self.stages) || !has(self.default) || self.default.effect != 'RequireApproval' || has(self.default.stages)",message="spec.stages is set, so default with effect RequireApproval must name its stages",fieldPath=".default"
type ActionSpec struct {
	// title is one line for people, such as "Restart a Deployment".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Title string `json:"title"`

	// description tells people when to use the Action. Unset: the title is enough.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Description string `json:"description,omitempty"`

	// inputs describes what a requester fills in. Unset: the Action takes no inputs.
	// +optional
	Inputs *ActionInputs `json:"inputs,omitempty"`

	// target is the object that the Action is about. Rules read it as "target" and its namespace as
	// "namespaceObject". Unset: the Action is about no object, and rules cannot read one.
	// +optional
	Target *Target `json:"target,omitempty"`

	// lookups are further facts, read as execution.readServiceAccountName. Rules and templates read each under its name, and
	// what a host says, rules only. Unset: none.
	// +optional
	// +listType=map
	// +listMapKey=as
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Lookups []Lookup `json:"lookups,omitempty"`

	// rules are judged all; their order does not matter. The strongest effect wins. Unset:
	// default decides alone.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Rules []Rule `json:"rules,omitempty"`

	// default is what happens when none of rules applies. Unset: Deny.
	// +optional
	Default *DefaultRule `json:"default,omitempty"`

	// stages are the rounds of approval that rules name. Unset: RequireApproval means one stage, "approval", in which one person
	// who holds the verb "approve" agrees.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Stages []Stage `json:"stages,omitempty"`

	// requestTTL is how long an unfinished request lives. Defaults to 168h.
	// +optional
	// +default="168h"
	RequestTTL Duration `json:"requestTTL,omitempty"`

	// temporary makes what the steps do temporary: it is taken back after a time. Unset: it stays.
	// +optional
	Temporary *Temporary `json:"temporary,omitempty"`

	// execution is what runs once everybody has agreed.
	// +required
	Execution Execution `json:"execution"`
}

// Temporary says for how long what an Action does may stay.
// +kubebuilder:validation:XValidation:rule="!has(self.defaultDuration) || duration(self.defaultDuration) <= duration(self.maxDuration)",message="must not be longer than maxDuration",fieldPath=".defaultDuration"
type Temporary struct {
	// maxDuration is the longest time that may be asked for, such as "8h".
	// +required
	MaxDuration Duration `json:"maxDuration"`

	// defaultDuration is the time of a request that does not say. Unset: each must say.
	// +optional
	DefaultDuration Duration `json:"defaultDuration,omitempty"`
}

// ActionInputs describes the inputs of a request.
type ActionInputs struct {
	// openAPIV3Schema is a structural OpenAPI v3 schema of type object, as in a CustomResourceDefinition.
	// +required
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	OpenAPIV3Schema runtime.RawExtension `json:"openAPIV3Schema"`
}

// Trust says what is thought of a fact that the requester can change.
// +kubebuilder:validation:Enum=RequesterWritable
type Trust string

// TrustRequesterWritable accepts the fact although the requester can change it. Approvers are told.
const TrustRequesterWritable Trust = "RequesterWritable"

// Target is the object that an Action is about.
type Target struct {
	ObjectReference `json:",inline"`

	// trust says what is thought of the target, and of its namespace, where the requester can change them. Unset: then they neither
	// select approvers nor lift a restriction, and the request cannot be decided.
	// +optional
	Trust Trust `json:"trust,omitempty"`
}

// Lookup is a fact: an object, a list of objects, what was executed lately, or a value that a host gives.
// +kubebuilder:validation:ExactlyOneOf=object;list;executions;http
// +kubebuilder:validation:XValidation:rule="!has(self.optional) || !self.optional || has(self.object)",message="optional goes with object only: a list of nothing is empty",fieldPath=".optional"
// +kubebuilder:validation:XValidation:rule="!has(self.trust) || !has(self.http)",message="nobody can ask a host who may change what it says: leave trust out",fieldPath=".trust"
type Lookup struct {
	// as is the name of the variable by which expressions read the fact.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z][A-Za-z0-9]*$`
	As string `json:"as"`

	// object is one object.
	// +optional
	Object *ObjectReference `json:"object,omitempty"`

	// list is all objects of a kind that are selected.
	// +optional
	List *ListLookup `json:"list,omitempty"`

	// executions are the Records of what was executed lately, the oldest first. With them a rule can give a budget, such as five an hour.
	// They are read by the operator, from its own book.
	// +optional
	Executions *ExecutionsLookup `json:"executions,omitempty"`

	// http is one value that a host gives, by a GET. Only rules read it. A decision is made on a value that was fetched before, and is not
	// older than maxAge; where there is none, it is fetched, and nothing can be decided meanwhile.
	// +optional
	HTTP *HostLookup `json:"http,omitempty"`

	// optional makes the variable null where the object does not exist. With object only. Defaults to false: then nothing can be decided.
	// +optional
	Optional bool `json:"optional,omitempty"`

	// trust says what is thought of the fact where the requester can change it. Unset: then it neither selects approvers nor lifts
	// a restriction, and the request cannot be decided.
	// +optional
	Trust Trust `json:"trust,omitempty"`
}

// ListLookup selects objects of one kind.
type ListLookup struct {
	// apiVersion is the API group and version of the objects, such as "apps/v1".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9]+((alpha|beta)[0-9]+)?$`
	APIVersion string `json:"apiVersion"`

	// kind is the kind of the objects, such as "Deployment".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Z][A-Za-z0-9]*$`
	Kind string `json:"kind"`

	// namespace is the namespace of the objects; it may be a ${…} template. Unset: all namespaces.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Namespace string `json:"namespace,omitempty"`

	// selector selects objects by their labels. Unset: all.
	// +optional
	Selector *LookupSelector `json:"selector,omitempty"`

	// limit is how many objects there may be. More are an error, and nothing can be decided. Defaults to 100.
	// +optional
	// +default=100
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=500
	Limit int32 `json:"limit,omitempty"`
}

// ExecutionsLookup selects the Records of what was executed lately.
type ExecutionsLookup struct {
	// within is how far back it goes from the moment of the decision, up to a week ("168h").
	// +required
	Within Duration `json:"within"`

	// by says whose requests count. Unset: everybody's.
	// +optional
	By ExecutionsBy `json:"by,omitempty"`

	// actions are the Actions whose executions count, by their names in the namespace of this Action. Unset: this Action alone.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Actions []string `json:"actions,omitempty"`
}

// ExecutionsBy says whose executions count.
// +kubebuilder:validation:Enum=Requester
type ExecutionsBy string

// ExecutionsByRequester counts only what the requester asked for, with whichever login.
const ExecutionsByRequester ExecutionsBy = "Requester"

// HostLookup is a call by GET that gives one value. It is made as calls of steps are: only to hosts that the configuration allows, without redirects.
type HostLookup struct {
	// url is where. Scheme and host are literal; path and query may hold ${…} templates, whose values are percent-encoded.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[a-z0-9\[]`
	URL string `json:"url"`

	// headers are sent too. Their Secrets are read as execution.readServiceAccountName. Unset: none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Headers []HTTPHeader `json:"headers,omitempty"`

	// caBundle holds the authorities, as PEM, that sign the certificate of the host. Unset: those of the system.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	CABundle string `json:"caBundle,omitempty"`

	// maxAge is how old a value may be on which a decision is made, from "30s" to "24h". Defaults to 5m.
	// +optional
	// +default="5m"
	MaxAge Duration `json:"maxAge,omitempty"`

	// value is a CEL expression over response (status, headers, body) that gives the value. Only an answer with a status from 200 to 299 has one.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Value string `json:"value"`

	// schema is a structural OpenAPI v3 schema of type string, integer, number or boolean. What does not fit it is no value.
	// +required
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Schema runtime.RawExtension `json:"schema"`
}

// LookupSelector selects objects by labels whose values may be templates.
type LookupSelector struct {
	// matchLabels are labels that an object must carry. The values may be ${…} templates.
	// +required
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(key, size(key) <= 317)",message="the key of a label has at most 317 characters"
	MatchLabels map[string]LookupValue `json:"matchLabels"`
}

// LookupValue is the value of a label; it may be a ${…} template.
// +kubebuilder:validation:MaxLength=512
type LookupValue string

// ObjectReference names an object. apiVersion and kind are literal; namespace and name may be ${…} templates.
type ObjectReference struct {
	// apiVersion is the API group and version of the object, such as "apps/v1".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9]+((alpha|beta)[0-9]+)?$`
	APIVersion string `json:"apiVersion"`

	// kind is the kind of the object, such as "Deployment".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Z][A-Za-z0-9]*$`
	Kind string `json:"kind"`

	// namespace is the namespace of the object. Unset: the kind is not namespaced.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Namespace string `json:"namespace,omitempty"`

	// name is the name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Name string `json:"name"`
}

// Rule gives an effect to a situation.
// +kubebuilder:validation:XValidation:rule="!has(self.stages) || self.effect == 'RequireApproval'",message="stages go with effect RequireApproval only"
type Rule struct {
	// name is the rule's name, unique in the Action. Verdicts name it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// when is a CEL expression that gives true where the rule applies. Unset: always.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	When string `json:"when,omitempty"`

	// effect is what the rule does when it applies.
	// +required
	Effect Effect `json:"effect"`

	// stages names the stages that must approve. With effect RequireApproval only; needed there if spec.stages is set.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Stages []string `json:"stages,omitempty"`

	// message tells people why, in one line. Unset: they read the name of the rule, or "default".
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// DefaultRule is what happens when none of the Action's own rules applies.
// +kubebuilder:validation:XValidation:rule="!has(self.stages) || self.effect == 'RequireApproval'",message="stages go with effect RequireApproval only"
type DefaultRule struct {
	// effect is what then happens.
	// +required
	Effect Effect `json:"effect"`

	// stages names the stages that must approve. With effect RequireApproval only; needed there if spec.stages is set.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Stages []string `json:"stages,omitempty"`

	// message tells people why, in one line. Unset: they read the name of the rule, or "default".
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// Execution is what runs, and as whom.
// +kubebuilder:validation:XValidation:rule="!has(self.plan) || self.plan.serviceAccountName != self.serviceAccountName",message="plan steps run before anybody has agreed: as another ServiceAccount than the one that executes",fieldPath=".plan.serviceAccountName"
type Execution struct {
	// serviceAccountName is the ServiceAccount in the namespace of the Action as which the steps run.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	ServiceAccountName string `json:"serviceAccountName"`

	// readServiceAccountName is the ServiceAccount in the namespace of the Action as which facts are read. Defaults to
	// serviceAccountName.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	ReadServiceAccountName string `json:"readServiceAccountName,omitempty"`

	// onDrift says what happens when something has changed, since people agreed, that they saw would be changed: Reapprove asks them
	// again, Proceed goes on, Fail ends the request. Where nobody had to agree nothing is compared, and it goes on. Defaults to Reapprove.
	// +optional
	// +default="Reapprove"
	OnDrift DriftPolicy `json:"onDrift,omitempty"`

	// delay is a grace in which a request that may start can still be cancelled. It counts from when the last of those agreed who had to, or
	// from when it was asked for. An emergency does not wait. It must be shorter than requestTTL, and than validFor of each stage. Unset: none.
	// +optional
	Delay Duration `json:"delay,omitempty"`

	// timeout is how long all steps together may take. Defaults to 30m.
	// +optional
	// +default="30m"
	Timeout Duration `json:"timeout,omitempty"`

	// plan are steps that run before anybody is asked, such as the plan of a tool that shows what it would do. What they give is shown to those who
	// must agree, is a part of what they agree to, and can be read by steps. Unset: none.
	// +optional
	Plan *PlanSteps `json:"plan,omitempty"`

	// steps run in this order.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Steps []Step `json:"steps"`

	// finally are steps that run in this order once the others have ended, well or not, also where the request was cancelled after its start.
	// Their conditions and templates also read outcome: Succeeded, Failed or Cancelled. Each has time of its own: its timeout, or
	// ten minutes. That one fails is told, and changes neither the outcome nor whether the next one runs. Unset: none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	Finally []Step `json:"finally,omitempty"`
}

// Accounts are the names of the ServiceAccounts as which the Action acts and reads, each once.
func (e *Execution) Accounts() []string {
	names := []string{e.ServiceAccountName}
	if e.ReadServiceAccountName != "" && e.ReadServiceAccountName != e.ServiceAccountName {
		names = append(names, e.ReadServiceAccountName)
	}
	if e.Plan != nil && !slices.Contains(names, e.Plan.ServiceAccountName) {
		names = append(names, e.Plan.ServiceAccountName)
	}
	return names
}

// PlanSteps run before anybody is asked.
type PlanSteps struct {
	// serviceAccountName is the ServiceAccount in the namespace of the Action as which they run. It is another one than the one that executes, and
	// needs no more than what a look takes: nobody has agreed yet.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	ServiceAccountName string `json:"serviceAccountName"`

	// timeout is how long all of them together may take. Defaults to 10m.
	// +optional
	// +default="10m"
	Timeout Duration `json:"timeout,omitempty"`

	// validFor is how long what they gave holds. After that they run again; if they give something else, people are asked again. Unset: as long as
	// the request waits.
	// +optional
	ValidFor Duration `json:"validFor,omitempty"`

	// steps run in this order. Their names are names of steps of the Action like all others.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	Steps []PlanStep `json:"steps"`
}

// PlanStep looks before anybody has agreed: exactly one of job and http is set. Nothing else is accepted, because it would write.
// +kubebuilder:validation:ExactlyOneOf=job;http
// +kubebuilder:validation:XValidation:rule="!has(self.failWhen) || has(self.job)",message="failWhen is about a Job: use http.success",fieldPath=".failWhen"
type PlanStep struct {
	// name is the step's name, unique in the Action.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=30
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// job runs a Job and waits until it is complete.
	// +optional
	Job *JobStep `json:"job,omitempty"`

	// http calls a host that the configuration of Signoff allows.
	// +optional
	HTTP *HTTPStep `json:"http,omitempty"`

	// when is a CEL expression that is judged when the step is reached; where it gives false, the step is skipped. It reads inputs, request,
	// requester and steps (those before). Unset: always.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	When string `json:"when,omitempty"`

	// failWhen is a CEL expression over "object", the Job as it now is, that ends the wait as failed where it gives true. Unset: only the Job
	// and time end it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	FailWhen string `json:"failWhen,omitempty"`

	// retries is how often the step is tried again after it failed, as in execution.steps. Defaults to 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	Retries int32 `json:"retries,omitempty"`

	// outputs are values that the step gives to those after it, those that execute included, which read them as
	// steps.<step>.outputs.<output>. They are shown to who must agree, and stored in status. Unset: none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Outputs []StepOutput `json:"outputs,omitempty"`

	// timeout is how long the step may take. Unset: as long as plan.timeout leaves.
	// +optional
	Timeout Duration `json:"timeout,omitempty"`
}

// Step is the plan step as a step like all others.
func (p *PlanStep) Step() Step {
	return Step{
		Name: p.Name, Job: p.Job, HTTP: p.HTTP, When: p.When, FailWhen: p.FailWhen, Retries: p.Retries, Outputs: p.Outputs, Timeout: p.Timeout,
	}
}

// Step is one thing that is done: exactly one of apply, patch, delete, job and http is set.
// +kubebuilder:validation:ExactlyOneOf=apply;patch;delete;job;http
// +kubebuilder:validation:XValidation:rule="!has(self.http) || !(has(self.waitFor) || has(self.failWhen))",message="an http step has no object to wait for: use http.success and http.poll",fieldPath=".http"
// +kubebuilder:validation:XValidation:rule="!has(self.failWhen) || has(self.waitFor) || has(self.delete) || has(self.job) || has(self.http)",message="failWhen ends a wait: set waitFor too",fieldPath=".failWhen"
// +kubebuilder:validation:XValidation:rule="!has(self.delete) || !has(self.waitFor)",message="a delete waits until the object is gone: leave waitFor out",fieldPath=".waitFor"
type Step struct {
	// name is the step's name, unique in the Action.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=30
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// apply applies objects by server-side apply, in order.
	// +optional
	Apply *ApplyStep `json:"apply,omitempty"`

	// patch patches one object that exists.
	// +optional
	Patch *PatchStep `json:"patch,omitempty"`

	// delete deletes one object, the one that was there when it was planned, and waits until it is gone.
	// +optional
	Delete *DeleteStep `json:"delete,omitempty"`

	// job runs a Job and waits until it is complete.
	// +optional
	Job *JobStep `json:"job,omitempty"`

	// http calls a host that the configuration of Signoff allows.
	// +optional
	HTTP *HTTPStep `json:"http,omitempty"`

	// when is a CEL expression that is judged when the step is reached; where it gives false, the step is skipped. It reads inputs, request,
	// requester, steps (those before) and object: the one object that the step writes, as it is at that moment, or null. Unset: always.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	When string `json:"when,omitempty"`

	// waitFor is what must hold of the objects of the step before the step counts as done. Unset: the write is enough.
	// +optional
	WaitFor *WaitFor `json:"waitFor,omitempty"`

	// failWhen is a CEL expression over "object", the object as it now is, that ends the wait as failed where it gives true. Unset: only
	// time ends a wait that does not end well.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	FailWhen string `json:"failWhen,omitempty"`

	// retries is how often the step is tried again after it failed, with growing pauses, within its timeout: only where repeating it changes
	// nothing, or where it is known how the attempt before ended. Defaults to 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	Retries int32 `json:"retries,omitempty"`

	// outputs are values that the step gives to those after it, which read them as steps.<step>.outputs.<output>. They are stored in
	// status, where whoever may read the request reads them. Unset: none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Outputs []StepOutput `json:"outputs,omitempty"`

	// timeout is how long the step may take, and no longer than execution.timeout, except in finally. Unset: as long as execution.timeout
	// leaves; in finally, ten minutes.
	// +optional
	Timeout Duration `json:"timeout,omitempty"`
}

// StepOutput is a value that a step gives to those after it.
type StepOutput struct {
	// name is the output's name, unique in the step.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z][A-Za-z0-9]*$`
	Name string `json:"name"`

	// expression is a CEL expression that gives the value when the step is done. It reads object, the one object that the step wrote, and
	// for a Job also job: exitCode, message (its termination message) and log (the end of its log, as far as logLines keeps it). For http it reads
	// response instead: status, headers and body, of the last answer.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Expression string `json:"expression"`

	// schema is a structural OpenAPI v3 schema of type string, integer, number or boolean. What does not fit it fails the step.
	// +required
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Schema runtime.RawExtension `json:"schema"`
}

// DriftPolicy says what happens when something has changed, since people agreed, that would be changed.
// +kubebuilder:validation:Enum=Reapprove;Proceed;Fail
type DriftPolicy string

const (
	// DriftReapprove asks for approval again.
	DriftReapprove DriftPolicy = "Reapprove"
	// DriftProceed goes on: what was approved is sent, whatever it finds.
	DriftProceed DriftPolicy = "Proceed"
	// DriftFail ends the request.
	DriftFail DriftPolicy = "Fail"
)

// ConflictPolicy says what happens when another field manager owns a field that is applied.
// +kubebuilder:validation:Enum=Fail;Take
type ConflictPolicy string

const (
	// ConflictsFail fails the step and says who owns the field.
	ConflictsFail ConflictPolicy = "Fail"
	// ConflictsTake takes the field over.
	ConflictsTake ConflictPolicy = "Take"
)

// ApplyStep applies objects by server-side apply. Each step is a field manager of its own.
type ApplyStep struct {
	// conflicts says what happens when another field manager owns a field. Defaults to Fail.
	// +optional
	// +default="Fail"
	Conflicts ConflictPolicy `json:"conflicts,omitempty"`

	// manifests are the objects. apiVersion and kind are literal; every other string may be a ${…} template.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Manifests []Manifest `json:"manifests"`
}

// Manifest is an object as it would be given to kubectl apply.
// +kubebuilder:validation:Type=object
// +kubebuilder:pruning:PreserveUnknownFields
type Manifest struct {
	runtime.RawExtension `json:",inline"`
}

// PatchStep patches one object that exists: exactly one of strategic, merge and json is set.
// +kubebuilder:validation:ExactlyOneOf=strategic;merge;json
type PatchStep struct {
	// target is the object. Unset: the target of the Action.
	// +optional
	Target *ObjectReference `json:"target,omitempty"`

	// strategic is a strategic merge patch: lists such as containers are merged by their key. Built-in kinds only.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Strategic *runtime.RawExtension `json:"strategic,omitempty"`

	// merge is a JSON merge patch (RFC 7386). It replaces lists as a whole.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Merge *runtime.RawExtension `json:"merge,omitempty"`

	// json is a JSON patch (RFC 6902), a list of operations. It is sent at most once.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	JSON []Manifest `json:"json,omitempty"`
}

// Propagation says what becomes of the objects that an object owns when it is deleted.
// +kubebuilder:validation:Enum=Background;Foreground;Orphan
type Propagation string

const (
	// PropagationBackground deletes them afterwards.
	PropagationBackground Propagation = "Background"
	// PropagationForeground deletes them first: the object is gone only once they are.
	PropagationForeground Propagation = "Foreground"
	// PropagationOrphan leaves them.
	PropagationOrphan Propagation = "Orphan"
)

// DeleteStep deletes one object. Where it is gone already, there is nothing to do.
type DeleteStep struct {
	// target is the object. Unset: the target of the Action.
	// +optional
	Target *ObjectReference `json:"target,omitempty"`

	// propagation says what becomes of the objects that it owns. Defaults to Background.
	// +optional
	// +default="Background"
	Propagation Propagation `json:"propagation,omitempty"`
}

// JobStep runs a Job and waits until it is complete: exactly one of podFrom and template is set.
// +kubebuilder:validation:ExactlyOneOf=podFrom;template
// +kubebuilder:validation:XValidation:rule="has(self.template) == has(self.__namespace__)",message="namespace goes with template, and template needs it; with podFrom the Job runs beside the object"
type JobStep struct {
	// podFrom copies the pod of an existing Deployment, StatefulSet, DaemonSet or CronJob, with its image, environment and
	// volumes. Probes, ports and restarts are left out.
	// +optional
	PodFrom *ObjectReference `json:"podFrom,omitempty"`

	// template is a pod template, as in a Job. It may not name a ServiceAccount.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Template *runtime.RawExtension `json:"template,omitempty"`

	// namespace is where the Job runs, with template, which needs it. It may be a ${…} template. Unset: the Job runs beside the
	// object of podFrom.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Namespace string `json:"namespace,omitempty"`

	// container is the container that runs command, and whose exit code, message and log the step has. Other containers of a copied pod are left
	// out. Unset: the first one.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Container string `json:"container,omitempty"`

	// command replaces the command of the container. No shell reads it; what a requester wrote is never expanded again.
	// Unset: the command of the pod.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=4096
	Command []string `json:"command,omitempty"`

	// args replaces the arguments of the container. Unset: the arguments of the pod, or none where command is set.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=4096
	Args []string `json:"args,omitempty"`

	// logLines is how many lines of the end of the log are kept in status, where whoever may read the request reads them. Defaults to 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=50
	LogLines int32 `json:"logLines,omitempty"`
}

// HTTPMethod is what a call asks for.
// +kubebuilder:validation:Enum=GET;HEAD;POST;PUT;PATCH;DELETE
type HTTPMethod string

const (
	// HTTPGet asks for something.
	HTTPGet HTTPMethod = "GET"
	// HTTPHead asks about something.
	HTTPHead HTTPMethod = "HEAD"
	// HTTPPost gives something to be done.
	HTTPPost HTTPMethod = "POST"
	// HTTPPut puts something in a place.
	HTTPPut HTTPMethod = "PUT"
	// HTTPPatch changes something.
	HTTPPatch HTTPMethod = "PATCH"
	// HTTPDelete removes something.
	HTTPDelete HTTPMethod = "DELETE"
)

// HTTPStep is one call. It carries the header Idempotency-Key, which is the same however often the step is tried. Redirects are not followed.
// +kubebuilder:validation:XValidation:rule="!has(self.body) || !has(self.text)",message="body is sent as JSON and text as it is: set one of them",fieldPath=".text"
type HTTPStep struct {
	// method is what is asked for.
	// +required
	Method HTTPMethod `json:"method"`

	// url is where. Scheme and host are literal; path and query may hold ${…} templates, whose values are percent-encoded.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[a-z0-9\[]`
	URL string `json:"url"`

	// headers are sent too. Unset: none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Headers []HTTPHeader `json:"headers,omitempty"`

	// body is sent as JSON; its strings may be ${…} templates. Unset: nothing, or text.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Body *runtime.RawExtension `json:"body,omitempty"`

	// text is sent as it is; it may hold ${…} templates. Unset: nothing, or body.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	Text string `json:"text,omitempty"`

	// sign signs the call as Standard Webhooks demand, with a key from a Secret. Unset: it is not signed.
	// +optional
	Sign *SecretKey `json:"sign,omitempty"`

	// caBundle holds the authorities, as PEM, that sign the certificate of the host. Unset: those of the system.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	CABundle string `json:"caBundle,omitempty"`

	// idempotent says that the host does a call with the same Idempotency-Key once, however often it is sent. Then it is sent again, while there is
	// time, where nobody knows whether it was made: after a crash, a lost connection, or a 502 or 504 of a gateway. What is still not known at the
	// end of that time is looked up, or somebody decides. Defaults to false; GET and HEAD, which change nothing, are always sent again.
	// +optional
	Idempotent bool `json:"idempotent,omitempty"`

	// success is a CEL expression over response (status, headers, body) that gives true where the call did what it should. Unset: a status
	// from 200 to 299.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Success string `json:"success,omitempty"`

	// poll asks until what the call began is done. Unset: the answer is enough.
	// +optional
	Poll *HTTPPoll `json:"poll,omitempty"`

	// lookup finds out after a crash whether the call was made. Unset: nobody can tell, and somebody who
	// holds the verb resolve must decide.
	// +optional
	Lookup *HTTPLookup `json:"lookup,omitempty"`
}

// HTTPHeader is a header: exactly one of value and secret is set.
// +kubebuilder:validation:ExactlyOneOf=value;secret
// +kubebuilder:validation:XValidation:rule="!has(self.prefix) || has(self.secret)",message="prefix stands before a secret: write all of it in value",fieldPath=".prefix"
type HTTPHeader struct {
	// name is its name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9-]*$`
	Name string `json:"name"`

	// value is its value; it may hold ${…} templates. Where it becomes empty, the header is not sent.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Value string `json:"value,omitempty"`

	// secret is where its value is kept.
	// +optional
	Secret *SecretKey `json:"secret,omitempty"`

	// prefix stands before the value of secret, such as "Bearer ". Unset: nothing does.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Prefix string `json:"prefix,omitempty"`
}

// SecretKey is a key of a Secret beside what names it. It is read as the ServiceAccount that is named there: for steps of an Action the executing one, for
// its lookups the reading one. The Secret must say to which hosts it may be sent, in its annotation signoff.dev/allowed-hosts.
type SecretKey struct {
	// name is the name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`

	// key is the key in it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key"`
}

// HTTPPoll asks by GET, with the headers of the step, until something is done.
type HTTPPoll struct {
	// url is where, on the host of the step; its templates may also read response, the answer to the call.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[a-z0-9\[]`
	URL string `json:"url"`

	// every is how long it pauses in between. Defaults to 10s.
	// +optional
	// +default="10s"
	Every Duration `json:"every,omitempty"`

	// until is a CEL expression over response that gives true when it is done.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Until string `json:"until"`

	// failWhen is a CEL expression over response that gives true when it has failed. Unset: only time ends it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	FailWhen string `json:"failWhen,omitempty"`
}

// HTTPLookup asks by GET, with the headers of the step, whether a call was made.
type HTTPLookup struct {
	// url is where, on the host of the step. The template ${idempotencyKey} stands for the header Idempotency-Key of the call.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[a-z0-9\[]`
	URL string `json:"url"`

	// done is a CEL expression over response that gives true where the call was made. It is asked of answers from 200 to 299.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Done string `json:"done"`

	// notDone is a CEL expression over response that gives true where it certainly was not, so that it can be made. It is asked of answers
	// from 200 to 299, and 404. Unset: that is never certain.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	NotDone string `json:"notDone,omitempty"`

	// response is a CEL expression over response that gives what stands for the body of the answer to the call, which nobody has seen:
	// poll.url and outputs read it in its place, such as response.body.items[0]. Unset: the body of this answer, as it is.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Response string `json:"response,omitempty"`
}

// WaitStatus is a computed status of an object, in the words of kstatus.
// +kubebuilder:validation:Enum=Current
type WaitStatus string

// WaitStatusCurrent means that the object is fully rolled out, by the rules of kstatus.
const WaitStatusCurrent WaitStatus = "Current"

// WaitFor is what must hold of an object before a step counts as done: exactly one of status and expression is set.
// +kubebuilder:validation:ExactlyOneOf=status;expression
type WaitFor struct {
	// status is the computed status that is waited for.
	// +optional
	Status WaitStatus `json:"status,omitzero"`

	// expression is a CEL expression over "object", the object as it now is, that gives true when waiting is over.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Expression string `json:"expression,omitempty"`
}

// ActionStatus is what the operator found out about an Action.
type ActionStatus struct {
	// observedGeneration is the generation that this status speaks of. -1: not seen yet.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// inputs names the inputs in one line.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Inputs string `json:"inputs,omitempty"`

	// approval says whether approval is needed: never, sometimes or always.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Approval string `json:"approval,omitempty"`

	// example is a request that works for this Action, as YAML.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Example string `json:"example,omitempty"`

	// edited is when the Action was changed last, as far as the audit log has it. Unset: there is no audit log, or nobody knows who changed it.
	// +optional
	Edited *metav1.MicroTime `json:"edited,omitempty"`

	// conditions are the observed conditions. Ready is True where the Action can be requested and executed.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ActionList is a list of Actions.
// +kubebuilder:object:root=true
type ActionList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of the list.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`

	// items are the Actions.
	// +required
	Items []Action `json:"items"`
}
