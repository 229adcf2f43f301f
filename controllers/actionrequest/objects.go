package actionrequest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/kinds"
)

// places are the objects that steps write, each once.
func places(steps []v1alpha1.RenderedStep) []kinds.Place {
	var all []kinds.Place
	for i := range steps {
		for j := range steps[i].Writes {
			if at := kinds.PlaceOf(&steps[i].Writes[j].Object); !slices.Contains(all, at) {
				all = append(all, at)
			}
		}
	}
	return all
}

// tenant is a request that lends something: a temporary one whose effect is not taken back yet.
type tenant struct {
	types.NamespacedName
	uid types.UID
}

// waiter is a request that waits until its objects are free.
type waiter struct {
	tenant
	objects []kinds.Place
	// temporary says that the request lends what it does, and emergency that it waits for nobody who executes.
	temporary, emergency bool
	// called says that its objects are free and that it was woken. Nobody takes them until it has come.
	called, came bool
	// failed says that something could not be done when it had come. It is tried again by itself, and keeps nobody waiting until then.
	failed bool
	// place is where it stands in the queue: who came first has the lowest.
	place uint64
}

// workplaces lets one request at a time execute on an object, who waits longest first. What is lent may not be lent again before it is given back:
// the second would take what the first has written for what was there. It is in memory, because one leader executes all requests; what executed
// before a restart is read from the Records.
type workplaces struct {
	// wake makes a request be reconciled.
	wake func(types.NamespacedName)

	// reading keeps two from reading the Records at once.
	reading sync.Mutex

	mu    sync.Mutex
	known bool
	// holders are those who execute, several where an emergency did not wait.
	holders map[kinds.Place][]types.NamespacedName
	lent    map[kinds.Place]tenant
	waiting []*waiter
	// entered are those who have got their objects while something is being done for them, and places is how many have ever waited.
	entered map[types.NamespacedName]*waiter
	places  uint64
	// freed are the places that others have left since what is being done for a request began: what it has read of them may be older.
	freed map[types.NamespacedName]map[kinds.Place]bool
	// left and returned are those who were done before the Records had been read, which may not say so.
	left     map[types.NamespacedName]bool
	returned map[types.UID]bool
}

func newWorkplaces(wake func(types.NamespacedName)) *workplaces {
	return &workplaces{
		wake: wake, holders: map[kinds.Place][]types.NamespacedName{}, lent: map[kinds.Place]tenant{},
		entered: map[types.NamespacedName]*waiter{}, freed: map[types.NamespacedName]map[kinds.Place]bool{}, left: map[types.NamespacedName]bool{},
		returned: map[types.UID]bool{},
	}
}

// obstacle is why a request cannot execute on an object.
type obstacle struct {
	by types.NamespacedName
	at kinds.Place
	// lent says that it is not executing, but has lent something that it takes back later.
	lent bool
}

// enter gives a request all its objects, or says what is in the way. Who does not get them is woken when they become free. Again says that nothing is, but that
// somebody has left one of them since the request came: it is woken at once, to look at what that one has written, and nobody takes them until then.
func (w *workplaces) enter(me *waiter) (found *obstacle, again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.queue(me)
	if found = w.obstacle(me); found != nil {
		return found, false
	}
	if slices.ContainsFunc(me.objects, func(at kinds.Place) bool { return w.freed[me.NamespacedName][at] }) {
		me.called = true
		w.wake(me.NamespacedName)
		return nil, true
	}
	w.waiting = slices.Delete(w.waiting, i, i+1)
	w.entered[me.NamespacedName] = me
	w.take(me.NamespacedName, me.objects)
	if me.temporary {
		w.note(me.tenant, me.objects)
	}
	return nil, false
}

// queue puts a request where it stands already, or at the end, and says where that is.
func (w *workplaces) queue(me *waiter) int {
	i := slices.IndexFunc(w.waiting, func(other *waiter) bool { return other.tenant == me.tenant })
	if i >= 0 {
		me.place = w.waiting[i].place
		w.waiting[i] = me
		return i
	}
	if before := w.entered[me.NamespacedName]; before != nil && before.tenant == me.tenant {
		me.place = before.place
		delete(w.entered, me.NamespacedName)
	} else {
		w.places++
		me.place = w.places
	}
	return w.insert(me)
}

// insert puts a request back into the queue, at its place.
func (w *workplaces) insert(me *waiter) int {
	i, _ := slices.BinarySearchFunc(w.waiting, me.place, func(other *waiter, place uint64) int { return cmp.Compare(other.place, place) })
	w.waiting = slices.Insert(w.waiting, i, me)
	return i
}

// obstacle is the first thing that keeps a request from its objects. Nil: they are free.
func (w *workplaces) obstacle(me *waiter) *obstacle {
	for _, at := range me.objects {
		if by, taken := w.lent[at]; taken && me.temporary && by.uid != me.uid {
			return &obstacle{by: by.NamespacedName, at: at, lent: true}
		}
		if by, taken := w.executes(me, at); taken && !me.emergency {
			return &obstacle{by: by, at: at}
		}
	}
	return nil
}

// executes finds another request that executes on an object, or is about to.
func (w *workplaces) executes(me *waiter, at kinds.Place) (types.NamespacedName, bool) {
	for _, holder := range w.holders[at] {
		if holder != me.NamespacedName {
			return holder, true
		}
	}
	for _, other := range w.waiting {
		if other != me && other.called && slices.Contains(other.objects, at) {
			return other.NamespacedName, true
		}
	}
	return types.NamespacedName{}, false
}

// holds tells whether a request has an object.
func (w *workplaces) holds(request types.NamespacedName) bool {
	for _, holders := range w.holders {
		if slices.Contains(holders, request) {
			return true
		}
	}
	return false
}

// hold gives a request its objects that has begun to execute.
func (w *workplaces) hold(request types.NamespacedName, objects []kinds.Place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.take(request, objects)
}

func (w *workplaces) take(request types.NamespacedName, objects []kinds.Place) {
	for _, at := range objects {
		if !slices.Contains(w.holders[at], request) {
			w.holders[at] = append(w.holders[at], request)
		}
	}
}

// lend notes that a request takes back later what it does.
func (w *workplaces) lend(request types.NamespacedName, uid types.UID, objects []kinds.Place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note(tenant{request, uid}, objects)
}

func (w *workplaces) note(by tenant, objects []kinds.Place) {
	for _, at := range objects {
		w.lent[at] = by
	}
}

// giveBack notes that what a request has lent is taken back.
func (w *workplaces) giveBack(uid types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.known {
		w.returned[uid] = true
	}
	for at, by := range w.lent {
		if by.uid == uid {
			delete(w.lent, at)
			w.noteFreed(by.NamespacedName, at)
		}
	}
	w.call()
}

// leave frees the objects of a request that does not execute any more.
func (w *workplaces) leave(request types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.known {
		w.left[request] = true
	}
	w.free(request)
	w.call()
}

func (w *workplaces) free(request types.NamespacedName) {
	for at, holders := range w.holders {
		if !slices.Contains(holders, request) {
			continue
		}
		w.noteFreed(request, at)
		holders = slices.DeleteFunc(holders, func(other types.NamespacedName) bool { return other == request })
		if w.holders[at] = holders; len(holders) == 0 {
			delete(w.holders, at)
		}
	}
}

// noteFreed tells all others for whom something is being done that a request has left an object.
func (w *workplaces) noteFreed(by types.NamespacedName, at kinds.Place) {
	for request, since := range w.freed {
		if request != by {
			since[at] = true
		}
	}
}

// call wakes those whose objects are free, who waits longest first.
func (w *workplaces) call() {
	for _, waits := range w.waiting {
		if !waits.called && !waits.failed && w.obstacle(waits) == nil {
			waits.called = true
			w.wake(waits.NamespacedName)
		}
	}
}

// come and gone enclose what is done for a request. One that was called and has not entered needs its objects no more, or not now. Where something could not
// be done, nobody knows that: it does not lose its place in the queue, nor does one that had entered and has left its objects for that.
func (w *workplaces) come(request types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.freed[request] = map[kinds.Place]bool{}
	for _, waits := range w.waiting {
		if waits.NamespacedName == request {
			waits.came = waits.came || waits.called
		}
	}
}

func (w *workplaces) gone(request types.NamespacedName, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.freed, request)
	me := w.entered[request]
	delete(w.entered, request)
	if err != nil && me != nil && !w.holds(request) {
		me.failed = true
		w.insert(me)
	}
	w.waiting = slices.DeleteFunc(w.waiting, func(waits *waiter) bool { return err == nil && waits.came && waits.NamespacedName == request })
	for _, waits := range w.waiting {
		switch {
		case waits.NamespacedName != request:
		case err == nil:
			waits.failed = false
		case waits.came:
			waits.called, waits.came, waits.failed = false, false, true
		}
	}
	w.call()
}

// forget drops a request that is over: it waits for nothing any more.
func (w *workplaces) forget(request types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.entered, request)
	before := len(w.waiting)
	w.waiting = slices.DeleteFunc(w.waiting, func(waits *waiter) bool { return waits.NamespacedName == request })
	if len(w.waiting) < before {
		w.call() // it may have been called, and kept others waiting
	}
}

// occupied is what was being executed, and lent, when this process began to lead.
type occupied struct {
	executing map[types.NamespacedName][]kinds.Place
	lent      map[tenant][]kinds.Place
}

// recall takes what is being executed from the Records, once after a start.
func (w *workplaces) recall(read func() (*occupied, error)) error {
	w.reading.Lock()
	defer w.reading.Unlock()
	w.mu.Lock()
	known := w.known
	w.mu.Unlock()
	if known {
		return nil
	}
	found, err := read()
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for request, objects := range found.executing {
		if !w.left[request] {
			w.take(request, objects)
		}
	}
	for by, objects := range found.lent {
		for _, at := range objects {
			if !w.returned[by.uid] {
				w.lent[at] = by
			}
		}
	}
	w.known, w.left, w.returned = true, nil, nil
	return nil
}

// unfinished reads what is being executed, and what is lent, also by requests that are gone.
func (s *scope) unfinished(ctx context.Context) (*occupied, error) {
	list := &v1alpha1.RecordList{}
	open := client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("status.outcome", "")}
	if err := s.Reader.List(ctx, list, client.InNamespace(s.OperatorNamespace), open); err != nil {
		return nil, fmt.Errorf("failed to list what is being executed: %w", err)
	}
	out := &occupied{executing: map[types.NamespacedName][]kinds.Place{}, lent: map[tenant][]kinds.Place{}}
	for i := range list.Items {
		record := &list.Items[i]
		ref := &record.Spec.RequestRef
		key := types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}
		if record.Spec.Purpose == v1alpha1.PurposePlan {
			continue // it writes nothing but Jobs of its own
		}
		if record.Spec.Duration != "" {
			out.lent[tenant{key, ref.UID}] = placesOf(record)
		}
		if isTemporary(record) {
			continue
		}
		request := &v1alpha1.ActionRequest{}
		err := s.Client.Get(ctx, key, request)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("failed to get request %s: %w", key, err)
		}
		if err == nil && request.UID == ref.UID {
			out.executing[key] = placesOf(record)
		}
	}
	return out, nil
}

// placesOf are the objects on which an execution works.
func placesOf(record *v1alpha1.Record) []kinds.Place {
	return places(slices.Concat(record.Spec.Steps, record.Spec.Finally))
}

// alone tells whether nobody else executes on the objects of the request, and says who does.
func (s *scope) alone(ctx context.Context) (bool, error) {
	if err := s.objects.recall(func() (*occupied, error) { return s.unfinished(ctx) }); err != nil {
		return false, err
	}
	found, again := s.objects.enter(&waiter{
		tenant: tenant{s.key(), s.request.UID}, objects: places(slices.Concat(s.plan.steps, s.plan.finally)),
		temporary: s.duration() != "", emergency: s.request.Spec.BreakGlass != nil,
	})
	if found == nil {
		return !again, nil
	}
	object := gate.Name(&v1alpha1.ObjectReference{Kind: found.at.Kind, Namespace: found.at.Namespace, Name: found.at.Name})
	message := fmt.Sprintf("Waits until request %s is done, which executes on %s; starts by itself.", found.by, object)
	if found.lent {
		message = fmt.Sprintf("Waits until what request %s has changed of %s for a time is taken back; starts by itself. To go on sooner, somebody who may cancels that request.",
			found.by, object)
	}
	s.waiting(v1alpha1.PhaseHeld, v1alpha1.ReasonQueued, message, fmt.Sprintf("%s, on %s", found.by.Name, object))
	return false, nil
}
