package webhooks

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

// OpenRequests bounds how many requests of one person are open at once, so that nobody fills the inboxes and the queue of everybody else.
type OpenRequests struct {
	// Count is how many requests of a person are known to be open.
	Count func(person string) int
	// Known tells whether a request, as namespace/name, is one of them.
	Known func(request string) bool
	// Max is how many there may be.
	Max int

	mu sync.Mutex
	// admitted are requests that were let through and are perhaps not known yet, by person.
	admitted map[string]map[string]time.Time
}

// notSeenFor is how long a request that was let through counts although it is not known: it may never have been stored.
const notSeenFor = 10 * time.Second

// count says how many requests of a person are open, and whether there may be one more.
func (o *OpenRequests) count(person string, now time.Time) (open int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.counted(person, now)
}

// admit counts, and counts a request in if there may be one more: of many that come at once only so many are judged at all. What is refused later
// must leave.
func (o *OpenRequests) admit(person, request string, now time.Time) (open int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if open, ok = o.counted(person, now); ok {
		o.enter(person, request, now)
	}
	return open, ok
}

// leave takes back that a request was counted in.
func (o *OpenRequests) leave(person, request string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.admitted[person], request)
}

// counted looks at those that were let through before it counts: one that becomes known in between counts twice, and not never.
func (o *OpenRequests) counted(person string, now time.Time) (open int, ok bool) {
	o.forget(now)
	late := o.admitted[person]
	maps.DeleteFunc(late, func(request string, _ time.Time) bool { return o.Known(request) })
	open = len(late) + o.Count(person)
	return open, open < o.Max
}

func (o *OpenRequests) enter(person, request string, now time.Time) {
	if o.admitted == nil {
		o.admitted = map[string]map[string]time.Time{}
	}
	if o.admitted[person] == nil {
		o.admitted[person] = map[string]time.Time{}
	}
	o.admitted[person][request] = now
}

// forget drops what must have been seen by now.
func (o *OpenRequests) forget(now time.Time) {
	for person, late := range o.admitted {
		for request, since := range late {
			if now.Sub(since) > notSeenFor {
				delete(late, request)
			}
		}
		if len(late) == 0 {
			delete(o.admitted, person)
		}
	}
}

// keyOf names a request.
func keyOf(request *v1alpha1.ActionRequest) string { return request.Namespace + "/" + request.Name }

// crowded refuses one request more of somebody who has too many. A dry run is refused as well, since it tells what would happen.
func (w *actionRequests) crowded(req *admission.Request, request *v1alpha1.ActionRequest, requester *v1alpha1.Identity) *admission.Response {
	var open int
	var ok bool
	if isDryRun(req) {
		open, ok = w.Open.count(requester.Person, w.Wall.Now())
	} else {
		open, ok = w.Open.admit(requester.Person, keyOf(request), w.Wall.Now())
	}
	if ok {
		return nil
	}
	message := fmt.Sprintf(
		"%s has %d requests that are not over, and may have %d (requester.maxOpen in the configuration of Signoff). Nothing was stored.\n"+
			"  See them: kubectl get actionrequests -A --field-selector status.outcome=\n"+
			"  Cancel what is not needed any more, or wait until some are over.",
		requester.Username, open, w.Open.Max)
	refusal := forbidden(v1alpha1.ReasonTooManyOpen, message)
	if isDryRun(req) {
		refusal = coded(refusal, &gate.Explanation{Reason: v1alpha1.ReasonTooManyOpen, Message: message})
	}
	return &refusal
}
