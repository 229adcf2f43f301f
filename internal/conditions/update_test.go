package conditions

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func TestUpdate(t *testing.T) {
	resource := schema.GroupResource{Group: "signoff.dev", Resource: "teams"}
	broken := errors.New("broken")
	type want struct {
		Result reconcile.Result
		Err    string
		Writes int
		// Stored is the observedGeneration that is stored in the end.
		Stored int64
	}
	for name, tc := range map[string]struct {
		reason  string
		missing bool
		// unreadable is why the object cannot be read.
		unreadable error
		// finds is the observedGeneration that examine sets, and fails its error.
		finds int64
		fails error
		// answer is what the API server says to a write instead of storing it.
		answer error
		want   want
	}{
		"Changed":  {reason: "What changed is stored by one write.", finds: 2, want: want{Writes: 1, Stored: 2}},
		"Same":     {reason: "What did not change costs no write.", finds: 1, want: want{Stored: 1}},
		"Gone":     {reason: "An object that is gone needs no status.", missing: true, finds: 2},
		"GoneNow":  {reason: "Neither does one that goes meanwhile.", finds: 2, answer: apierrors.NewNotFound(resource, "payments"), want: want{Writes: 1, Stored: 1}},
		"Unread":   {reason: "An object that cannot be read is looked at again.", unreadable: broken, finds: 2, want: want{Err: "failed to read Team payments: broken", Stored: 1}},
		"Conflict": {reason: "Who lost a race looks again soon, without an error.", finds: 2, answer: apierrors.NewConflict(resource, "payments", broken), want: want{Result: reconcile.Result{RequeueAfter: conflictDelay}, Writes: 1, Stored: 1}},
		"Refused":  {reason: "Any other answer is an error that says what was tried.", finds: 2, answer: broken, want: want{Err: "failed to store the status of Team payments: broken", Writes: 1, Stored: 1}},
		"Unknown":  {reason: "Where nothing could be found out, nothing is written.", finds: 2, fails: broken, want: want{Err: "failed to examine Team payments: broken", Stored: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			writes := 0
			c := fakeClient(t, tc.missing, func() error { writes++; return tc.answer })
			reader := interceptor.NewClient(c, interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
				if tc.unreadable != nil {
					return tc.unreadable
				}
				return c.Get(ctx, key, object, options...)
			}})
			key := types.NamespacedName{Name: "payments"}
			team := &v1alpha1.Team{}
			result, err := Update(t.Context(), reader, key, team, func() error {
				team.Status.ObservedGeneration = tc.finds
				return tc.fails
			})
			got := want{Result: result, Writes: writes}
			if err != nil {
				got.Err = err.Error()
			}
			stored := &v1alpha1.Team{}
			if err := c.Get(t.Context(), key, stored); client.IgnoreNotFound(err) != nil {
				t.Fatal(err)
			}
			got.Stored = stored.Status.ObservedGeneration
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestUpdateIsLocked lets somebody write between reading and storing, which must not be overwritten.
func TestUpdateIsLocked(t *testing.T) {
	c := fakeClient(t, false, func() error { return nil })
	key := types.NamespacedName{Name: "payments"}
	team := &v1alpha1.Team{}
	result, err := Update(t.Context(), c, key, team, func() error {
		other := &v1alpha1.Team{}
		if err := c.Get(t.Context(), key, other); err != nil {
			return err
		}
		other.Labels = map[string]string{"by": "somebody"}
		team.Status.ObservedGeneration = 2
		return c.Update(t.Context(), other)
	})
	if err != nil || result.RequeueAfter != conflictDelay {
		t.Errorf("want another look because of a conflict, got %v, %v", result, err)
	}
}

// fakeClient holds one Team, if any, and asks for an answer to every write of a status.
func fakeClient(t *testing.T, missing bool, answer func() error) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.Team{}).WithInterceptorFuncs(interceptor.Funcs{
		SubResourceUpdate: func(ctx context.Context, c client.Client, subresource string, object client.Object, options ...client.SubResourceUpdateOption) error {
			if err := answer(); err != nil {
				return err
			}
			return c.SubResource(subresource).Update(ctx, object, options...)
		},
	})
	if !missing {
		builder.WithObjects(&v1alpha1.Team{
			ObjectMeta: metav1.ObjectMeta{Name: "payments"}, Status: v1alpha1.TeamStatus{ObservedGeneration: 1},
		})
	}
	return builder.Build()
}
