package actionrequest

import (
	"context"
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/kinds"
)

// TestUnreadRecordKeepsObjects: as long as nobody can tell whether an execution has begun, nobody else gets its objects, also what it has lent.
func TestUnreadRecordKeepsObjects(t *testing.T) {
	x := kinds.Place{Kind: "ConfigMap", Name: "x"}
	away := interceptor.NewClient(nil, interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
		return errors.New("the API server is away")
	}})
	expires := metav1.Now()
	for name, change := range map[string]func(*v1alpha1.ActionRequest){
		"Begun":     func(*v1alpha1.ActionRequest) {},
		"Cancelled": func(request *v1alpha1.ActionRequest) { request.Spec.Cancellation = &v1alpha1.Cancellation{} },
		"Deleted":   func(request *v1alpha1.ActionRequest) { request.DeletionTimestamp = &expires },
		"Repeated": func(request *v1alpha1.ActionRequest) {
			request.Spec.Cancellation, request.Spec.ExpiresAt = &v1alpha1.Cancellation{}, &expires
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := newQueue(t)
			r := &Reconciler{Reader: away, Clock: clock.RealClock{}, tried: lru.New(1), objects: q.workplaces}
			request := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "first", UID: "first"}, Spec: v1alpha1.ActionRequestSpec{Seal: &v1alpha1.RequestSeal{}}}
			change(request)
			r.tried.Add(request.UID, true)
			q.enters("first", "", true, x)
			if _, err := r.pass(t.Context(), named("first"), request); err == nil {
				t.Fatal("the Record was read")
			}
			q.leave(named("nobody"))
			q.enters("second", "first", false, x)
			q.enters("third", "first", true, x)
			q.wakes()
		})
	}
}
