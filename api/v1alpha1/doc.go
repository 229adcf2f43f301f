// Package v1alpha1 holds the kinds of the API group signoff.dev: what a platform team publishes (Action, Role, Team,
// Calendar, ActionPolicy, Notifier), what people ask (ActionRequest), what approvers vote on (Approval), and the operator's own book
// (Record). It imports apimachinery only, so that a client can use it without the rest of Signoff.
//
// +kubebuilder:object:generate=true
// +groupName=signoff.dev
package v1alpha1
