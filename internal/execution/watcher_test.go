package execution

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// awake waits until somebody is woken.
func awake(t testing.TB, woken <-chan types.UID) {
	t.Helper()
	select {
	case <-woken:
	case <-time.After(patience):
		t.Fatal("nobody was woken")
	}
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
		if all := string(buffer[:runtime.Stack(buffer, true)]); strings.Contains(all, "(*look)") || strings.Contains(all, "StreamWatcher") {
			return fmt.Errorf("goroutines are left:\n%s", all)
		}
		return nil
	})
}
