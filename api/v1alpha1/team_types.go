package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Team is a group of people in the organisation: its members, its leads, the Team above it, and how to reach it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=signoff,shortName=sgteam
// +kubebuilder:printcolumn:name="Parent",type=string,JSONPath=`.spec.parent`
// +kubebuilder:printcolumn:name="Contact",type=string,JSONPath=`.spec.contact.text`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Team struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is who belongs to the Team.
	// +required
	Spec TeamSpec `json:"spec"`

	// status is what the operator found out about the Team.
	// +optional
	// +default={"observedGeneration":-1}
	Status TeamStatus `json:"status,omitzero"`
}

// TeamSpec says who belongs to a Team.
// +kubebuilder:validation:XValidation:rule="!has(self.members) || !has(self.members.teams)",message="members.teams is not allowed: a Team below names this one in its parent"
// +kubebuilder:validation:XValidation:rule="!has(self.leads) || !has(self.leads.teams)",message="leads.teams is not allowed: name users or groups"
type TeamSpec struct {
	// parent is the name of the Team above. Members of this Team count as members of every Team above it. Unset: there
	// is none above.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Parent string `json:"parent,omitempty"`

	// members are those who belong to the Team. Unset: only leads and the members of the Teams below.
	// +optional
	Members *Subjects `json:"members,omitempty"`

	// leads lead the Team. They are members too. Unset: nobody does.
	// +optional
	Leads *Subjects `json:"leads,omitempty"`

	// contact says how to reach the Team. Unset: nothing is shown.
	// +optional
	Contact *Contact `json:"contact,omitempty"`
}

// Contact says how to reach people.
type Contact struct {
	// text is shown to people, such as "#payments on Slack".
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Text string `json:"text,omitempty"`

	// email is an e-mail address.
	// +optional
	// +kubebuilder:validation:MaxLength=320
	// +kubebuilder:validation:Pattern=`^[^@\s]+@[^@\s]+$`
	Email string `json:"email,omitempty"`
}

// TeamStatus is what the operator found out about a Team.
type TeamStatus struct {
	// observedGeneration is the generation that this status speaks of. -1: not seen yet.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are the observed conditions. Ready is False where names cannot be meant, or the Team is above itself.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// TeamList is a list of Teams.
// +kubebuilder:object:root=true
type TeamList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of the list.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`

	// items are the Teams.
	// +required
	Items []Team `json:"items"`
}
