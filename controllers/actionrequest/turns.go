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
	now := t.clock.Now()
	l := t.lines[name]
	if l == nil {
		l = &line{}
		t.lines[name] = l
	}
	next := types.NamespacedName{}
	if l.holder != request && !now.Before(l.until) {
		next = t.pass(l)
	}
	mine := l.holder == request || l.holder == types.NamespacedName{}
	if mine {
		l.waiting = slices.DeleteFunc(l.waiting, func(other types.NamespacedName) bool { return other == request })
		l.holder, l.until, l.kept = request, now.Add(turnLasts), false
	} else if !slices.Contains(l.waiting, request) {
		l.waiting = append(l.waiting, request)
	}
	t.places[request] = name
	t.mu.Unlock()
	if next != (types.NamespacedName{}) && next != request {
		t.wake(next)
	}
	return mine
}

// pass ends a turn, and gives it to the next in line, if there is one, for as long as it takes to come. Who comes later does not come first.
func (t *turns) pass(l *line) types.NamespacedName {
	delete(t.places, l.holder)
	l.holder, l.until, l.kept = types.NamespacedName{}, time.Time{}, false
	if len(l.waiting) > 0 {
		l.holder, l.until = l.waiting[0], t.clock.Now().Add(turnCheck)
		l.waiting = l.waiting[1:]
	}
	return l.holder
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
	next := t.pass(l)
	if next == (types.NamespacedName{}) {
		delete(t.lines, name)
		t.mu.Unlock()
		return
	}
	t.mu.Unlock()
	t.wake(next)
}
