package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ActionPolicy holds rules over many Actions. It can only tighten what they demand.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=signoff,path=actionpolicies,shortName=sgpolicy
// +kubebuilder:printcolumn:name="Effect",type=string,JSONPath=`.status.effect`
// +kubebuilder:printcolumn:name="Active",type=string,JSONPath=`.status.active`
// +kubebuilder:printcolumn:name="Until",type=string,JSONPath=`.status.until`
// +kubebuilder:printcolumn:name="Holding",type=integer,JSONPath=`.status.holding`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ActionPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the policy demands, and of what.
	// +required
	Spec ActionPolicySpec `json:"spec"`

	// status is what the operator found out about the policy.
	// +optional
	// +default={"observedGeneration":-1}
	Status ActionPolicyStatus `json:"status,omitzero"`
}

// ActionPolicySpec says what a policy demands, and of what.
// +kubebuilder:validation:XValidation:rule="!has(self.stages) || self.rules.exists(r, has(r.stages))",message="stages are defined, but no rule uses one"
type ActionPolicySpec struct {
	// match says which requests the policy is about. Unset: all.
	// +optional
	Match *PolicyMatch `json:"match,omitempty"`

	// rules are judged all; their order does not matter.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Rules []PolicyRule `json:"rules"`

	// stages are the rounds of approval that rules name. They come on top of the stages of the Action. Unset: no rule of the
	// policy requires approval.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Stages []Stage `json:"stages,omitempty"`
}

// PolicyMatch says which requests a policy is about. Every field that is set must match.
// +kubebuilder:validation:MinProperties=1
type PolicyMatch struct {
	// actions selects Actions. Unset: all.
	// +optional
	Actions *PolicyActions `json:"actions,omitempty"`

	// requestNamespaces selects requests by the namespace they are made in. Unset: all.
	// +optional
	RequestNamespaces *PolicyNamespaces `json:"requestNamespaces,omitempty"`

	// objects selects requests by what they will touch: at least one object that a step writes is selected by one of these.
	// Unset: whatever they touch.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Objects []PolicyObjects `json:"objects,omitempty"`
}

// PolicyObjects selects objects that a request will touch: everything in it must hold of one object.
// +kubebuilder:validation:MinProperties=1
type PolicyObjects struct {
	// apiGroups are API groups; "" is the core group. Unset: every group.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$`
	APIGroups []string `json:"apiGroups,omitempty"`

	// kinds are kinds, such as Deployment. Unset: every kind.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[A-Z][A-Za-z0-9]*$`
	Kinds []string `json:"kinds,omitempty"`

	// namespaces are the namespaces of the objects. Unset: every namespace, and objects without one.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespaces []string `json:"namespaces,omitempty"`

	// namespaceSelector selects the namespaces of the objects by their labels. Unset: whatever their labels.
	// +optional
	NamespaceSelector *LabelSelector `json:"namespaceSelector,omitempty"`

	// selector selects the objects by their labels, as they are or as the request would make them: either is enough. Unset: whatever
	// their labels.
	// +optional
	Selector *LabelSelector `json:"selector,omitempty"`
}

// PolicyActions selects Actions. Every field that is set must match.
// +kubebuilder:validation:MinProperties=1
type PolicyActions struct {
	// namespaces are the namespaces of Actions. Unset: every namespace.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespaces []string `json:"namespaces,omitempty"`

	// names are the names of Actions. Unset: every name.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Names []string `json:"names,omitempty"`

	// selector selects Actions by their labels. Unset: whatever their labels.
	// +optional
	Selector *LabelSelector `json:"selector,omitempty"`
}

// PolicyNamespaces selects namespaces by name.
type PolicyNamespaces struct {
	// names are the names of namespaces.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Names []string `json:"names"`
}

// PolicyEffect is what a rule of a policy does when it applies.
// +kubebuilder:validation:Enum=RequireApproval;Hold;Deny
type PolicyEffect string

const (
	// PolicyRequireApproval demands the approval of every stage of the policy that the rule names.
	PolicyRequireApproval PolicyEffect = "RequireApproval"
	// PolicyHold delays the start for as long as the rule applies. Votes are collected meanwhile.
	PolicyHold PolicyEffect = "Hold"
	// PolicyDeny refuses the request at admission, and delays it if it applies only later.
	PolicyDeny PolicyEffect = "Deny"
)

// PolicyRule gives an effect to a situation.
// +kubebuilder:validation:XValidation:rule="has(self.stages) == (self.effect == 'RequireApproval')",message="stages are needed with effect RequireApproval, and go with no other"
// +kubebuilder:validation:XValidation:rule="!has(self.override) || self.effect == 'Deny'",message="override goes with effect Deny only",fieldPath=".override"
type PolicyRule struct {
	// name is the rule's name, unique in the policy. Verdicts name it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// during is a time in which the rule applies. Unset: always.
	// +optional
	During *During `json:"during,omitempty"`

	// when is a CEL expression that gives true where the rule applies. Unset: always.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	When string `json:"when,omitempty"`

	// effect is what the rule does when it applies. A policy never allows.
	// +required
	Effect PolicyEffect `json:"effect"`

	// stages names the stages of this policy that must approve. With effect RequireApproval only, and needed there.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Stages []string `json:"stages,omitempty"`

	// message tells people why, in one line. Unset: they read the name of the rule.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`

	// override says who may pass the rule in an emergency. With effect Deny only. Unset: nobody.
	// +optional
	Override *Override `json:"override,omitempty"`
}

// Override lets somebody pass a rule in an emergency.
type Override struct {
	// by are those who may pass the rule, by setting breakGlass on their request. They need the verb "break-glass" as well.
	// +required
	By Subjects `json:"by"`

	// review is the review that then opens.
	// +required
	Review Review `json:"review"`
}

// Review is an approval that is given afterwards.
type Review struct {
	// approvers says who may review. Nobody reviews what they asked for.
	// +required
	Approvers Approvers `json:"approvers"`

	// within is how long after the start the review is due. Defaults to 24h.
	// +optional
	// +default="24h"
	Within Duration `json:"within,omitempty"`
}

// During is a time, by a Calendar.
type During struct {
	// calendar is the name of a Calendar in the namespace of the operator. The rule applies while it is open.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Calendar string `json:"calendar"`
}

// ActionPolicyStatus is what the operator found out about a policy.
type ActionPolicyStatus struct {
	// observedGeneration is the generation that this status speaks of. -1: not seen yet.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// effect is the strongest effect of the rules.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Effect string `json:"effect,omitempty"`

	// active says whether a rule can apply now: True, or False while every rule is outside of its calendar. Unknown where a Calendar is
	// missing or not valid.
	// +optional
	// +kubebuilder:validation:MaxLength=8
	Active string `json:"active,omitempty"`

	// until is when active next changes, for people, such as "Mon 4 Jan 2027 23:59". Empty: never.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Until string `json:"until,omitempty"`

	// holding is how many open requests the policy keeps from starting: by Deny, by Hold, by an approval that is not
	// given yet, or because a rule of it cannot be judged.
	// +optional
	Holding int32 `json:"holding"`

	// conditions are the observed conditions. Ready is True where the policy is in force and could be judged for every open request.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ActionPolicyList is a list of ActionPolicies.
// +kubebuilder:object:root=true
type ActionPolicyList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of the list.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`

	// items are the ActionPolicies.
	// +required
	Items []ActionPolicy `json:"items"`
}
