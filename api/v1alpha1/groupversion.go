package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the API group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: "signoff.dev", Version: "v1alpha1"}

var schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

// AddToScheme registers every kind of this package in a scheme.
var AddToScheme = schemeBuilder.AddToScheme

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&Action{}, &ActionList{},
		&ActionPolicy{}, &ActionPolicyList{},
		&ActionRequest{}, &ActionRequestList{},
		&Approval{}, &ApprovalList{},
		&Calendar{}, &CalendarList{},
		&Delegation{}, &DelegationList{},
		&Notifier{}, &NotifierList{},
		&Record{}, &RecordList{},
		&Role{}, &RoleList{},
		&Team{}, &TeamList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
