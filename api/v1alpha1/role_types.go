package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Role gives a named set of people or agents permissions on the Actions beside it. Not to be confused with the Role of
// rbac.authorization.k8s.io: say roles.signoff.dev, or sgrole.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=signoff,shortName=sgrole
// +kubebuilder:printcolumn:name="Members",type=string,JSONPath=`.status.members`
// +kubebuilder:printcolumn:name="Permissions",type=string,JSONPath=`.status.permissions`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Role struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is who may do what.
	// +required
	Spec RoleSpec `json:"spec"`

	// status is what the operator found out about the Role.
	// +optional
	// +default={"observedGeneration":-1}
	Status RoleStatus `json:"status,omitzero"`
}

// RoleSpec says who may do what.
// +kubebuilder:validation:XValidation:rule="has(self.permissions) || has(self.inherits)",message="gives nothing: at least one of permissions and inherits is needed"
type RoleSpec struct {
	// members are those who hold the Role.
	// +required
	Members Subjects `json:"members"`

	// inherits are names of Roles in the same namespace whose permissions members hold as well. Unset: none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Inherits []string `json:"inherits,omitempty"`

	// permissions are what members may do. Unset: what is inherited.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Permissions []Permission `json:"permissions,omitempty"`
}

// Verb is something that can be done with an Action or a request for it.
// +kubebuilder:validation:Enum=request;approve;cancel;break-glass;request-on-behalf;resolve;delegate
type Verb string

const (
	// VerbRequest allows to ask for the Action.
	VerbRequest Verb = "request"
	// VerbApprove allows to vote, where a stage also names the voter.
	VerbApprove Verb = "approve"
	// VerbCancel allows to cancel requests of other people.
	VerbCancel Verb = "cancel"
	// VerbBreakGlass allows to run at once in an emergency, with a review afterwards.
	VerbBreakGlass Verb = "break-glass"
	// VerbRequestOnBehalf allows to ask for the Action in the name of somebody else.
	VerbRequestOnBehalf Verb = "request-on-behalf"
	// VerbResolve allows to say how a step ended whose outcome is unknown.
	VerbResolve Verb = "resolve"
	// VerbDelegate allows to let somebody else vote for oneself, where one may approve.
	VerbDelegate Verb = "delegate"
)

// Permission lets members use verbs on Actions.
type Permission struct {
	// verbs are what members may do.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=7
	Verbs []Verb `json:"verbs"`

	// actions selects Actions in the namespace of the Role.
	// +required
	Actions ActionSelector `json:"actions"`

	// when is a CEL expression over inputs, request, requester and caller that must give true. Unset: always.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	When string `json:"when,omitempty"`

	// message says in one line what when demands, for those who do not meet it. Unset: they read the name of the Role.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// ActionSelector selects Actions, by name or by label: exactly one of names and selector is set.
// +kubebuilder:validation:ExactlyOneOf=names;selector
// +kubebuilder:validation:XValidation:rule="!has(self.names) || !('*' in self.names) || size(self.names) == 1",message="\"*\" already means every Action: write it alone",fieldPath=".names"
type ActionSelector struct {
	// names are names of Actions. The one element "*" means every Action in the namespace.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^(\*|[a-z0-9]([-a-z0-9.]*[a-z0-9])?)$`
	Names []string `json:"names,omitempty"`

	// selector selects Actions by their labels.
	// +optional
	Selector *LabelSelector `json:"selector,omitempty"`
}

// RoleStatus is what the operator found out about a Role.
type RoleStatus struct {
	// observedGeneration is the generation that this status speaks of. -1: not seen yet.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// members names the members in one line.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Members string `json:"members,omitempty"`

	// permissions names the permissions in one line.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Permissions string `json:"permissions,omitempty"`

	// conditions are the observed conditions. Ready is True where the Role is in force.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// RoleList is a list of Roles.
// +kubebuilder:object:root=true
type RoleList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of the list.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`

	// items are the Roles.
	// +required
	Items []Role `json:"items"`
}
