package notify

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

const (
	// maxWaiting and maxBytes are how many messages of one Notifier wait at most, and how large they are. What comes then is dropped, and counted.
	maxWaiting = 1000
	maxBytes   = 8 << 20
	// maxAllBytes is how large those of all Notifiers are.
	maxAllBytes = 64 << 20
	// maxProblem is how much is kept of what went wrong, in characters.
	maxProblem = 1024
	// maxAttempts is how often a message is tried, over about two hours.
	maxAttempts = 12
	// firstPause and longestPause bound the pauses between attempts. Each is twice as long as the one before.
	firstPause   = 2 * time.Second
	longestPause = 20 * time.Minute
	// workers is how many messages are sent at once, and perOwner how many of one Notifier: one whose receivers are slow holds up no other.
	workers  = 8
	perOwner = 2
)

// Delivery is a message on its way.
type Delivery struct {
	// Owner is the Notifier that sends it, by name and by uid, and Account the ServiceAccount as which its Secrets are read.
	Owner   types.NamespacedName
	UID     types.UID
	Account string
	// Message is what is sent.
	Message *Message
	// Attempts is how often it was tried.
	Attempts int32
	// State is what became of it, At when, and Problem what went wrong last.
	State   v1alpha1.DeliveryState
	At      time.Time
	Problem string

	// due is when it is tried next, and of whose share it takes.
	due time.Time
	of  *share
}

// lane is a channel of a Notifier, by which one message goes at a time.
type lane struct {
	owner   types.NamespacedName
	channel string
}

// share is what a Notifier takes of the outbox.
type share struct {
	count, bytes, busy int
	// parked are lanes that wait until less is busy.
	parked []lane
}

// Outbox holds what is to be sent, and sends it. It keeps nobody waiting.
type Outbox struct {
	// Send sends one message.
	Send func(ctx context.Context, d *Delivery) error
	// Changed is told whenever something became of a message.
	Changed func(d Delivery)
	// Clock tells the time.
	Clock clock.WithTicker

	queue   workqueue.TypedDelayingInterface[lane]
	mu      sync.Mutex
	waiting map[lane][]*Delivery
	shares  map[types.NamespacedName]*share
	bytes   int
}

// NewOutbox makes an empty one.
func NewOutbox(clk clock.WithTicker) *Outbox {
	return &Outbox{
		Clock: clk, waiting: map[lane][]*Delivery{}, shares: map[types.NamespacedName]*share{},
		queue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[lane]{Clock: clk}),
	}
}

// Put takes a message. What has no room, or could not be written, is given up.
func (o *Outbox) Put(d *Delivery) {
	d.At, d.State = o.Clock.Now(), v1alpha1.DeliveryFailed
	in := lane{d.Owner, d.Message.Channel.Name}
	switch {
	case d.Message.Unwritten:
		d.Problem = d.Message.Problem
	case !o.take(in, d):
		d.Problem = "too many messages wait"
	default:
		o.queue.Add(in)
		return
	}
	o.tell(d)
}

// tell tells what became of a message.
func (o *Outbox) tell(d *Delivery) {
	count(d)
	o.Changed(*d)
}

// take finds room.
func (o *Outbox) take(in lane, d *Delivery) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.shares[d.Owner] == nil {
		o.shares[d.Owner] = &share{}
	}
	of, size := o.shares[d.Owner], d.Message.size()
	if of.count >= maxWaiting || of.bytes+size > maxBytes || o.bytes+size > maxAllBytes {
		return false
	}
	of.count++
	of.bytes += size
	o.bytes += size
	d.of, d.State = of, v1alpha1.DeliveryRetrying
	o.waiting[in] = append(o.waiting[in], d)
	return true
}

// Waiting says how many messages of a Notifier wait, and when the oldest event among them happened.
func (o *Outbox) Waiting(owner types.NamespacedName) (int, time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	sum, oldest := 0, time.Time{}
	for in, waiting := range o.waiting {
		if in.owner != owner {
			continue
		}
		sum += len(waiting)
		for _, d := range waiting {
			if at := d.Message.Time; oldest.IsZero() || at.Before(oldest) {
				oldest = at
			}
		}
	}
	return sum, oldest
}

// Forget drops what a Notifier that is gone would have sent.
func (o *Outbox) Forget(owner types.NamespacedName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for in := range o.waiting {
		if in.owner == owner {
			delete(o.waiting, in)
		}
	}
	if of := o.shares[owner]; of != nil {
		o.bytes -= of.bytes
		delete(o.shares, owner)
	}
}

// Start sends until the context ends.
func (o *Outbox) Start(ctx context.Context) error {
	show()
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for o.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	o.queue.ShutDown()
	group.Wait()
	return nil
}

// NeedLeaderElection says that only one replica tells.
func (*Outbox) NeedLeaderElection() bool { return true }

// next sends one message, and tells whether there is more to do.
func (o *Outbox) next(ctx context.Context) bool {
	in, done := o.queue.Get()
	if done {
		return false
	}
	defer o.queue.Done(in)
	d := o.pick(in)
	if d == nil {
		return true
	}
	pause := o.try(ctx, d)
	if ctx.Err() != nil {
		return true // whoever leads next finds it out anew
	}
	o.settle(in, d, pause)
	o.tell(d)
	return true
}

// pick picks the message of a lane whose turn it is. Nil: there is none, or the Notifier has enough to do.
func (o *Outbox) pick(in lane) *Delivery {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.Clock.Now()
	i := slices.IndexFunc(o.waiting[in], func(d *Delivery) bool { return !d.due.After(now) })
	if i < 0 {
		o.wake(in)
		return nil
	}
	d := o.waiting[in][i]
	if d.of.busy >= perOwner {
		if !slices.Contains(d.of.parked, in) {
			d.of.parked = append(d.of.parked, in)
		}
		return nil
	}
	d.of.busy++
	return d
}

// settle lets a message wait for a while, or go, and others take their turn.
func (o *Outbox) settle(in lane, d *Delivery, pause time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	d.of.busy--
	for _, parked := range d.of.parked {
		o.queue.Add(parked)
	}
	d.of.parked = nil
	d.due = o.Clock.Now().Add(pause)
	if i := slices.Index(o.waiting[in], d); i >= 0 && pause == 0 {
		o.waiting[in] = slices.Delete(o.waiting[in], i, i+1)
		size := d.Message.size()
		d.of.count--
		d.of.bytes -= size
		o.bytes -= size
	}
	o.wake(in)
}

// wake has a lane looked at when its next message is due, after all others that wait. The lock is held.
func (o *Outbox) wake(in lane) {
	waiting := o.waiting[in]
	if len(waiting) == 0 {
		delete(o.waiting, in)
		return
	}
	next := slices.MinFunc(waiting, func(a, b *Delivery) int { return a.due.Compare(b.due) })
	o.queue.AddAfter(in, next.due.Sub(o.Clock.Now()))
}

// try sends a message, and says after which pause it is tried again. None: never.
func (o *Outbox) try(ctx context.Context, d *Delivery) time.Duration {
	err := o.Send(ctx, d)
	d.Attempts++
	d.At, d.Problem, d.State = o.Clock.Now(), d.Message.Problem, v1alpha1.DeliveryDelivered
	if err == nil {
		return 0
	}
	d.Problem, d.State = gate.Cut(err.Error(), maxProblem), v1alpha1.DeliveryFailed
	if final := (*FinalError)(nil); errors.As(err, &final) || d.Attempts >= maxAttempts {
		return 0
	}
	d.State = v1alpha1.DeliveryRetrying
	pause := min(firstPause<<(d.Attempts-1), longestPause)
	if busy := (*BusyError)(nil); errors.As(err, &busy) {
		pause = max(pause, busy.After)
	}
	return pause
}
