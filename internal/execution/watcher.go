package execution

import (
	"context"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const (
	// maxWatches bounds how many watches are open at once. Objects beyond it are looked at from time to time.
	maxWatches = 512
	// shortestPause and longestPause bound how long a broken, forbidden or missing watch waits before the next look.
	shortestPause = 2 * time.Second
	longestPause  = time.Minute
)

// Watcher wakes requests when the objects that they wait for change. It watches each object by itself, as the ServiceAccount of the
// execution, so that it sees what that may see. Where that may not watch, where the watch breaks, and where too many are open, the
// request is woken from time to time instead, ever more slowly: after 2 s, 4 s, and so on, up to a minute. Only open watches have a goroutine;
// what pauses is a row in a queue. It is safe for concurrent use.
type Watcher struct {
	clients *Clients
	clock   clock.WithTicker
	wake    func(client.Object)
	// slots holds one entry for each open watch.
	slots chan struct{}
	// resting holds those without a watch until they look again.
	resting workqueue.TypedDelayingInterface[*look]

	mu      sync.Mutex
	running map[types.UID]*watching
	stopped bool
	looks   sync.WaitGroup
}

// watching is what runs for one request.
type watching struct {
	as      account
	objects []v1alpha1.ObjectReference
	stop    context.CancelFunc
}

// NewWatcher returns a Watcher that calls wake with a request when one of its objects has changed. Wake may be called from several
// goroutines at once, and once more after the request was forgotten.
func NewWatcher(clients *Clients, clk clock.WithTicker, wake func(client.Object)) *Watcher {
	w := &Watcher{
		clients: clients, clock: clk, wake: wake, slots: make(chan struct{}, maxWatches), running: map[types.UID]*watching{},
		resting: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[*look]{Clock: clk}),
	}
	w.looks.Go(w.work)
	return w
}

// Watch makes changes of the objects wake the request. It replaces what was watched for the request before.
func (w *Watcher) Watch(request client.Object, namespace, serviceAccount string, objects []v1alpha1.ObjectReference) {
	w.mu.Lock()
	defer w.mu.Unlock()
	as := account{namespace, serviceAccount}
	if old := w.running[request.GetUID()]; old != nil && old.as == as && slices.Equal(old.objects, objects) {
		return
	}
	w.forget(request.GetUID())
	if w.stopped || len(objects) == 0 {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	w.running[request.GetUID()] = &watching{as: as, objects: slices.Clone(objects), stop: stop}
	named := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: request.GetNamespace(), Name: request.GetName(), UID: request.GetUID()}}
	for _, object := range objects {
		w.resting.Add(&look{Watcher: w, ctx: ctx, request: named, as: as, object: object, pauses: newPauses()})
	}
}

// Forget ends what runs for a request.
func (w *Watcher) Forget(request types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(request)
}

func (w *Watcher) forget(request types.UID) {
	if old := w.running[request]; old != nil {
		old.stop()
		delete(w.running, request)
	}
}

// Stop ends everything and returns when nothing runs any more. Nothing is watched afterwards.
func (w *Watcher) Stop() {
	w.mu.Lock()
	w.stopped = true
	for request := range w.running {
		w.forget(request)
	}
	w.mu.Unlock()
	w.resting.ShutDown()
	w.looks.Wait()
}

// work lets everyone look whose time has come.
func (w *Watcher) work() {
	for {
		l, ended := w.resting.Get()
		if ended {
			return
		}
		w.resting.Done(l)
		if l.ctx.Err() == nil {
			l.begin()
		}
	}
}

// look looks at one object for one request.
type look struct {
	*Watcher
	ctx     context.Context //nolint:containedctx // it ends what runs for the request, also what does not run yet
	request *v1alpha1.ActionRequest
	as      account
	object  v1alpha1.ObjectReference
	pauses  wait.Backoff
	// rested says that something may have been missed.
	rested bool
}

func newPauses() wait.Backoff {
	return wait.Backoff{Duration: shortestPause, Factor: 2, Steps: 16, Cap: longestPause}
}

// begin opens a watch where there is room for one. After a pause the request is woken, since nobody knows what was missed.
func (l *look) begin() {
	if l.rested {
		l.wake(l.request)
	}
	select {
	case l.slots <- struct{}{}:
	default:
		l.rest(l.pauses.Step())
		return
	}
	l.looks.Go(func() {
		seen := l.follow(l.ctx)
		<-l.slots
		if l.ctx.Err() != nil {
			return
		}
		// A watch that has seen something was a good one, so that the pauses begin anew after it.
		if seen > 0 {
			l.pauses = newPauses()
			l.rest(shortestPause)
			return
		}
		l.rest(l.pauses.Step())
	})
}

func (l *look) rest(pause time.Duration) {
	l.rested = true
	l.resting.AddAfter(l, pause)
}

// follow wakes the request at every change until the watch ends, and returns how many there were.
func (l *look) follow(ctx context.Context) int {
	changes, err := l.open(ctx)
	if err != nil {
		return 0
	}
	defer changes.Stop()
	// An object that was deleted before the watch was open is not told of.
	l.wake(l.request)
	seen := 0
	for {
		select {
		case <-ctx.Done():
			return seen
		case change, open := <-changes.ResultChan():
			if !open || change.Type == watch.Error {
				return seen
			}
			seen++
			l.wake(l.request)
		}
	}
}

// open opens a watch. The first change it gives is the object as it now is.
func (l *look) open(ctx context.Context) (watch.Interface, error) {
	resource, err := l.clients.Resource(l.as.namespace, l.as.name, &l.object)
	if err != nil {
		return nil, err
	}
	return resource.Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", l.object.Name).String()})
}
