package action

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/identity"
)

// lack is a ServiceAccount of an Action as which a process of Signoff may not act.
type lack struct {
	account string
	process types.NamespacedName
}

// lacking names the ServiceAccounts of an Action as which the operator may not act, and the one that admission may not read as. Compiled is nil for an
// Action that does not compile.
func (r *Reconciler) lacking(ctx context.Context, action *v1alpha1.Action, compiled *catalog.Action) ([]lack, error) {
	var lacking []lack
	for _, name := range action.Spec.Execution.Accounts() {
		may, err := r.mayActAs(ctx, action.Namespace, name, r.ask)
		if err != nil {
			return nil, err
		}
		if !may {
			lacking = append(lacking, lack{name, r.Operator})
		}
	}
	if r.Admission.Name == "" || compiled == nil || !readsObjects(compiled) {
		return lacking, nil
	}
	may, err := r.mayActAs(ctx, action.Namespace, compiled.ReadServiceAccount(), r.askForAdmission)
	if err != nil {
		return nil, err
	}
	if !may {
		lacking = append(lacking, lack{compiled.ReadServiceAccount(), r.Admission})
	}
	return lacking, nil
}

// readsObjects tells whether admission reads something as the ServiceAccount that reads. Namespaces, and what was executed before, it reads as itself.
func readsObjects(action *catalog.Action) bool {
	return action.NeedsTarget || slices.ContainsFunc(action.Lookups, func(l *catalog.Lookup) bool { return l.Executions == nil })
}

// mayActAs asks for both rights that Kubernetes knows: to impersonate, and to impersonate a ServiceAccount for some uses only.
// Which uses those are depends on the objects of each request, so that only a request can find out.
func (r *Reconciler) mayActAs(ctx context.Context, namespace, name string, ask func(context.Context, *authorizationv1.ResourceAttributes) (bool, error)) (bool, error) {
	for _, right := range []authorizationv1.ResourceAttributes{
		{Verb: "impersonate", Resource: "serviceaccounts"},
		{Verb: "impersonate:serviceaccount", Group: "authentication.k8s.io", Resource: "serviceaccounts"},
	} {
		right.Namespace, right.Name = namespace, name
		may, err := ask(ctx, &right)
		if err != nil {
			return false, fmt.Errorf("failed to ask whether Signoff may act as ServiceAccount %s/%s: %w", namespace, name, err)
		}
		if may {
			return true, nil
		}
	}
	return false, nil
}

// ask asks about the operator itself.
func (r *Reconciler) ask(ctx context.Context, right *authorizationv1.ResourceAttributes) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: right}}
	err := r.Client.Create(ctx, review)
	return review.Status.Allowed, err
}

// askForAdmission asks about the process of admission.
func (r *Reconciler) askForAdmission(ctx context.Context, right *authorizationv1.ResourceAttributes) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:               identity.ServiceAccountUsername(r.Admission.Namespace, r.Admission.Name),
		Groups:             []string{"system:serviceaccounts", "system:serviceaccounts:" + r.Admission.Namespace, "system:authenticated"},
		ResourceAttributes: right,
	}}
	err := r.Client.Create(ctx, review)
	return review.Status.Allowed, err
}

// grants says how to let Signoff act as ServiceAccounts, with one command line to copy. Empty where it lacks nothing.
func (r *Reconciler) grants(action *v1alpha1.Action, lacking []lack) string {
	if len(lacking) == 0 {
		return ""
	}
	namespace, execution := action.Namespace, &action.Spec.Execution
	var accounts, commands []string
	for _, it := range lacking {
		if it.process == r.Admission && it.account == execution.ServiceAccountName {
			return fmt.Sprintf("admission reads facts, and acts as nobody who executes: name another ServiceAccount in spec.execution.readServiceAccountName, which may read them, and let %s:%s impersonate it",
				r.Admission.Namespace, r.Admission.Name)
		}
		role := "signoff-as-" + it.account
		if it.process == r.Admission {
			role = "signoff-admission-as-" + it.account
		}
		if account := namespace + "/" + it.account; !slices.Contains(accounts, account) {
			accounts = append(accounts, account)
		}
		commands = append(commands,
			fmt.Sprintf("kubectl create role %s -n %s --verb=impersonate --resource=serviceaccounts --resource-name=%s", role, namespace, it.account),
			fmt.Sprintf("kubectl create rolebinding %s -n %s --role=%s --serviceaccount=%s:%s", role, namespace, role, it.process.Namespace, it.process.Name))
	}
	return fmt.Sprintf("Signoff may not act as ServiceAccount %s. It asks again until it may. An administrator of the namespace grants it: %s",
		strings.Join(accounts, " and "), strings.Join(commands, " && "))
}
