package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Delegation lets somebody else vote for its writer, the principal, on requests for the Actions beside it, until a time. The principal must
// hold the verb delegate there. It cannot change: to take it back, delete it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=signoff,shortName=sgdel
// +kubebuilder:printcolumn:name="Principal",type=string,JSONPath=`.spec.principal.username`
// +kubebuilder:printcolumn:name="To",type=string,JSONPath=`.spec.to.users`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Until",type=string,JSONPath=`.spec.until`
// +kubebuilder:printcolumn:name="Actions",type=string,priority=1,JSONPath=`.spec.actions`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Delegation struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is who may vote for whom, and until when.
	// +required
	Spec DelegationSpec `json:"spec"`

	// status is what the operator found out about the Delegation.
	// +optional
	// +default={"observedGeneration":-1}
	Status DelegationStatus `json:"status,omitzero"`
}

// DelegationSpec says who may vote for whom, and until when.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a Delegation cannot change: delete it, and make another one"
// +kubebuilder:validation:XValidation:rule="!has(self.from) || self.from < self.until",message="must be after from",fieldPath=".until"
type DelegationSpec struct {
	// to names who may vote for the principal.
	// +required
	To Delegates `json:"to"`

	// actions are names of Actions in the namespace of the Delegation. Unset: every Action there.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Actions []string `json:"actions,omitempty"`

	// from is from when on. Unset: at once.
	// +optional
	From *metav1.Time `json:"from,omitempty"`

	// until is until when, at most 30 days after the Delegation is made.
	// +required
	Until metav1.Time `json:"until"`

	// reason says why, in the principal's words, such as "on leave". Unset: nothing is said.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`

	// principal is who lets others vote for them: whoever made the Delegation. The admission webhook writes it; what a client writes is
	// overwritten.
	// +optional
	Principal *Identity `json:"principal,omitempty"`

	// seal proves that the principal made the Delegation, and when. The admission webhook writes it. Unset: the Delegation was stored
	// without the webhook, and never counts.
	// +optional
	Seal *Seal `json:"seal,omitempty"`
}

// Delegates are people who may vote for somebody. Whoever does is known by name: there are no groups or Teams here.
type Delegates struct {
	// users are user names, exactly as the API server authenticates them. A ServiceAccount votes for nobody.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:items:XValidation:rule="!self.startsWith('system:')",message="a system identity votes for nobody"
	Users []string `json:"users"`
}

// DelegationState says in one word whether a Delegation counts.
// +kubebuilder:validation:Enum=Pending;Active;Expired;Invalid
type DelegationState string

const (
	// DelegationPending means that it counts from spec.from on.
	DelegationPending DelegationState = "Pending"
	// DelegationActive means that it counts.
	DelegationActive DelegationState = "Active"
	// DelegationExpired means that its time is over.
	DelegationExpired DelegationState = "Expired"
	// DelegationInvalid means that it never counts. The condition Ready says why.
	DelegationInvalid DelegationState = "Invalid"
)

// DelegationStatus is what the operator found out about a Delegation.
type DelegationStatus struct {
	// observedGeneration is the generation that this status speaks of. -1: not seen yet, or the audit log does not have it yet.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// state says in one word whether the Delegation counts. Unset: not seen yet.
	// +optional
	State DelegationState `json:"state,omitempty"`

	// conditions are the observed conditions. Ready is True while the Delegation counts.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// DelegationList is a list of Delegations.
// +kubebuilder:object:root=true
type DelegationList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of the list.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`

	// items are the Delegations.
	// +required
	Items []Delegation `json:"items"`
}

// VoteDelegation is what lets a voter vote for somebody else.
type VoteDelegation struct {
	// principal is the user name of whom the voter stands for.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Principal string `json:"principal"`

	// uid is the uid of the Delegation.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Type=string
	UID types.UID `json:"uid"`

	// seal is the hash of what the principal sealed, as "sha256:…".
	// +required
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +kubebuilder:validation:MaxLength=71
	Seal string `json:"seal"`
}
