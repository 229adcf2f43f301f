package doctor

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// seals looks whether Approvals and votes are sealed: in all namespaces, or in the one of requests.
func (d *Doctor) seals(ctx context.Context) ([]Finding, error) {
	resource, where := v1alpha1.GroupVersion.WithResource("approvals"), "all namespaces"
	found, err := list[v1alpha1.Approval](ctx, d, resource, "", metav1.ListOptions{})
	if apierrors.IsForbidden(err) {
		where = "namespace " + d.RequestNamespace
		found, err = list[v1alpha1.Approval](ctx, d, resource, d.RequestNamespace, metav1.ListOptions{})
	}
	switch {
	case apierrors.IsNotFound(err):
		return []Finding{{Unknown, "seals", "the cluster has no Approvals: Signoff is not installed"}}, nil
	case err != nil:
		return unread("seals", "Approvals in "+where, "list approvals.signoff.dev", err)
	}
	return sealed(found, where), nil
}

func sealed(found []v1alpha1.Approval, where string) []Finding {
	votes := 0
	var all []Finding
	for i := range found {
		approval := &found[i]
		name := approval.Namespace + "/" + approval.Name
		if approval.Spec.Seal == nil {
			all = append(all, Finding{Wrong, "seals", fmt.Sprintf("Approval %s is not sealed: it was not opened by Signoff, and never counts", name)})
		}
		for j := range approval.Spec.Votes {
			votes++
			if vote := &approval.Spec.Votes[j]; vote.Seal == "" {
				all = append(all, Finding{Wrong, "seals", fmt.Sprintf("the vote of %s on Approval %s is not sealed: it was stored without Signoff's webhook, and never counts", vote.Voter.Username, name)})
			}
		}
	}
	switch {
	case len(all) > 0:
		return all
	case len(found) == 0:
		return []Finding{{Unknown, "seals", "there is no Approval to look at in " + where}}
	}
	return []Finding{{Good, "seals", fmt.Sprintf("%d Approvals and %d votes in %s are sealed. Whether the seals are valid: kubectl signoff audit verify", len(found), votes, where)}}
}
