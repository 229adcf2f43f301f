package webhooks

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// gitOpsMarks are the labels and annotations by which tools know what they have applied.
var gitOpsMarks = []string{
	"kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name", "argocd.argoproj.io/instance", "argocd.argoproj.io/tracking-id",
}

// gitOpsManagers are the field managers by which Argo CD writes. A request that it tracks by a label alone has no other mark that is its own: the label is
// app.kubernetes.io/instance, which Helm and people put too, or any that its settings name.
var gitOpsManagers = []string{"argocd-controller", "argocd-application-controller"}

// endless refuses a request that a tool makes from a repository, and that says no end. Such a tool makes it again whenever it is not there, and only
// with an end can be told until when that is the same request.
func endless(request *v1alpha1.ActionRequest) field.ErrorList {
	if request.Spec.ExpiresAt != nil {
		return nil
	}
	mark := gitOpsMark(request)
	if mark == "" {
		return nil
	}
	return field.ErrorList{field.Required(field.NewPath("spec", "expiresAt"), fmt.Sprintf(
		"a tool that applies what is in a repository made this request (%s), and would make it again: say until when it may run, at most once; see docs/guides/gitops.md", mark))}
}

// gitOpsMark is by what a tool is known that has made a request. Empty: there is none.
func gitOpsMark(request *v1alpha1.ActionRequest) string {
	for _, mark := range gitOpsMarks {
		_, label := request.Labels[mark]
		_, annotation := request.Annotations[mark]
		if label || annotation {
			return mark
		}
	}
	for i := range request.ManagedFields {
		if manager := request.ManagedFields[i].Manager; slices.Contains(gitOpsManagers, manager) {
			return "field manager " + manager
		}
	}
	return ""
}
