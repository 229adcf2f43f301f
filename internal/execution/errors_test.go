package execution

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
		"RBAC":      {"a right is missing", forbidden(`User "system:serviceaccount:a:b" cannot create resource "pods" in API group "" in the namespace "c"`), true},
		"Quota":     {"no right makes room", forbidden("exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=3"), false},
		"Policy":    {"no right makes it fit", forbidden(`ValidatingAdmissionPolicy 'small' with binding 'small' denied request: too large`), false},
		"Security":  {"nor safe", forbidden(`violates PodSecurity "restricted:latest": privileged`), false},
		"Webhook":   {"nor wanted", apierrors.NewForbidden(schema.GroupResource{}, "", errors.New(`admission webhook "x" denied the request: no`)), false},
		"Disguised": {"nor in the words of RBAC", apierrors.NewForbidden(schema.GroupResource{}, "", errors.New(`admission webhook "x" denied the request: User "a" cannot do this`)), false},
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

// TestDiscreet: of what is said of a write to a Secret that is told which cannot repeat what is written. How it goes on is the same.
func TestDiscreet(t *testing.T) {
	said := func(code int32, message string) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: metav1.StatusReason(http.StatusText(int(code))), Message: message}}
	}
	const right = `secrets "c" is forbidden: User "system:serviceaccount:a:b" cannot patch resource "secrets" in API group "" in the namespace "n"`
	for name, tc := range map[string]struct {
		reason string
		err    error
		shown  bool
	}{
		"Right":       {"the authorizer sees no object", said(403, right), true},
		"NoObject":    {"as above", said(403, `forbidden: User "a" cannot get path "/apis"`), true},
		"Webhook":     {"who denies it sees it", said(403, `admission webhook "x" denied the request: word`), false},
		"Disguised":   {"in whatever words", said(403, `admission webhook "x" denied the request: User "word" cannot `), false},
		"Policy":      {"as above", said(403, `secrets "c" is forbidden: ValidatingAdmissionPolicy 'x' with binding 'y' denied request: word`), false},
		"Quota":       {"nobody knows what it has seen", said(403, `secrets "c" is forbidden: word`), false},
		"Busy":        {"with whatever code", said(429, `admission webhook "x" denied the request: word`), false},
		"Error":       {"as above", said(500, `admission webhook "x" denied the request: word`), false},
		"Login":       {"as above", said(401, `secrets "c" is forbidden: ValidatingAdmissionPolicy 'x' with binding 'y' denied request: word`), false},
		"Fails":       {"its error page is quoted", said(500, `Internal error occurred: failed calling webhook "x": failed to call webhook: an error on the server ("word") has prevented the request from succeeding`), false},
		"Untyped":     {"values are quoted", said(500, `failed to create typed patch object (n/c; /v1, Kind=Secret): .data.a: expected string, got word`), false},
		"Invalid":     {"as above", said(422, `Secret "c" is invalid: metadata.labels: Invalid value: "word"`), false},
		"Bad":         {"as above", said(400, `json: cannot unmarshal word`), false},
		"Away":        {"it could not see it", said(500, `Internal error occurred: failed calling webhook "x": failed to call webhook: connection refused`), true},
		"Conflict":    {"it names the object", said(409, `Operation cannot be fulfilled on secrets "c": the object has been modified`), true},
		"NotFound":    {"as above", said(404, `secrets "c" not found`), true},
		"NoStatement": {"there was no answer", errors.New("connection refused"), true},
	} {
		t.Run(name, func(t *testing.T) {
			got := discreet(tc.err)
			if text := explain("patch Secret c", got); strings.Contains(text, "is not shown") == tc.shown || strings.Contains(text, "word") {
				t.Errorf("%s: %s", tc.reason, text)
			}
			if isTransient(got) != isTransient(tc.err) {
				t.Errorf("%s: it goes on otherwise: %v", tc.reason, got)
			}
		})
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
