package notify

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const (
	// maxWaiting is how many messages of one Notifier wait at most. What comes then is dropped, and counted.
	maxWaiting = 1000
	// maxAttempts is how often a message is tried, over about two hours.
	maxAttempts = 12
	// firstPause and longestPause bound the pauses between attempts. Each is twice as long as the one before.
	firstPause   = 2 * time.Second
	longestPause = 20 * time.Minute
	// workers is how many messages are sent at once.
	workers = 4
)

// Delivery is a message on its way.
type Delivery struct {
	// Owner is the Notifier that sends it.
	Owner types.NamespacedName
	// Message is what is sent.
	Message *Message
	// Attempts is how often it was tried.
	Attempts int32
	// State is what became of it, At when, and Problem what went wrong last.
	State   v1alpha1.DeliveryState
	At      time.Time
	Problem string
}

// Outbox holds what is to be sent, and sends it. It keeps nobody waiting.
type Outbox struct {
	// Send sends one message.
	Send func(ctx context.Context, d *Delivery) error
	// Changed is told whenever something became of a message.
	Changed func(d Delivery)
	// Clock tells the time.
	Clock clock.WithTicker

	queue   workqueue.TypedRateLimitingInterface[string]
	mu      sync.Mutex
	waiting map[string]*Delivery
	count   map[types.NamespacedName]int
}

// NewOutbox makes an empty one.
func NewOutbox(clk clock.WithTicker) *Outbox {
	return &Outbox{
		Clock: clk, waiting: map[string]*Delivery{}, count: map[types.NamespacedName]int{},
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(workqueue.DefaultTypedControllerRateLimiter[string](),
			workqueue.TypedRateLimitingQueueConfig[string]{Clock: clk}),
	}
}

// Put takes a message. What waits already is not taken twice; what has no room is given up.
func (o *Outbox) Put(owner types.NamespacedName, m *Message) {
	key := owner.String() + "/" + m.Key()
	d := &Delivery{Owner: owner, Message: m, State: v1alpha1.DeliveryRetrying, At: o.Clock.Now()}
	o.mu.Lock()
	_, known := o.waiting[key]
	full := o.count[owner] >= maxWaiting
	if !known && !full {
		o.waiting[key] = d
		o.count[owner]++
	}
	o.mu.Unlock()
	switch {
	case known:
	case full:
		d.State, d.Problem = v1alpha1.DeliveryFailed, "too many messages wait"
		o.Changed(*d)
	default:
		o.queue.Add(key)
	}
}

// Waiting says how many messages of a Notifier wait, and when the oldest event among them happened.
func (o *Outbox) Waiting(owner types.NamespacedName) (int, time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	count, oldest := 0, time.Time{}
	for _, d := range o.waiting {
		if d.Owner != owner {
			continue
		}
		count++
		if at := d.Message.Event.Time; oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return count, oldest
}

// Forget drops what a Notifier that is gone would have sent.
func (o *Outbox) Forget(owner types.NamespacedName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, d := range o.waiting {
		if d.Owner == owner {
			delete(o.waiting, key)
		}
	}
	delete(o.count, owner)
}

// Start sends until the context ends.
func (o *Outbox) Start(ctx context.Context) error {
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
	key, done := o.queue.Get()
	if done {
		return false
	}
	defer o.queue.Done(key)
	o.mu.Lock()
	d := o.waiting[key]
	o.mu.Unlock()
	if d == nil || ctx.Err() != nil {
		return true
	}
	pause := o.try(ctx, d)
	if ctx.Err() != nil {
		return true // whoever leads next finds it out anew
	}
	if pause > 0 {
		o.queue.AddAfter(key, pause)
	} else {
		o.leave(key, d)
	}
	o.Changed(*d)
	return true
}

// try sends a message, and says after which pause it is tried again. None: never.
func (o *Outbox) try(ctx context.Context, d *Delivery) time.Duration {
	err := o.Send(ctx, d)
	d.Attempts++
	d.At, d.Problem, d.State = o.Clock.Now(), "", v1alpha1.DeliveryDelivered
	if err == nil {
		return 0
	}
	d.Problem, d.State = err.Error(), v1alpha1.DeliveryFailed
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

func (o *Outbox) leave(key string, d *Delivery) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.waiting[key]; ok {
		delete(o.waiting, key)
		o.count[d.Owner]--
	}
}
