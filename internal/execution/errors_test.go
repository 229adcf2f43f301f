package execution

import (
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestHints: what helps is said only where it does.
func TestHints(t *testing.T) {
	const grant = "Grant it to the ServiceAccount, then make a new request"
	forbidden := func(why string) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "a", errors.New(why))
	}
	for name, tc := range map[string]struct {
		reason string
		err    error
		want   bool
	}{
		"RBAC":     {"a right is missing", forbidden(`User "system:serviceaccount:a:b" cannot create resource "pods" in API group "" in the namespace "c"`), true},
		"Quota":    {"no right makes room", forbidden("exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=3"), false},
		"Policy":   {"no right makes it fit", forbidden(`ValidatingAdmissionPolicy 'small' with binding 'small' denied request: too large`), false},
		"Security": {"nor safe", forbidden(`violates PodSecurity "restricted:latest": privileged`), false},
		"Spoken":   {"whatever words they use", forbidden(`ValidatingAdmissionPolicy 'own' with binding 'own' denied request: User "eve" cannot do that`), false},
		"Webhook":  {"nor wanted", apierrors.NewForbidden(schema.GroupResource{}, "", errors.New(`admission webhook "x" denied the request: no`)), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := explain("create Pod a", tc.err); strings.Contains(got, grant) != tc.want {
				t.Errorf("%s: %s", tc.reason, got)
			}
		})
	}
	if got := explain("act", forbidden(`User "x" cannot impersonate resource "serviceaccounts"`)); strings.Contains(got, grant) || !strings.Contains(got, "condition Ready of the Action") {
		t.Errorf("it is the operator who may not: %s", got)
	}
}

// TestMessagesShowEverything: what objects, hosts and Jobs say is shown in terminals.
func TestMessagesShowEverything(t *testing.T) {
	const said = "a\x1b[2J\nb\u202ec\u200bd"
	if got, want := oneLine(said), `a [2J b\u202ec\u200bd`; got != want {
		t.Errorf("a message: %q, want %q", got, want)
	}
	if got, want := lastOf(said), "a[2J\nbcd"; got != want {
		t.Errorf("what a Job says: %q, want %q", got, want)
	}
}
