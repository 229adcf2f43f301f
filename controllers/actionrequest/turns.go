package actionrequest

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

const (
	// turnLasts is how long a turn lasts that nobody ends, longer than any request to the API server can still take effect.
	turnLasts = 90 * time.Second
	// turnWork is how long a request may take for what it does in its turn. The rest of the turn is for a write that is still under way.
	turnWork = 30 * time.Second
	// turnCheck is how often who waits for a turn looks whether it is theirs, in case nobody told.
	turnCheck = 5 * time.Second
)

// turns let requests start one after the other whose start depends on what was started before: those of one catalog namespace whose Actions
// count executions. Between the last judgement and the creation of the Record no other of them is judged for the last time, so that each
// sees the Records of all before it. Nobody blocks a worker: who has to wait is named in a line, and woken when it is their turn.
//
// Turns are in memory, because one leader reconciles all requests.
type turns struct {
	clock clock.PassiveClock
	// wake makes a request be reconciled.
	wake func(types.NamespacedName)

	mu    sync.Mutex
	lines map[string]*line
	// places says in which line a request is.
	places map[types.NamespacedName]string
}

// line is who starts, and who waits to.
type line struct {
	holder  types.NamespacedName
	until   time.Time
	kept    bool
	waiting []types.NamespacedName
}

func newTurns(clk clock.PassiveClock, wake func(types.NamespacedName)) *turns {
	return &turns{clock: clk, wake: wake, lines: map[string]*line{}, places: map[types.NamespacedName]string{}}
}

// take tells whether it is a request's turn. If not, the request is woken once it is.
func (t *turns) take(name string, request types.NamespacedName) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	l := t.lines[name]
	switch {
	case l == nil:
		l = &line{}
		t.lines[name] = l
	case l.holder == request:
		l.kept = false
	case now.Before(l.until):
		if !slices.Contains(l.waiting, request) {
			l.waiting = append(l.waiting, request)
			t.places[request] = name
		}
		return false
	default:
		delete(t.places, l.holder)
	}
	l.waiting = slices.DeleteFunc(l.waiting, func(other types.NamespacedName) bool { return other == request })
	l.holder, l.until = request, now.Add(turnLasts)
	t.places[request] = name
	return true
}

// keep makes a turn last although its holder leaves: until the holder takes it again, or it is over by itself.
func (t *turns) keep(request types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.lines[t.places[request]]; l != nil && l.holder == request {
		l.kept = true
	}
}

// leave ends the turn of a request, if it is its turn, and gives it to the next in line.
func (t *turns) leave(request types.NamespacedName) {
	t.mu.Lock()
	name, known := t.places[request]
	l := t.lines[name]
	if !known || l.holder != request || l.kept {
		t.mu.Unlock()
		return
	}
	delete(t.places, request)
	if len(l.waiting) == 0 {
		delete(t.lines, name)
		t.mu.Unlock()
		return
	}
	next := l.waiting[0]
	l.waiting = l.waiting[1:]
	l.holder, l.until = next, t.clock.Now().Add(turnCheck)
	t.mu.Unlock()
	t.wake(next)
}
