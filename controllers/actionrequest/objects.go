package actionrequest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

// place is an object, in whichever version it is named.
type place struct {
	group, kind, namespace, name string
}

func placeOf(ref *v1alpha1.ObjectReference) place {
	version, _ := schema.ParseGroupVersion(ref.APIVersion)
	return place{version.Group, ref.Kind, ref.Namespace, ref.Name}
}

// places are the objects that steps write, each once.
func places(steps []v1alpha1.RenderedStep) []place {
	var all []place
	for i := range steps {
		for j := range steps[i].Writes {
			if at := placeOf(&steps[i].Writes[j].Object); !slices.Contains(all, at) {
				all = append(all, at)
			}
		}
	}
	return all
}

// workplaces lets one request at a time execute on an object. Who waits is woken when the one before is done. It is in memory, because one
// leader executes all requests; what executed before a restart is read from the Records.
type workplaces struct {
	// wake makes a request be reconciled.
	wake func(types.NamespacedName)

	// reading keeps two from reading the Records at once.
	reading sync.Mutex

	mu      sync.Mutex
	known   bool
	holders map[place]types.NamespacedName
	waiting []types.NamespacedName
	// left are those who were done before the Records had been read, which may not say so.
	left map[types.NamespacedName]bool
}

func newWorkplaces(wake func(types.NamespacedName)) *workplaces {
	return &workplaces{wake: wake, holders: map[place]types.NamespacedName{}, left: map[types.NamespacedName]bool{}}
}

// enter gives a request all its objects, or says who has one of them. Who does not get them is woken when something becomes free.
func (w *workplaces) enter(request types.NamespacedName, objects []place) (holder types.NamespacedName, at place, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = slices.DeleteFunc(w.waiting, func(other types.NamespacedName) bool { return other == request })
	for _, at := range objects {
		if holder, taken := w.holders[at]; taken && holder != request {
			w.waiting = append(w.waiting, request)
			return holder, at, false
		}
	}
	w.take(request, objects)
	return request, place{}, true
}

// hold gives a request its objects that has begun to execute. In an emergency it does not wait for the one before.
func (w *workplaces) hold(request types.NamespacedName, objects []place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.take(request, objects)
}

func (w *workplaces) take(request types.NamespacedName, objects []place) {
	for _, at := range objects {
		w.holders[at] = request
	}
}

// leave frees the objects of a request, and wakes those who wait, who asked first first.
func (w *workplaces) leave(request types.NamespacedName) {
	w.mu.Lock()
	if !w.known {
		w.left[request] = true
	}
	freed := false
	for at, holder := range w.holders {
		if holder == request {
			delete(w.holders, at)
			freed = true
		}
	}
	var woken []types.NamespacedName
	if freed {
		woken, w.waiting = w.waiting, nil
	}
	w.mu.Unlock()
	for _, other := range woken {
		w.wake(other)
	}
}

// recall takes what is being executed from the Records, once after a start.
func (w *workplaces) recall(read func() (map[types.NamespacedName][]place, error)) error {
	w.reading.Lock()
	defer w.reading.Unlock()
	w.mu.Lock()
	known := w.known
	w.mu.Unlock()
	if known {
		return nil
	}
	executing, err := read()
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for request, objects := range executing {
		if !w.left[request] {
			w.take(request, objects)
		}
	}
	w.known, w.left = true, nil
	return nil
}

// unfinished reads what is being executed.
func (s *scope) unfinished(ctx context.Context) (map[types.NamespacedName][]place, error) {
	list := &v1alpha1.RecordList{}
	open := client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("status.outcome", "")}
	if err := s.Reader.List(ctx, list, client.InNamespace(s.OperatorNamespace), open); err != nil {
		return nil, fmt.Errorf("failed to list what is being executed: %w", err)
	}
	out := map[types.NamespacedName][]place{}
	for i := range list.Items {
		record := &list.Items[i]
		key := types.NamespacedName{Namespace: record.Spec.RequestRef.Namespace, Name: record.Spec.RequestRef.Name}
		request := &v1alpha1.ActionRequest{}
		err := s.Client.Get(ctx, key, request)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("failed to get request %s: %w", key, err)
		}
		if err == nil && request.UID == record.Spec.RequestRef.UID && !isTemporary(record) {
			out[key] = places(slices.Concat(record.Spec.Steps, record.Spec.Finally))
		}
	}
	return out, nil
}

// alone tells whether nobody else executes on the objects of the request, and says who does.
func (s *scope) alone(ctx context.Context) (bool, error) {
	if err := s.objects.recall(func() (map[types.NamespacedName][]place, error) { return s.unfinished(ctx) }); err != nil {
		return false, err
	}
	objects := places(slices.Concat(s.plan.steps, s.plan.finally))
	if s.request.Spec.BreakGlass != nil {
		s.objects.hold(s.key(), objects)
		return true, nil
	}
	holder, at, ok := s.objects.enter(s.key(), objects)
	if ok {
		return true, nil
	}
	object := gate.Name(&v1alpha1.ObjectReference{Kind: at.kind, Namespace: at.namespace, Name: at.name})
	s.waiting(v1alpha1.PhaseHeld, v1alpha1.ReasonQueued,
		fmt.Sprintf("Waits until request %s is done, which executes on %s; starts by itself.", holder, object), fmt.Sprintf("%s, on %s", holder.Name, object))
	return false, nil
}
