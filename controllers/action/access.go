package action

import (
	"context"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// lacking names the ServiceAccounts of an Action as which the operator may not act.
func (r *Reconciler) lacking(ctx context.Context, action *v1alpha1.Action) ([]string, error) {
	var names []string
	for _, name := range action.Spec.Execution.Accounts() {
		may, err := r.mayActAs(ctx, action.Namespace, name)
		if err != nil {
			return nil, err
		}
		if !may {
			names = append(names, name)
		}
	}
	return names, nil
}

// mayActAs asks for both rights that Kubernetes knows: to impersonate, and to impersonate a ServiceAccount for some uses only.
// Which uses those are depends on the objects of each request, so that only a request can find out.
func (r *Reconciler) mayActAs(ctx context.Context, namespace, name string) (bool, error) {
	for _, right := range []authorizationv1.ResourceAttributes{
		{Verb: "impersonate", Resource: "serviceaccounts"},
		{Verb: "impersonate:serviceaccount", Group: "authentication.k8s.io", Resource: "serviceaccounts"},
	} {
		right.Namespace, right.Name = namespace, name
		review := &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &right},
		}
		if err := r.Client.Create(ctx, review); err != nil {
			return false, fmt.Errorf("failed to ask whether Signoff may act as ServiceAccount %s/%s: %w", namespace, name, err)
		}
		if review.Status.Allowed {
			return true, nil
		}
	}
	return false, nil
}

// grants says how to let the operator act as ServiceAccounts, with one command line to copy. Empty where it lacks nothing.
func (r *Reconciler) grants(namespace string, lacking []string) string {
	if len(lacking) == 0 {
		return ""
	}
	var accounts, commands []string
	for _, name := range lacking {
		role := "signoff-as-" + name
		accounts = append(accounts, namespace+"/"+name)
		commands = append(commands,
			fmt.Sprintf("kubectl create role %s -n %s --verb=impersonate --resource=serviceaccounts --resource-name=%s", role, namespace, name),
			fmt.Sprintf("kubectl create rolebinding %s -n %s --role=%s --serviceaccount=%s:%s", role, namespace, role, r.Operator.Namespace, r.Operator.Name))
	}
	return fmt.Sprintf("Signoff may not act as ServiceAccount %s. It asks again until it may. An administrator of the namespace grants it: %s",
		strings.Join(accounts, " and "), strings.Join(commands, " && "))
}
