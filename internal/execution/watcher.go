package execution

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const (
	// maxWatches bounds how many requests are watched for at once. Further ones are looked at from time to time.
	maxWatches = 512
	// shortestPause and longestPause bound how long a broken or forbidden watch waits before the next look.
	shortestPause = 2 * time.Second
	longestPause  = time.Minute
)

// Watcher wakes requests when the objects that they wait for change. It watches as the ServiceAccount of the execution; where
// that may not watch, the request is woken from time to time instead, ever more slowly.
type Watcher struct {
	clients *Clients
	clock   clock.WithTicker
	wake    func(client.Object)

	mu      sync.Mutex
	running map[types.UID]*watching
}

// watching is what runs for one request.
type watching struct {
	objects []v1alpha1.ObjectReference
	stop    context.CancelFunc
}

// NewWatcher makes a watcher that calls wake with a request when one of its objects has changed.
func NewWatcher(clients *Clients, clk clock.WithTicker, wake func(client.Object)) *Watcher {
	return &Watcher{clients: clients, clock: clk, wake: wake, running: map[types.UID]*watching{}}
}

// Watch makes changes of objects wake a request. It replaces what was watched for the request before.
func (w *Watcher) Watch(request client.Object, namespace, serviceAccount string, objects []v1alpha1.ObjectReference) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old := w.running[request.GetUID()]; old != nil {
		if same(old.objects, objects) {
			return
		}
		old.stop()
		delete(w.running, request.GetUID())
	}
	if len(objects) == 0 {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	w.running[request.GetUID()] = &watching{objects: objects, stop: stop}
	named := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: request.GetNamespace(), Name: request.GetName(), UID: request.GetUID()}}
	for i := range objects {
		look := &look{Watcher: w, request: named, namespace: namespace, serviceAccount: serviceAccount, object: objects[i]}
		look.blind = len(w.running) > maxWatches
		go look.run(ctx)
	}
}

// Forget ends what runs for a request.
func (w *Watcher) Forget(request types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old := w.running[request]; old != nil {
		old.stop()
		delete(w.running, request)
	}
}

func same(a, b []v1alpha1.ObjectReference) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// look watches one object for one request.
type look struct {
	*Watcher
	request                   *v1alpha1.ActionRequest
	namespace, serviceAccount string
	object                    v1alpha1.ObjectReference
	blind                     bool
}

func (l *look) run(ctx context.Context) {
	pause := shortestPause
	for ctx.Err() == nil {
		if !l.blind && l.watch(ctx) {
			pause = shortestPause
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-l.clock.After(pause):
		}
		l.wake(l.request)
		pause = min(pause*2, longestPause)
	}
}

// watch wakes the request at every change until the watch ends. It tells whether there was any.
func (l *look) watch(ctx context.Context) bool {
	resource, err := l.clients.Resource(l.namespace, l.serviceAccount, &l.object)
	if err != nil {
		return false
	}
	events, err := resource.Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", l.object.Name).String()})
	if err != nil {
		return false
	}
	defer events.Stop()
	seen := false
	for {
		select {
		case <-ctx.Done():
			return seen
		case event, open := <-events.ResultChan():
			if !open || event.Type == "ERROR" {
				return seen
			}
			seen = true
			l.wake(l.request)
		}
	}
}
