package facts

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

func named(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "payments", Name: name}
}

// TestRestsOnNamespaces: it is known on which namespaces a request was judged, also on that there is none, and before it is read.
func TestRestsOnNamespaces(t *testing.T) {
	var r *Reader
	reader := interceptor.NewClient(fake.NewClientBuilder().WithObjects(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "staging"}}).Build(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if key.Name != "unasked" && !r.RestsOn(named("r"), key.Name) && !r.RestsOn(named("second"), key.Name) {
				t.Errorf("a change of %s between reading and remembering would be told to nobody", key.Name)
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
	s := newServer()
	r = New(Options{Clients: s, Clock: s.clock, Namespaces: reader, Waits: func(types.NamespacedName) bool { return true }})
	t.Cleanup(r.Stop)
	for _, asked := range []struct {
		namespace, request string
		there              bool
	}{{"staging", "r", true}, {"production", "second", false}, {"unasked", "", false}} {
		request := types.NamespacedName{}
		if asked.request != "" {
			request = named(asked.request)
		}
		if _, err := r.Namespace(t.Context(), asked.namespace, request); (err == nil) != asked.there {
			t.Errorf("%s: %v", asked.namespace, err)
		}
	}
	for _, tc := range []struct {
		namespace, request string
		want               bool
	}{{"staging", "r", true}, {"production", "r", false}, {"production", "second", true}, {"staging", "second", false}, {"unasked", "", false}} {
		if got := r.RestsOn(named(tc.request), tc.namespace); got != tc.want {
			t.Errorf("request %s rests on %s: want %t, got %t", tc.request, tc.namespace, tc.want, got)
		}
	}
}

// TestManyNamespaces: what is remembered is bounded, and nobody who waits is forgotten.
func TestManyNamespaces(t *testing.T) {
	n := newNamespaces(func(request types.NamespacedName) bool { return request == named("waits") })
	r := &Reader{namespaces: n}
	n.note(named("waits"), "staging")
	for i := range 10 * leastRoom {
		n.note(named(fmt.Sprintf("over-%d", i)), "production")
	}
	if len(n.read) > leastRoom+1 || !r.RestsOn(named("waits"), "staging") {
		t.Errorf("%d requests are remembered; the one that waits: %t", len(n.read), r.RestsOn(named("waits"), "staging"))
	}
	for i := range 2 * mostNamespaces {
		n.note(named("waits"), fmt.Sprintf("namespace-%d", i))
	}
	if len(n.read[named("waits")]) > mostNamespaces+1 || !r.RestsOn(named("waits"), "yet-another") {
		t.Errorf("a request that was judged on too many namespaces rests on all: it has %d", len(n.read[named("waits")]))
	}
}
