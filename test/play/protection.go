package play

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// What protects our objects, by kind.
var (
	// WebhookKinds are the first line.
	WebhookKinds = []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}
	// PolicyKinds are the second.
	PolicyKinds = []string{"ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"}
)

// Protection gives what protects our objects, as it is at the API server.
func (p *Play) Protection(t testing.TB, kinds ...string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for _, kind := range kinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(admissionregistrationv1.SchemeGroupVersion.WithKind(kind + "List"))
		if err := p.Admin(t).List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			if name := list.Items[i].GetName(); name == "signoff" || strings.HasSuffix(name, ".signoff.dev") {
				all = append(all, &list.Items[i])
			}
		}
	}
	return all
}

// Without deletes objects, and gives what puts them back and waits until that is proved. It is put back in any case.
func (p *Play) Without(t testing.TB, objects ...*unstructured.Unstructured) (back func()) {
	t.Helper()
	for _, object := range objects {
		if err := p.Admin(t).Delete(t.Context(), object.DeepCopy()); err != nil {
			t.Fatal(err)
		}
	}
	c := p.Admin(t)
	restore := func() error {
		var errs []error
		for _, object := range objects {
			object.SetResourceVersion("")
			object.SetUID("")
			if err := c.Create(context.WithoutCancel(t.Context()), object.DeepCopy()); err != nil && !apierrors.IsAlreadyExists(err) {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	}
	t.Cleanup(func() {
		if err := restore(); err != nil {
			t.Errorf("failed to put back what protects: %v", err)
		}
		p.Guarded(t)
	})
	return func() {
		t.Helper()
		if err := restore(); err != nil {
			t.Fatal(err)
		}
		p.Guarded(t)
	}
}

// Guarded waits until the guard is in force.
func (p *Play) Guarded(t testing.TB) {
	t.Helper()
	Eventually(t, "the guard is in force", func() (bool, string) {
		err := p.Signoff.Process.Guard.InForce()
		return err == nil, fmt.Sprint(err)
	})
}

// NotInForce waits until the guard says what is missing.
func (p *Play) NotInForce(t testing.TB, word string) {
	t.Helper()
	Eventually(t, "the guard misses "+word, func() (bool, string) {
		err := p.Signoff.Process.Guard.InForce()
		return err != nil && strings.Contains(err.Error(), word), fmt.Sprint(err)
	})
}

// Nora administers WorkNamespace and has every right on what is Signoff's there, status included. Where nobody asks our webhooks, RBAC lets
// her write anything.
func (p *Play) Nora(t testing.TB) env.Person {
	t.Helper()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, Name: "everything-of-signoff"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"signoff.dev"}, Resources: []string{"*"}, Verbs: []string{"*"}}},
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: role.ObjectMeta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects: []rbacv1.Subject{env.ToUser("nora")},
	}
	for _, object := range []client.Object{role, binding} {
		if err := p.Admin(t).Create(t.Context(), object); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	login, err := p.Cluster.User("nora")
	if err != nil {
		t.Fatal(err)
	}
	person := env.Person{Name: "nora", Config: login}
	Eventually(t, "RBAC lets nora write", func() (bool, string) {
		err := As(t, person).Get(t.Context(), types.NamespacedName{Namespace: env.WorkNamespace, Name: "none"}, &v1alpha1.Approval{})
		return apierrors.IsNotFound(err), fmt.Sprint(err)
	})
	return person
}

// Unguarded removes all that protects our objects while something is done.
func (p *Play) Unguarded(t testing.TB, what func()) {
	t.Helper()
	p.Guarded(t)
	back := p.Without(t, p.Protection(t, append(PolicyKinds, WebhookKinds...)...)...)
	p.NotInForce(t, "MutatingWebhookConfiguration signoff is missing")
	what()
	back()
}

// Written repeats a write until the API server has noticed that nothing protects our objects.
func Written(t testing.TB, write func() error) {
	t.Helper()
	Eventually(t, "a write without any protection", func() (bool, string) {
		err := write()
		return err == nil, fmt.Sprint(err)
	})
}
