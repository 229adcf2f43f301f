package execution

import (
	"fmt"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestClientsDoNotMix asks as many ServiceAccounts at once who they are, more often than clients are kept.
func TestClientsDoNotMix(t *testing.T) {
	clients := newClients(t, cluster.Admin)
	reviews := schema.GroupVersionResource{Group: "authentication.k8s.io", Version: "v1", Resource: "selfsubjectreviews"}
	var all sync.WaitGroup
	for i := range maxClients + 64 {
		all.Go(func() {
			name := fmt.Sprintf("account-%d", i%(maxClients+16))
			client, err := clients.For("platform", name)
			if err != nil {
				t.Error(err)
				return
			}
			review := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}}
			got, err := client.Resource(reviews).Create(t.Context(), review, metav1.CreateOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			who, _, _ := unstructured.NestedString(got.Object, "status", "userInfo", "username")
			groups, _, _ := unstructured.NestedStringSlice(got.Object, "status", "userInfo", "groups")
			if who != "system:serviceaccount:platform:"+name || len(groups) != 3 {
				t.Errorf("%s is %s in %v", name, who, groups)
			}
		})
	}
	all.Wait()
	if n := clients.cache.Len(); n > maxClients {
		t.Errorf("%d clients are kept", n)
	}
}

func TestClientsRefuseNobody(t *testing.T) {
	clients := newClients(t, operator)
	for _, as := range []account{{"", "deployer"}, {"platform", ""}, {"", ""}} {
		if client, err := clients.For(as.namespace, as.name); err == nil {
			t.Errorf("%+v became %v", as, client)
		}
	}
}

func TestGet(t *testing.T) {
	clients, namespace := newClients(t, operator), newNamespace(t)
	for name, tc := range map[string]struct {
		reason  string
		account string
		ref     v1alpha1.ObjectReference
		want    func(error) bool
	}{
		"NotFound":  {"there is none", "deployer", v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: namespace, Name: "none"}, apierrors.IsNotFound},
		"Forbidden": {"it may not", "weak", v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: namespace, Name: "none"}, apierrors.IsForbidden},
		"Kind":      {"there is no such kind", "deployer", v1alpha1.ObjectReference{APIVersion: "example.com/v1", Kind: "None", Name: "none"}, meta.IsNoMatchError},
		"Scope":     {"it would be another object", "deployer", v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Name: "none"}, apierrors.IsBadRequest},
		"Found":     {"everybody has this one", "deployer", v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: namespace, Name: "kube-root-ca.crt"}, func(err error) bool { return err == nil }},
	} {
		t.Run(name, func(t *testing.T) {
			check := func() error {
				_, err := clients.Get(t.Context(), "platform", tc.account, tc.ref)
				return err
			}
			if err := check(); !tc.want(err) {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
}
