package steps

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// builtInGroups are the API groups of Kubernetes itself. Only their kinds understand a strategic merge patch. The list is
// closed: many groups that end in .k8s.io, such as gateway.networking.k8s.io, belong to CustomResourceDefinitions.
var builtInGroups = []string{
	"", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps", "authentication.k8s.io",
	"authorization.k8s.io", "autoscaling", "batch", "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io",
	"events.k8s.io", "extensions", "flowcontrol.apiserver.k8s.io", "imagepolicy.k8s.io", "internal.apiserver.k8s.io", "lifecycle.k8s.io",
	"networking.k8s.io", "node.k8s.io", "policy", "rbac.authorization.k8s.io", "resource.k8s.io", "scheduling.k8s.io",
	"storage.k8s.io", "storagemigration.k8s.io",
}

// definitionKind is the kind by which Signoff's own kinds could be changed or removed.
var definitionKind = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

func isBuiltIn(group string) bool { return slices.Contains(builtInGroups, group) }

// kindOf splits the reference's kind off. The CRD has checked the pattern of apiVersion already.
func kindOf(apiVersion, kind string) schema.GroupKind {
	return schema.FromAPIVersionAndKind(apiVersion, kind).GroupKind()
}

// isOwn reports whether the group is Signoff's.
func isOwn(group string) bool {
	return group == v1alpha1.GroupVersion.Group || strings.HasSuffix(group, "."+v1alpha1.GroupVersion.Group)
}

// kind refuses kinds that a step must not write.
func (b *builder) kind(apiVersion, kind string, path *field.Path) {
	group := kindOf(apiVersion, kind).Group
	if isOwn(group) {
		b.refuse(field.Forbidden(path, fmt.Sprintf("a step may not write %s objects: what runs must not change who may ask, who must agree, or what was agreed; keep them under version control and apply them by hand", group)))
	}
}

// checkOwn refuses the definitions of Signoff's own kinds, which only a rendered name shows.
func checkOwn(ref v1alpha1.ObjectReference) error {
	if kindOf(ref.APIVersion, ref.Kind) == definitionKind && isOwn(ref.Name) {
		return fmt.Errorf("metadata.name: %q: a step may not write the definitions of Signoff's own kinds", ref.Name)
	}
	return nil
}
