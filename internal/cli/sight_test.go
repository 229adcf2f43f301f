package cli

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

// sees is somebody who may read two ConfigMaps, and asks fake objects for them.
func sees() (*sight, *fake.FakeDynamicClient) {
	kind := schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(kind, meta.RESTScopeNamespace)
	var objects []runtime.Object
	for _, name := range []string{"one", "two"} {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(kind)
		object.SetNamespace("a")
		object.SetName(name)
		objects = append(objects, object)
	}
	kinds := map[schema.GroupVersionResource]string{{Version: "v1", Resource: "configmaps"}: "ConfigMapList"}
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, objects...)
	return &sight{session: &session{objects: client}, mapper: mapper, read: map[v1alpha1.ObjectReference]seen{}}, client
}

// TestSightReadsOnce: a plan may name an object often, and each look at it is a call.
func TestSightReadsOnce(t *testing.T) {
	s, client := sees()
	one := v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: "a", Name: "one"}
	missing, nowhere, unknown := one, one, one
	missing.Name, nowhere.Namespace, unknown.Kind = "three", "", "Other"
	for range 3 {
		if object, err := s.Read(t.Context(), one); err != nil || object.GetName() != "one" {
			t.Errorf("%v, %v", object, err)
		}
		if object, err := s.Read(t.Context(), missing); !apierrors.IsNotFound(err) {
			t.Errorf("%v, %v", object, err)
		}
		// Neither says anything about an object, and neither is asked for.
		if object, err := s.Read(t.Context(), nowhere); !apierrors.IsBadRequest(err) {
			t.Errorf("%v, %v", object, err)
		}
		if object, err := s.Read(t.Context(), unknown); !meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
			t.Errorf("%v, %v", object, err)
		}
	}
	if calls := len(client.Actions()); calls != 2 {
		t.Errorf("%d calls for two objects: %v", calls, client.Actions())
	}
}

// TestSightLists as much as there may be, and not everything that there is.
func TestSightLists(t *testing.T) {
	s, client := sees()
	query := gate.Query{ObjectReference: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: "a"}, Limit: 2}
	list, err := s.List(t.Context(), query)
	if err != nil || len(list.Items) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	client.PrependReactor("list", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		more := &unstructured.UnstructuredList{}
		more.SetContinue("there is more")
		return true, more, nil
	})
	if _, err := s.List(t.Context(), query); err == nil || err.Error() != gate.TooMany(query).Error() {
		t.Errorf("a part of a list is no list: %v", err)
	}
}
