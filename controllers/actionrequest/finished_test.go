package actionrequest

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestLetGo takes the finalizer off a request that is being deleted, and touches nothing else, whatever has its name by then.
func TestLetGo(t *testing.T) {
	now := metav1.NewTime(time.Now())
	for name, tc := range map[string]struct {
		uid, live types.UID
		deleted   bool
		open      bool
		conflicts int
		puts      int
		gone      bool
	}{
		"being deleted":                        {uid: "a", live: "a", deleted: true, puts: 1, gone: true},
		"written by somebody else meanwhile":   {uid: "a", live: "a", deleted: true, conflicts: 2, puts: 3, gone: true},
		"not over":                             {uid: "a", live: "a", deleted: true, open: true},
		"not being deleted":                    {uid: "a", live: "a"},
		"a new one of the same name":           {uid: "a", live: "b"},
		"a new one that is being deleted, too": {uid: "a", live: "b", deleted: true},
	} {
		t.Run(name, func(t *testing.T) {
			request := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "x", UID: tc.live, Finalizers: []string{v1alpha1.RequestFinalizer}}}
			if !tc.open {
				request.Status.Outcome = v1alpha1.OutcomeSucceeded
			}
			if tc.deleted {
				request.DeletionTimestamp = &now
			}
			scheme, puts := runtime.NewScheme(), 0
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(request).WithInterceptorFuncs(interceptor.Funcs{
				Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
					puts++
					if object.GetUID() != tc.uid || object.GetResourceVersion() == "" {
						t.Errorf("it does not name what it is about: uid %q, version %q", object.GetUID(), object.GetResourceVersion())
					}
					if puts <= tc.conflicts {
						return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("actionrequests").GroupResource(), object.GetName(), nil)
					}
					return c.Update(ctx, object, options...)
				},
				Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
					t.Error("of two patches the API server lets the later one remove what has that name by then")
					return nil
				},
			}).Build()
			key := client.ObjectKeyFromObject(request)
			if err := letGo(t.Context(), c, c, key, tc.uid); err != nil {
				t.Fatal(err)
			}
			err := c.Get(t.Context(), key, &v1alpha1.ActionRequest{})
			if client.IgnoreNotFound(err) != nil || (err != nil) != tc.gone || puts != tc.puts {
				t.Errorf("got %v after %d writes, want %d, and that it is gone: %v", err, puts, tc.puts, tc.gone)
			}
		})
	}
}
