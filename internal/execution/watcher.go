package execution

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// Watcher wakes requests when the objects that they wait for change. All that wait for objects of one kind in one namespace as one ServiceAccount, which is
// that of the execution, share a watch, and with it a goroutine; so their number does not grow with that of the requests. A watch shows metadata only. Where
// the ServiceAccount may not watch all objects of the kind, each is watched by itself; and where it may not do that either, where a watch breaks or cannot
// be opened, and where too many are open, requests are woken from time to time instead, ever more slowly: after 2 s, 4 s, and so on, up to a minute. What
// pauses is a row in a queue. It is safe for concurrent use.
type Watcher struct {
	clients *Clients
	clock   clock.WithTicker
	wake    func(client.Object)
	// slots holds one entry for each open watch.
	slots chan struct{}
	// resting holds what has no watch until it looks again.
	resting workqueue.TypedDelayingInterface[*stream]

	mu      sync.Mutex
	running map[types.UID]*watching
	streams map[view]*stream
	// narrowed counts, for kinds of which not all objects can be watched, those that are watched by themselves.
	narrowed map[view]int
	stopped  bool
	looks    sync.WaitGroup
}

// watching is what a request waits for.
type watching struct {
	as      account
	objects []v1alpha1.ObjectReference
}

// view is what one watch shows: the objects of a kind in a namespace, as far as a ServiceAccount may see them. With a name, that one only.
type view struct {
	as                                account
	apiVersion, kind, namespace, name string
}

// whole is the view of all objects of the kind.
func (v view) whole() view {
	v.name = ""
	return v
}

// stream is a view, and who waits for something in it.
type stream struct {
	view
	ctx  context.Context //nolint:containedctx // it ends the watch, also one that does not run yet
	stop context.CancelFunc

	// The Watcher guards all that follows. Open says that changes are seen, and resting that it waits for its next look.
	open, resting bool
	pauses        wait.Backoff
	// due is when all are woken who wait, since something may have been missed. Zero: it has not looked yet.
	due time.Time
	// waiting holds the requests by the name of the object, and fresh those who wait since the last look.
	waiting map[string]map[types.UID]client.Object
	fresh   map[types.UID]client.Object
}

// NewWatcher returns a Watcher that calls wake with a request when one of its objects has changed. Wake may be called from several
// goroutines at once, and once more after the request was forgotten.
func NewWatcher(clients *Clients, clk clock.WithTicker, wake func(client.Object)) *Watcher {
	w := &Watcher{
		clients: clients, clock: clk, wake: wake, slots: make(chan struct{}, maxWatches),
		running: map[types.UID]*watching{}, streams: map[view]*stream{}, narrowed: map[view]int{},
		resting: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[*stream]{Clock: clk}),
	}
	w.looks.Go(w.work)
	return w
}

// Watch makes changes of the objects wake the request. It replaces what was watched for the request before.
func (w *Watcher) Watch(request client.Object, namespace, serviceAccount string, objects []v1alpha1.ObjectReference) {
	named := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: request.GetNamespace(), Name: request.GetName(), UID: request.GetUID()}}
	if w.replace(named, &watching{account{namespace, serviceAccount}, slices.Clone(objects)}) {
		// What changed between the last look at the object and now was told to those who waited then.
		w.wake(named)
	}
}

// replace begins to wait for objects. It tells whether some of them were watched already.
func (w *Watcher) replace(request client.Object, next *watching) (watched bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old := w.running[request.GetUID()]; old != nil && old.as == next.as && slices.Equal(old.objects, next.objects) {
		return false
	}
	w.forget(request.GetUID())
	if w.stopped || len(next.objects) == 0 {
		return false
	}
	w.running[request.GetUID()] = next
	for i := range next.objects {
		s := w.streamOf(next.as, &next.objects[i])
		w.join(s, next.objects[i].Name, request)
		watched = watched || s.open
	}
	return watched
}

// join makes a request wait in a stream. Where that rests, it looks soon for this one: the pauses of the others may have grown.
func (w *Watcher) join(s *stream, name string, request client.Object) {
	if s.waiting[name] == nil {
		s.waiting[name] = map[types.UID]client.Object{}
	}
	s.waiting[name][request.GetUID()] = request
	if s.open {
		return
	}
	s.fresh[request.GetUID()] = request
	if s.resting && !s.due.IsZero() {
		w.resting.AddAfter(s, shortestPause)
	}
}

// streamOf is what shows an object. One that is new looks soon.
func (w *Watcher) streamOf(as account, object *v1alpha1.ObjectReference) *stream {
	at := view{as, object.APIVersion, object.Kind, object.Namespace, ""}
	if w.narrowed[at] > 0 {
		at.name = object.Name
	}
	if known := w.streams[at]; known != nil {
		return known
	}
	return w.begin(at)
}

func (w *Watcher) begin(at view) *stream {
	ctx, stop := context.WithCancel(context.Background())
	s := &stream{
		view: at, ctx: ctx, stop: stop, resting: true, pauses: newPauses(),
		waiting: map[string]map[types.UID]client.Object{}, fresh: map[types.UID]client.Object{},
	}
	w.streams[at] = s
	if at.name != "" {
		w.narrowed[at.whole()]++
	}
	w.resting.Add(s)
	return s
}

// Forget ends what runs for a request.
func (w *Watcher) Forget(request types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(request)
}

func (w *Watcher) forget(request types.UID) {
	old := w.running[request]
	if old == nil {
		return
	}
	delete(w.running, request)
	for i := range old.objects {
		object := &old.objects[i]
		at := view{old.as, object.APIVersion, object.Kind, object.Namespace, object.Name}
		for _, s := range []*stream{w.streams[at], w.streams[at.whole()]} {
			if s != nil {
				w.remove(s, object.Name, request)
			}
		}
	}
}

// remove ends a wait, and what nobody waits for any more.
func (w *Watcher) remove(s *stream, name string, request types.UID) {
	delete(s.waiting[name], request)
	delete(s.fresh, request)
	if len(s.waiting[name]) == 0 {
		delete(s.waiting, name)
	}
	if len(s.waiting) == 0 {
		w.end(s)
	}
}

func (w *Watcher) end(s *stream) {
	s.stop()
	delete(w.streams, s.view)
	if s.name == "" {
		return
	}
	if w.narrowed[s.whole()]--; w.narrowed[s.whole()] == 0 {
		delete(w.narrowed, s.whole())
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

// work lets everything look whose time has come.
func (w *Watcher) work() {
	for {
		s, ended := w.resting.Get()
		if ended {
			return
		}
		w.resting.Done(s)
		if s.ctx.Err() == nil {
			w.look(s)
		}
	}
}

func newPauses() wait.Backoff {
	return wait.Backoff{Duration: shortestPause, Factor: 2, Steps: 16, Cap: longestPause}
}

// look opens a watch where there is room for one.
func (w *Watcher) look(s *stream) {
	missed, resting := w.awaken(s)
	if !resting {
		return // it was put into the queue twice
	}
	w.tell(missed)
	select {
	case w.slots <- struct{}{}:
	default:
		w.rest(s, false)
		return
	}
	w.looks.Go(func() {
		seen, err := w.follow(s)
		<-w.slots
		switch {
		case s.ctx.Err() != nil:
		case s.name == "" && apierrors.IsForbidden(err):
			w.narrow(s)
		default:
			// A watch that has seen something was a good one, so that the pauses begin anew after it.
			w.rest(s, seen > 0)
		}
	})
}

// awaken ends the rest of a stream, and gives whom to wake before it looks: after a pause all who wait, since nobody knows what was missed, and before it
// is over those who have joined since. False: it does not rest.
func (w *Watcher) awaken(s *stream) (missed []client.Object, resting bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	resting, s.resting = s.resting, false
	switch {
	case !resting, s.due.IsZero():
	case w.clock.Now().Before(s.due):
		missed = slices.Collect(maps.Values(s.fresh))
	default:
		missed = s.all()
	}
	if resting {
		clear(s.fresh)
	}
	return missed, resting
}

// rest lets a stream look again after a pause. That somebody joins it does not put off when the others are woken.
func (w *Watcher) rest(s *stream, anew bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if anew {
		s.pauses = newPauses()
	}
	now := w.clock.Now()
	if anew || !s.due.After(now) {
		s.due = now.Add(s.pauses.Step())
	}
	pause := s.due.Sub(now)
	if len(s.fresh) > 0 {
		pause = min(pause, shortestPause)
	}
	s.resting = true
	w.resting.AddAfter(s, pause)
}

// narrow has each object watched by itself that somebody waits for.
func (w *Watcher) narrow(s *stream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	w.end(s)
	for name, waiting := range s.waiting {
		at := s.view
		at.name = name
		w.begin(at).waiting[name] = waiting
	}
}

// follow wakes who waits for what changes until the watch ends, and returns how many changes there were. An error says why there is no watch.
func (w *Watcher) follow(s *stream) (int, error) {
	changes, err := w.clients.watch(s.ctx, s.view)
	if err != nil {
		return 0, err
	}
	defer changes.Stop()
	// An object that was deleted before the watch was open is not told of.
	w.tell(w.opened(s))
	defer w.closed(s)
	seen := 0
	for {
		select {
		case <-s.ctx.Done():
			return seen, nil
		case change, open := <-changes.ResultChan():
			if !open || change.Type == watch.Error {
				return seen, nil
			}
			seen++
			if object, ok := change.Object.(metav1.Object); ok {
				w.tell(w.of(s, object.GetName()))
			}
		}
	}
}

// opened notes that changes are seen, and returns who waits.
func (w *Watcher) opened(s *stream) []client.Object {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.open = true
	clear(s.fresh)
	return s.all()
}

func (w *Watcher) closed(s *stream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.open = false
}

// all are those who wait for something in a stream.
func (s *stream) all() []client.Object {
	var all []client.Object
	for _, waiting := range s.waiting {
		all = slices.AppendSeq(all, maps.Values(waiting))
	}
	return all
}

// of are those who wait for one object.
func (w *Watcher) of(s *stream, name string) []client.Object {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Values(s.waiting[name]))
}

func (w *Watcher) tell(requests []client.Object) {
	for _, request := range requests {
		w.wake(request)
	}
}

// watch opens a watch. The first changes it gives are the objects as they now are.
func (c *Clients) watch(ctx context.Context, v view) (watch.Interface, error) {
	resource, err := c.metadata(v.as, &v1alpha1.ObjectReference{APIVersion: v.apiVersion, Kind: v.kind, Namespace: v.namespace})
	if err != nil {
		return nil, err
	}
	options := metav1.ListOptions{}
	if v.name != "" {
		options.FieldSelector = fields.OneTermEqualSelector("metadata.name", v.name).String()
	}
	return resource.Watch(ctx, options)
}
