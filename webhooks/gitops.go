package webhooks

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// gitOpsMarks are the labels and annotations by which tools know what they have applied.
var gitOpsMarks = []string{
	"kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name", "argocd.argoproj.io/instance", "argocd.argoproj.io/tracking-id",
}

// endless refuses a request that a tool makes from a repository, and that says no end. Such a tool makes it again whenever it is not there, and only
// with an end can be told until when that is the same request.
func endless(request *v1alpha1.ActionRequest) field.ErrorList {
	if request.Spec.ExpiresAt != nil {
		return nil
	}
	for _, mark := range gitOpsMarks {
		_, label := request.Labels[mark]
		_, annotation := request.Annotations[mark]
		if label || annotation {
			return field.ErrorList{field.Required(field.NewPath("spec", "expiresAt"), fmt.Sprintf(
				"a tool that applies what is in a repository made this request (%s), and would make it again: say until when it may run, at most once; see docs/guides/gitops.md", mark))}
		}
	}
	return nil
}
