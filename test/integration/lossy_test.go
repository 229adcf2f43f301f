package integration

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// lossy is a host that breaks every connection once it has read what is asked.
var lossy = httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))

// TestUnknownInANamespaceThatGoes deletes the namespace of a request of which nobody knows how its call ended: nobody can decide any more, and the namespace
// goes. The Record says what is not known.
func TestUnknownInANamespaceThatGoes(t *testing.T) {
	if err := cluster.Apply(t.Context(), []byte(strings.NewReplacer("URL", lossy.URL, "BUNDLE", play.Authority(lossy)).Replace(`
apiVersion: v1
kind: Namespace
metadata: {name: going}
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: lossy}
spec:
  title: Call a host that dies
  default: {effect: Allow}
  execution:
    serviceAccountName: deployer
    steps:
    - name: call
      http:
        method: POST
        url: URL/a
        body: {a: b}
        caBundle: |
          BUNDLE
`))); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Grant(t.Context(), env.RoleRequester, "going", env.ToUser("alice")); err != nil {
		t.Fatal(err)
	}
	r := request("lossy", "{}")
	r.Namespace = "going"
	eventually(t, "alice may ask there", func() (bool, string) {
		attempt := r.DeepCopy()
		err := as(t, users.Alice).Create(t.Context(), attempt)
		if err == nil {
			r = attempt
		}
		return err == nil, errText(err)
	})
	r = reaches(t, r, v1alpha1.PhaseOutcomeUnknown)
	if err := admin(t).Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "going"}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace goes", func() (bool, string) {
		err := admin(t).Get(t.Context(), types.NamespacedName{Name: "going"}, &corev1.Namespace{})
		return apierrors.IsNotFound(err), errText(err)
	})
	record := &v1alpha1.Record{}
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "signoff-system", Name: string(r.UID)}, record); err != nil {
		t.Fatal(err)
	}
	if record.Status.Outcome != v1alpha1.OutcomeFailed || !strings.Contains(record.Status.Message, "The request was deleted before anybody decided") {
		t.Errorf("the Record must say so: %s %q", record.Status.Outcome, record.Status.Message)
	}
}
