package execution

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/internal/hostcall"
)

// Calls are made beside the workers that reconcile requests: a host that does not answer keeps nobody waiting but those who call it. What comes
// of a call stays here until the Record says it, or the request is over. That a call is about to be made is stored before it comes here.

// callName tells the calls of a request apart. Attempt is 0 for calls that change nothing.
type callName struct {
	step    string
	purpose purpose
	attempt int32
}

// purpose is what a call is for.
type purpose string

const (
	toDo     purpose = "do"
	toPoll   purpose = "poll"
	toLookUp purpose = "look up"
)

// callState is how far a call is.
type callState int

const (
	// callUnknown is a call of which nothing is known here.
	callUnknown callState = iota
	// callWaits waits until there is room for it. Nothing was sent.
	callWaits
	// callRuns may have been sent.
	callRuns
	// callDone has come to an end.
	callDone
	// callRests did not happen, or the host had nothing to say yet, and is not to be made again for a while.
	callRests
)

const (
	// shortestRest and longestRest bound how long a host is left alone that cannot be reached; each time is twice as long as the one before.
	shortestRest = 100 * time.Millisecond
	longestRest  = time.Minute
)

// running is one call.
type running struct {
	request types.UID
	name    callName
	// place is where the call counts while it is made.
	place  hostcall.Place
	do     func(context.Context) hostcall.Result
	wake   func()
	state  callState
	result hostcall.Result
	stop   context.CancelFunc
	// since is when it was begun.
	since time.Time
	// again says that it may have been sent before.
	again bool
	// failures are how often it did not happen, and until is how long it rests.
	failures int
	until    time.Time
	// message is what its step said when it came to nothing last: the Record does not hold it.
	message string
}

// calls holds the calls of this process. It is safe for concurrent use.
type calls struct {
	mu      sync.Mutex
	known   map[types.UID]map[callName]*running
	waiting []*running
	room    *hostcall.Room
	stopped bool
	under   sync.WaitGroup
}

func newCalls() *calls {
	return &calls{known: map[types.UID]map[callName]*running{}, room: hostcall.NewRoom()}
}

// begin makes a call as soon as there is room for it; who came first is first. It replaces what is known under its name.
func (c *calls) begin(r *running) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	r.state = callWaits
	if c.known[r.request] == nil {
		c.known[r.request] = map[callName]*running{}
	}
	if before := c.known[r.request][r.name]; before != nil {
		r.failures, r.message = before.failures, before.message
	}
	c.known[r.request][r.name] = r
	c.waiting = append(c.waiting, r)
	c.start()
}

// start starts those for which there is room.
func (c *calls) start() {
	c.waiting = slices.DeleteFunc(c.waiting, func(r *running) bool {
		if !c.room.Enter(r.place) {
			return false
		}
		ctx, stop := context.WithCancel(context.Background())
		r.state, r.stop = callRuns, stop
		c.under.Go(func() {
			defer stop()
			c.finish(r, r.do(ctx))
		})
		return true
	})
}

// finish keeps what came of a call, makes room, and tells who asked.
func (c *calls) finish(r *running, result hostcall.Result) {
	c.mu.Lock()
	r.state, r.result = callDone, result
	c.room.Leave(r.place)
	c.start()
	wanted := !c.stopped && c.known[r.request][r.name] == r
	c.mu.Unlock()
	if wanted {
		r.wake()
	}
}

// look tells how far a call is, and what came of it. One that has rested is as good as unknown.
func (c *calls) look(request types.UID, name callName, now time.Time) (callState, hostcall.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.known[request][name]
	if r == nil {
		return callUnknown, hostcall.Result{}
	}
	if r.state == callRests && !now.Before(r.until) {
		return callUnknown, r.result
	}
	return r.state, r.result
}

// rest leaves the host of a call alone that did not happen, longer each time and for as long as the host asks for, and tells until when.
func (c *calls) rest(request types.UID, name callName, now, notBefore time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.known[request][name]
	if r == nil {
		return now.Add(shortestRest)
	}
	if r.state != callRests || !now.Before(r.until) {
		r.state, r.until = callRests, now.Add(longestRest)
		if r.failures < maxDoublings {
			r.until = now.Add(shortestRest << r.failures)
		}
		if notBefore.After(r.until) {
			r.until = notBefore
		}
		r.failures++
	}
	return r.until
}

// pause leaves a host alone until a time that has answered, and not what is waited for.
func (c *calls) pause(request types.UID, name callName, until time.Time, message string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	if c.known[request] == nil {
		c.known[request] = map[callName]*running{}
	}
	c.known[request][name] = &running{request: request, name: name, state: callRests, until: until, message: message}
}

// until is how long a call rests.
func (c *calls) until(request types.UID, name callName) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.known[request][name]; r != nil {
		return r.until
	}
	return time.Time{}
}

// since is when a call was begun: what its answer says can be as old. Zero: it was not.
func (c *calls) since(request types.UID, name callName) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.known[request][name]; r != nil {
		return r.since
	}
	return time.Time{}
}

// again tells whether a call may have been sent before it was begun last.
func (c *calls) again(request types.UID, name callName) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.known[request][name]
	return r != nil && r.again
}

// say keeps what is shown about a call, so that it is still shown while it is made again.
func (c *calls) say(request types.UID, name callName, message string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.known[request][name]; r != nil {
		r.message = message
	}
}

// said is what was shown about a call last. Empty: nothing.
func (c *calls) said(request types.UID, name callName) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.known[request][name]; r != nil {
		return r.message
	}
	return ""
}

// maxDoublings is how often the shortest rest is doubled before it is the longest.
const maxDoublings = 9

// withdraw takes a call back that has not been sent, and tells whether it could.
func (c *calls) withdraw(request types.UID, name callName) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.known[request][name]
	if r == nil || r.state != callWaits {
		return false
	}
	c.remove(r)
	return true
}

// drop forgets what came of a call.
func (c *calls) drop(request types.UID, name callName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.known[request][name]; r != nil {
		c.remove(r)
	}
}

// dropOthers forgets the calls of a request but those of one step. An empty name is no step's.
func (c *calls) dropOthers(request types.UID, step string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, r := range c.known[request] {
		if name.step != step {
			c.remove(r)
		}
	}
}

// remove forgets a call, and ends it where it runs.
func (c *calls) remove(r *running) {
	delete(c.known[r.request], r.name)
	if len(c.known[r.request]) == 0 {
		delete(c.known, r.request)
	}
	c.waiting = slices.DeleteFunc(c.waiting, func(other *running) bool { return other == r })
	if r.stop != nil {
		r.stop()
	}
}

// end ends all calls, and returns when none runs any more.
func (c *calls) end() {
	c.mu.Lock()
	c.stopped = true
	for _, list := range c.known {
		for _, r := range list {
			c.remove(r)
		}
	}
	c.mu.Unlock()
	c.under.Wait()
}
