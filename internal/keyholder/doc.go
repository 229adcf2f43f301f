// Package keyholder holds the keys of this process: it reads them where they are stored, follows their changes, and does what internal/keys
// decides.
//
// A private key is in a signer only, which prints as an address. What is read is never part of an error.
package keyholder

// A create cannot be limited to names. Who may create Secrets here is the operator, and replaces none by it.
//
// +kubebuilder:rbac:groups="",namespace=signoff-system,resources=secrets,resourceNames=signoff-admission-key;signoff-controller-key,verbs=get;watch;update
// +kubebuilder:rbac:groups="",namespace=signoff-system,resources=configmaps,resourceNames=signoff-keys,verbs=get;watch;update
// +kubebuilder:rbac:groups="",namespace=signoff-system,resources=secrets;configmaps,verbs=create
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=signoff-system,resources=leases,verbs=get;list;create;update;delete
