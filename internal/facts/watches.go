package facts

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	// maxWatches bounds how many watches are open, maxAccountWatches how many of them for one ServiceAccount, and maxWaiting how many
	// requests wait for one of them.
	maxWatches, maxAccountWatches, maxWaiting = 512, 64, 4096
	// reopenAfter is how long a watch is open. The next one is authorised anew.
	reopenAfter = time.Minute
	// idleAfter is how long a watch lives that nobody asks for, and for which nobody waits.
	idleAfter = 5 * time.Minute
	// patience is how long the API server may take to answer.
	patience = 10 * time.Second
	// wakePause is the shortest time between two times that a watch wakes its requests.
	wakePause = time.Second
	// shortestPause and longestPause bound the wait after a watch that could not be opened or that broke.
	shortestPause, longestPause = 2 * time.Second, time.Minute
)

// watches follow what literal references give. A watch says only that something has changed; what it is then, is read when somebody asks. What
// was read is believed until the watch says that it has changed, or ends. So nothing is kept that nobody reads, and what a watch
// cannot see is never believed.
type watches struct {
	Options

	limits *limits

	mu      sync.Mutex
	open    map[source]*followed
	count   map[account]int
	stopped bool
	running sync.WaitGroup
}

func newWatches(o Options, l *limits) *watches {
	return &watches{Options: o, limits: l, open: map[source]*followed{}, count: map[account]int{}}
}

// followed is one source that is watched. Its fields are guarded by the lock of watches.
type followed struct {
	*watches
	source

	end context.CancelFunc
	// seeing says that a watch is open, following that requests rely on it: also for the moment in which it is opened anew.
	seeing, following bool
	// current is what was read last, where it is still so.
	current *found
	// changes counts what could have made a read that has begun before worthless.
	changes int
	// version is the version that was read last, and seen what that was.
	version uint64
	seen    string
	// requests wait for a change.
	requests    map[types.NamespacedName]struct{}
	used, woken time.Time
}

// follow notes that a request depends on a source, and watches it. It tells whether a watch is open.
func (w *watches) follow(s source, request types.NamespacedName) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.open[s]
	if f == nil {
		if f = w.start(s); f == nil {
			return false
		}
	}
	f.used = w.Clock.Now()
	if _, ok := f.requests[request]; !ok && len(f.requests) >= maxWaiting {
		return false
	}
	f.requests[request] = struct{}{}
	return f.following
}

func (w *watches) start(s source) *followed {
	if w.stopped || len(w.open) >= maxWatches || w.count[s.as] >= maxAccountWatches {
		return nil
	}
	ctx, end := context.WithCancel(context.Background())
	f := &followed{watches: w, source: s, end: end, requests: map[types.NamespacedName]struct{}{}, used: w.Clock.Now()}
	w.open[s] = f
	w.count[s.as]++
	w.running.Go(func() { f.run(ctx) })
	return f
}

// known gives what is known of a source without asking.
func (w *watches) known(s source) (found, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.open[s]
	if f == nil || f.current == nil {
		return found{}, false
	}
	f.used = w.Clock.Now()
	return *f.current, true
}

// mark is to be given to learn by whoever reads a source.
func (w *watches) mark(s source) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.open[s]; f != nil {
		return f.changes
	}
	return -1
}

// learn remembers what was read, unless something has changed since the reading began. It tells whether that is new.
func (w *watches) learn(s source, mark int, out found) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.open[s]
	if f == nil || f.changes != mark {
		return true
	}
	version, seen := out.identity()
	isNew := seen != f.seen
	f.version, f.seen = version, seen
	if f.seeing {
		f.current = &out
	}
	return isNew
}

// stop ends every watch and returns when nothing runs any more. Nothing is watched afterwards.
func (w *watches) stop() {
	w.mu.Lock()
	w.stopped = true
	for _, f := range w.open {
		f.end()
	}
	w.mu.Unlock()
	w.running.Wait()
}

// run watches a source until nobody asks for it any more.
func (f *followed) run(ctx context.Context) {
	pauses := newPauses()
	for ctx.Err() == nil && !f.idle() {
		if f.once(ctx) {
			pauses = newPauses()
			continue
		}
		f.lost()
		f.pause(ctx, pauses.Step())
	}
	f.lost()
}

func newPauses() wait.Backoff {
	return wait.Backoff{Duration: shortestPause, Factor: 2, Steps: 16, Cap: longestPause}
}

// idle tells that nobody asks any more, and ends the watch. Requests that are over, or were refused, are forgotten first: they would take the places of
// others. Those that wait are left alone: they are at rest, and nothing has changed.
func (f *followed) idle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.requests, func(request types.NamespacedName, _ struct{}) bool { return !f.Waits(request) })
	if len(f.requests) > 0 || f.Clock.Since(f.used) < idleAfter {
		return false
	}
	delete(f.open, f.source)
	if f.count[f.as]--; f.count[f.as] == 0 {
		delete(f.count, f.as)
	}
	f.end()
	return true
}

func (f *followed) pause(ctx context.Context, d time.Duration) {
	timer := f.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C():
	}
}

// once watches for as long as one watch may be open. It tells whether the watch was good until then. The ServiceAccount must be
// allowed to read as well as to watch, each time anew.
func (f *followed) once(ctx context.Context) bool {
	changes, err := f.openWatch(ctx)
	if err != nil {
		return false
	}
	defer changes.Stop()
	f.begin()
	defer f.close()
	// What changed while no watch was open is seen by reading.
	mark := f.mark(f.source)
	reading, cancel := context.WithTimeout(ctx, patience)
	out, err := fetch(reading, f.Clients, f.limits, f.source)
	cancel()
	if err != nil {
		return false
	}
	if f.learn(f.source, mark, out) {
		f.wake()
	}
	return f.listen(ctx, changes)
}

// openWatch opens a watch, which ends with the context. An API server that does not answer is not waited for.
func (f *followed) openWatch(ctx context.Context) (watch.Interface, error) {
	resource, err := f.Clients.Resource(f.as.namespace, f.as.name, &f.query.ObjectReference)
	if err != nil {
		return nil, err
	}
	options := metav1.ListOptions{LabelSelector: f.query.Selector, TimeoutSeconds: new(int64(2 * reopenAfter / time.Second))}
	if !f.query.IsList() {
		options.FieldSelector = fields.OneTermEqualSelector("metadata.name", f.query.Name).String()
	}
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(patience, cancel)
	changes, err := resource.Watch(ctx, options)
	if late.Stop() && err == nil {
		return &closing{changes, cancel}, nil
	}
	cancel()
	if err == nil {
		changes.Stop()
		err = context.DeadlineExceeded
	}
	return nil, err
}

// closing is a watch that ends its context with itself.
type closing struct {
	watch.Interface
	cancel context.CancelFunc
}

// Stop ends the watch.
func (c *closing) Stop() { c.Interface.Stop(); c.cancel() }

// begin says that from now on nothing changes unseen.
func (f *followed) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seeing, f.following, f.current = true, true, nil
	f.changes++
}

// close says that something can change unseen.
func (f *followed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seeing, f.current = false, nil
	f.changes++
}

// lost says that changes are no longer seen. Who relied on them looks again.
func (f *followed) lost() {
	f.mu.Lock()
	was := f.following
	f.following = false
	f.mu.Unlock()
	if was {
		f.wake()
	}
}

// listen notes changes until the watch is old enough, which is good, or ends by itself.
func (f *followed) listen(ctx context.Context, changes watch.Interface) bool {
	old := f.Clock.NewTimer(reopenAfter)
	defer old.Stop()
	soon := f.Clock.NewTimer(wakePause)
	soon.Stop()
	defer soon.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-old.C():
			return true
		case <-soon.C():
			f.wake()
		case change, open := <-changes.ResultChan():
			if !open || change.Type == watch.Error {
				return false
			}
			if d := f.changed(change); d == 0 {
				f.wake()
			} else if d > 0 {
				soon.Reset(d)
			}
		}
	}
}

// changed notes a change, and says after which time to wake those who rely on the source. Negative: nothing is new.
func (f *followed) changed(change watch.Event) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if change.Type == watch.Bookmark {
		return -1
	}
	object, err := meta.Accessor(change.Object)
	if err == nil && change.Type != watch.Deleted && number(object.GetResourceVersion()) <= f.version {
		return -1
	}
	f.current = nil
	f.changes++
	f.seen = ""
	return max(wakePause-f.Clock.Since(f.woken), 0)
}

// wake makes every request that relies on the source be judged again. Those that still do will say so again.
func (f *followed) wake() {
	f.mu.Lock()
	requests := f.requests
	f.requests, f.woken = map[types.NamespacedName]struct{}{}, f.Clock.Now()
	f.mu.Unlock()
	for request := range requests {
		f.Wake(request)
	}
}

// identity tells the version of what was found, and what tells it from everything else.
func (o *found) identity() (version uint64, seen string) {
	switch {
	case o.object != nil:
		return number(o.object.GetResourceVersion()), string(o.object.GetUID()) + "/" + o.object.GetResourceVersion()
	case o.list != nil:
		var all strings.Builder
		for i := range o.list.Items {
			all.WriteString(string(o.list.Items[i].GetUID()) + "/" + o.list.Items[i].GetResourceVersion() + " ")
		}
		return number(o.list.GetResourceVersion()), "list " + all.String()
	}
	return 0, "none"
}

// number reads a resource version. Those of one kind of object are numbers that grow, see KEP-5504; where they are not, every change is new.
func number(version string) uint64 {
	n, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
