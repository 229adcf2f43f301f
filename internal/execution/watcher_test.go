package execution

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func request(uid string) *v1alpha1.ActionRequest {
	return &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "checkout-1", UID: types.UID(uid)}}
}

// newTestWatcher makes a Watcher with a real clock and the channel on which it wakes requests.
func newTestWatcher(t testing.TB, cfg *rest.Config) (*Watcher, <-chan types.UID) {
	t.Helper()
	return newWatcherAt(t, cfg, clock.RealClock{})
}

func newWatcherAt(t testing.TB, cfg *rest.Config, clk clock.WithTicker) (*Watcher, <-chan types.UID) {
	t.Helper()
	woken := make(chan types.UID, 1024)
	w := NewWatcher(newClients(t, cfg), clk, func(o client.Object) { woken <- o.GetUID() })
	t.Cleanup(w.Stop)
	return w, woken
}

func configMapRef(namespace, name string) v1alpha1.ObjectReference {
	return v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: namespace, Name: name}
}

// awake waits until somebody is woken, and gives who.
func awake(t testing.TB, woken <-chan types.UID) types.UID {
	t.Helper()
	select {
	case uid := <-woken:
		return uid
	case <-time.After(patience):
		t.Fatal("nobody was woken")
	}
	return ""
}

func TestWatcherWakes(t *testing.T) {
	p := newPlay(t, `{name: a, `+patchConfigMap+`}`)
	p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: v}}`)
	p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: other}, data: {x: v}}`)
	w, woken := newTestWatcher(t, operator)
	w.Watch(request("one"), "platform", "deployer", []v1alpha1.ObjectReference{configMapRef(p.namespace, "c")})
	awake(t, woken) // for the watch, which is open now
	awake(t, woken) // for the object as it is
	p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: other}, data: {x: z}}`)
	p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: z}}`)
	awake(t, woken)
	w.Forget("one")
	w.Stop()
	if n := len(woken); n > 0 {
		t.Errorf("woken %d times more: other objects are watched too", n)
	}
}

// TestWatcherMissed is about an object that is gone before the watch is open: no change comes of it any more.
func TestWatcherMissed(t *testing.T) {
	w, woken := newTestWatcher(t, operator)
	w.Watch(request("one"), "platform", "deployer", []v1alpha1.ObjectReference{configMapRef(newNamespace(t), "gone")})
	awake(t, woken)
}

// TestWatcherFallsBack is about a ServiceAccount that may read, but not watch: it is woken all the same, ever more slowly.
func TestWatcherFallsBack(t *testing.T) {
	namespace := newNamespace(t)
	clk := clocktesting.NewFakeClock(time.Now())
	w, woken := newWatcherAt(t, operator, clk)
	w.Watch(request("one"), "platform", "blind", []v1alpha1.ObjectReference{configMapRef(namespace, "c")})
	for _, pause := range []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute} {
		passed := time.Duration(0)
		eventually(t, func(context.Context) error {
			clk.Step(pause / 20)
			passed += pause / 20
			select {
			case <-woken:
				return nil
			case <-time.After(20 * time.Millisecond): // the watch is refused meanwhile
				return fmt.Errorf("not woken after %s of %s", passed, pause)
			}
		})
		if passed < pause {
			t.Fatalf("woken after %s, before %s were over", passed, pause)
		}
	}
}

// TestWatcherIsBounded opens more watches than there are slots: those without one are woken by time.
func TestWatcherIsBounded(t *testing.T) {
	namespace := newNamespace(t)
	clk := clocktesting.NewFakeClock(time.Now())
	w, woken := newWatcherAt(t, operator, clk)
	w.slots = make(chan struct{}, 1)
	w.Watch(request("one"), "platform", "deployer", []v1alpha1.ObjectReference{configMapRef(namespace, "kube-root-ca.crt")})
	eventually(t, func(context.Context) error {
		if len(w.slots) != 1 {
			return fmt.Errorf("no watch is open")
		}
		return nil
	})
	w.Watch(request("two"), "platform", "deployer", []v1alpha1.ObjectReference{configMapRef(namespace, "c")})
	eventually(t, func(context.Context) error {
		clk.Step(2 * time.Second)
		for len(woken) > 0 {
			if <-woken == "two" {
				return nil
			}
		}
		return fmt.Errorf("two is not woken")
	})
	w.Forget("one")
	eventually(t, func(context.Context) error { // The slot is free again.
		if clk.Step(time.Minute); len(w.slots) != 1 {
			return fmt.Errorf("two has no watch yet")
		}
		return nil
	})
}

// TestWatcherHoldsNoGoroutine lets 500 requests wait for whom there is no watch: none of them has a goroutine.
func TestWatcherHoldsNoGoroutine(t *testing.T) {
	namespace := newNamespace(t)
	clk := clocktesting.NewFakeClock(time.Now())
	w, _ := newWatcherAt(t, operator, clk)
	w.slots = make(chan struct{})
	before := runtime.NumGoroutine()
	for i := range 500 {
		w.Watch(request(fmt.Sprint("r", i)), "platform", "deployer", []v1alpha1.ObjectReference{configMapRef(namespace, fmt.Sprint("c", i))})
	}
	eventually(t, func(context.Context) error {
		if rest := w.resting.Len(); rest > 0 {
			return fmt.Errorf("%d have not been looked at", rest)
		}
		return nil
	})
	if more := runtime.NumGoroutine() - before; more > 20 {
		t.Errorf("500 requests that wait have %d goroutines", more)
	}
}

// TestWatcherSharesAWatch lets 200 requests wait for objects of one kind: they share a watch, and who waits for what changes is woken, and nobody else.
func TestWatcherSharesAWatch(t *testing.T) {
	p := newPlay(t, `{name: a, `+patchConfigMap+`}`)
	w, woken := newTestWatcher(t, operator)
	w.Watch(request("r0"), "platform", "deployer", []v1alpha1.ObjectReference{configMapRef(p.namespace, "c0")})
	awake(t, woken) // for the watch, which is open now
	before := runtime.NumGoroutine()
	for i := 1; i < 200; i++ {
		w.Watch(request(fmt.Sprint("r", i)), "platform", "deployer", []v1alpha1.ObjectReference{configMapRef(p.namespace, fmt.Sprint("c", i))})
		// It may have changed since it was looked at, before somebody waited for it.
		if got := <-woken; got != types.UID(fmt.Sprint("r", i)) {
			t.Fatalf("woken is %s, want r%d, which has joined an open watch", got, i)
		}
	}
	if more := runtime.NumGoroutine() - before; more > 20 || len(w.slots) != 1 {
		t.Errorf("199 requests more have %d goroutines and %d watches", more, len(w.slots))
	}
	p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c7}, data: {x: z}}`)
	if got := <-woken; got != "r7" {
		t.Errorf("woken is %s, want r7", got)
	}
	for i := range 200 {
		w.Forget(types.UID(fmt.Sprint("r", i)))
	}
	if n := len(woken); n > 0 || len(w.streams) > 0 {
		t.Errorf("woken %d times more, and %d watches are kept", n, len(w.streams))
	}
}

// TestWatcherNarrows is about a ServiceAccount that may watch some objects by name, and not all of the kind: each is watched by itself.
func TestWatcherNarrows(t *testing.T) {
	p := newPlay(t, `{name: a, `+patchConfigMap+`}`)
	p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: v}}`)
	role := `{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {namespace: NS, name: one}, rules: [{apiGroups: [""], resources: [configmaps], resourceNames: [c], verbs: [watch]}]}`
	binding := `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: NS, name: one}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: one},
		subjects: [{kind: ServiceAccount, namespace: platform, name: weak}]}`
	for _, text := range []string{role, binding} {
		if err := cluster.Apply(t.Context(), []byte(strings.ReplaceAll(text, "NS", p.namespace))); err != nil {
			t.Fatal(err)
		}
	}
	w, woken := newTestWatcher(t, operator)
	eventually(t, func(context.Context) error { // RBAC takes a moment to be known.
		w.Forget("one")
		w.Watch(request("one"), "platform", "weak", []v1alpha1.ObjectReference{configMapRef(p.namespace, "c")})
		select {
		case <-woken:
			return nil
		case <-time.After(time.Second):
			return fmt.Errorf("not woken by a watch")
		}
	})
	awake(t, woken) // for the object as it is
	p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: z}}`)
	awake(t, woken)
	w.Forget("one")
	if len(w.streams) > 0 || len(w.narrowed) > 0 {
		t.Errorf("%d watches and %d kinds are kept", len(w.streams), len(w.narrowed))
	}
}

// TestWatcherSharesAgain: a watch that an API server refuses for a while stays one for all, and who begins to wait meanwhile is not as late as the others.
func TestWatcherSharesAgain(t *testing.T) {
	var up atomic.Bool
	var narrow atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("fieldSelector") != "" {
			narrow.Add(1)
		}
		out.Header().Set("Content-Type", "application/json")
		if !up.Load() {
			out.WriteHeader(http.StatusServiceUnavailable)
			_ = json.NewEncoder(out).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: 503, Reason: metav1.StatusReasonServiceUnavailable})
			return
		}
		_ = http.NewResponseController(out).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, meta.RESTScopeNamespace)
	clk, woken := clocktesting.NewFakeClock(time.Now()), make(chan types.UID, 1024)
	w := NewWatcher(NewClients(&rest.Config{Host: server.URL}, mapper), clk, func(o client.Object) { woken <- o.GetUID() })
	t.Cleanup(w.Stop)
	is := func(state func(*stream) bool) {
		t.Helper()
		eventually(t, func(context.Context) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, s := range w.streams {
				if len(w.streams) == 1 && state(s) {
					return nil
				}
			}
			return fmt.Errorf("%d streams", len(w.streams))
		})
	}
	rests := func(s *stream) bool { return s.resting && !s.due.IsZero() }
	w.Watch(request("one"), "platform", "deployer", []v1alpha1.ObjectReference{configMapRef("a", "c1")})
	for _, pause := range []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second} {
		is(rests)
		clk.Step(pause)
		awake(t, woken)
	}
	is(rests) // for 16 seconds
	w.Watch(request("two"), "platform", "deployer", []v1alpha1.ObjectReference{configMapRef("a", "c2")})
	clk.Step(2 * time.Second)
	if got := awake(t, woken); got != "two" {
		t.Errorf("woken is %s, want two, which has just begun to wait", got)
	}
	is(rests)
	if n := len(woken); n > 0 {
		t.Errorf("woken %d times more: that somebody joins must not wake the others", n)
	}
	up.Store(true)
	clk.Step(14 * time.Second)
	for range 4 { // both after the pause, and both for the watch
		awake(t, woken)
	}
	is(func(s *stream) bool { return s.open })
	if narrow.Load() > 0 || len(w.narrowed) > 0 {
		t.Errorf("objects were watched by themselves %d times", narrow.Load())
	}
}

// TestWatcherLeavesNothing counts goroutines.
func TestWatcherLeavesNothing(t *testing.T) {
	namespace := newNamespace(t)
	w, woken := newTestWatcher(t, operator)
	for i := range 8 {
		uid := fmt.Sprint("r", i%4)
		w.Watch(request(uid), "platform", []string{"deployer", "blind"}[i%2], []v1alpha1.ObjectReference{
			configMapRef(namespace, "kube-root-ca.crt"), configMapRef(namespace, fmt.Sprint("c", i)),
		})
	}
	awake(t, woken)
	w.Forget("r0")
	w.Stop()
	w.Stop()
	w.Watch(request("late"), "platform", "deployer", []v1alpha1.ObjectReference{configMapRef(namespace, "c")})
	if len(w.running) > 0 || len(w.slots) > 0 {
		t.Errorf("%d run and %d watches are open", len(w.running), len(w.slots))
	}
	eventually(t, func(context.Context) error { // The connections close behind it.
		buffer := make([]byte, 1<<20)
		if all := string(buffer[:runtime.Stack(buffer, true)]); strings.Contains(all, "(*Watcher).follow") || strings.Contains(all, "StreamWatcher") {
			return fmt.Errorf("goroutines are left:\n%s", all)
		}
		return nil
	})
}
