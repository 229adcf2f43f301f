package webhooks

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
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
	// admitted are those that were let through and are perhaps not known yet, by person and by the review that let them through: of two with one
	// name, the one that is refused must not take the other one out.
	admitted map[string]map[types.UID]passed
}

// passed is a request that was let through.
type passed struct {
	request string
	at      time.Time
}

// notSeenFor is how long a request that was let through counts although it is not known: it may never have been stored.
const notSeenFor = 10 * time.Second

// moreInEmergency is how many emergencies somebody may have beside as many requests as they may: what waits must not keep them from those.
const moreInEmergency = 10

// most is how many requests of somebody may be open when this one is made.
func (o *OpenRequests) most(request *v1alpha1.ActionRequest) int {
	if request.Spec.BreakGlass != nil {
		return o.Max + moreInEmergency
	}
	return o.Max
}

// count says how many requests of a person are open, and whether there may be one more.
func (o *OpenRequests) count(person string, most int, now time.Time) (open int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	open = o.counted(person, now)
	return open, open < most
}

// admit counts, and counts a request in if there may be one more: of many that come at once only so many are judged at all. What is refused later
// must leave.
func (o *OpenRequests) admit(person string, most int, review types.UID, request string, now time.Time) (open int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if open = o.counted(person, now); open >= most {
		return open, false
	}
	o.enter(person, review, passed{request, now})
	return open, true
}

// leave takes back that a request was counted in.
func (o *OpenRequests) leave(person string, review types.UID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.admitted[person], review)
}

// counted looks at those that were let through before it counts: one that becomes known in between counts twice, and not never.
func (o *OpenRequests) counted(person string, now time.Time) int {
	o.forget(now)
	late := o.admitted[person]
	maps.DeleteFunc(late, func(_ types.UID, p passed) bool { return o.Known(p.request) })
	return len(late) + o.Count(person)
}

func (o *OpenRequests) enter(person string, review types.UID, p passed) {
	if o.admitted == nil {
		o.admitted = map[string]map[types.UID]passed{}
	}
	if o.admitted[person] == nil {
		o.admitted[person] = map[types.UID]passed{}
	}
	o.admitted[person][review] = p
}

// forget drops what must have been seen by now.
func (o *OpenRequests) forget(now time.Time) {
	for person, late := range o.admitted {
		maps.DeleteFunc(late, func(_ types.UID, p passed) bool { return now.Sub(p.at) > notSeenFor })
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
	most := w.Open.most(request)
	if isDryRun(req) {
		open, ok = w.Open.count(requester.Person, most, w.Wall.Now())
	} else {
		open, ok = w.Open.admit(requester.Person, most, req.UID, keyOf(request), w.Wall.Now())
	}
	if ok {
		return nil
	}
	message := fmt.Sprintf(
		"%s has %d requests that are not over, and may have %d (requester.maxOpen in the configuration of Signoff). Nothing was stored.\n"+
			"  See them: kubectl get actionrequests -n %s --field-selector status.outcome=, and in your other namespaces.\n"+
			"  Cancel what is not needed any more, or wait until some are over.",
		requester.Username, open, most, request.Namespace)
	refusal := forbidden(v1alpha1.ReasonTooManyOpen, message)
	if isDryRun(req) {
		refusal = coded(refusal, &gate.Explanation{Reason: v1alpha1.ReasonTooManyOpen, Message: message})
	}
	return &refusal
}
