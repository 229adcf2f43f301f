package notifier

import (
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/notify"
	"github.com/signoff-dev/signoff/internal/visible"
)

const (
	maxDeliveries      = 32
	maxError           = 1024
	maxDeliveryMessage = 512
	maxRecipient       = 320
)

// news is what became of messages of a Notifier since its status was written.
type news struct {
	delivered, failed int64
	lastDelivery      *metav1.Time
	// lastError is what went wrong last; mended are channels by which something went well after it.
	lastError *v1alpha1.NotifierError
	mended    map[string]bool
	// deliveries are those that changed, the newest first.
	deliveries []v1alpha1.NotifierDelivery
	// settled says that nothing is new, and that it has been quiet for a while.
	settled bool
}

func (n *news) any() bool { return n.settled || len(n.deliveries) > 0 }

// into brings a status up to date.
func (n *news) into(status *v1alpha1.NotifierStatus) {
	status.Delivered += n.delivered
	status.Failed += n.failed
	if n.lastDelivery != nil {
		status.LastDelivery = n.lastDelivery
	}
	if n.lastError != nil {
		status.LastError = n.lastError
	} else if status.LastError != nil && n.mended[status.LastError.Channel] {
		status.LastError = nil
	}
	status.Deliveries = merged(n.deliveries, status.Deliveries)
}

// merged puts the newer of two lists first, each message once.
func merged(newer, older []v1alpha1.NotifierDelivery) []v1alpha1.NotifierDelivery {
	out := slices.Clone(newer)
	for i := range older {
		if !slices.ContainsFunc(out, func(d v1alpha1.NotifierDelivery) bool { return sameMessage(&d, &older[i]) }) {
			out = append(out, older[i])
		}
	}
	return out[:min(len(out), maxDeliveries)]
}

func sameMessage(a, b *v1alpha1.NotifierDelivery) bool {
	return a.ID == b.ID && a.Channel == b.Channel && a.Recipient == b.Recipient
}

// books are the news of all Notifiers. The zero value is empty.
type books struct {
	mu  sync.Mutex
	all map[types.NamespacedName]*news
}

// of gives the news of a Notifier. The lock is held.
func (b *books) of(owner types.NamespacedName) *news {
	if b.all == nil {
		b.all = map[types.NamespacedName]*news{}
	}
	if b.all[owner] == nil {
		b.all[owner] = &news{}
	}
	return b.all[owner]
}

// note notes what became of a message.
func (b *books) note(d *notify.Delivery) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, m, at := b.of(d.Owner), d.Message, metav1.NewTime(d.At)
	problem := visible.Escaped(d.Problem)
	entry := v1alpha1.NotifierDelivery{
		ID: m.ID, Event: m.Type, Request: m.Request, Channel: m.Channel.Name,
		Recipient: gate.Cut(m.Recipient, maxRecipient), State: d.State, Attempts: d.Attempts, At: at, Message: gate.Cut(problem, maxDeliveryMessage),
	}
	n.deliveries = merged([]v1alpha1.NotifierDelivery{entry}, n.deliveries)
	if d.Problem != "" {
		n.lastError = &v1alpha1.NotifierError{Channel: m.Channel.Name, At: at, Message: gate.Cut(problem, maxError)}
	}
	switch d.State {
	case v1alpha1.DeliveryFailed:
		n.failed++
	case v1alpha1.DeliveryDelivered:
		n.delivered++
		n.lastDelivery = &at
		if d.Problem != "" {
			break // it was delivered, but not as its template says
		}
		if n.mended == nil {
			n.mended = map[string]bool{}
		}
		n.mended[m.Channel.Name] = true
		if n.lastError != nil && n.lastError.Channel == m.Channel.Name {
			n.lastError = nil
		}
	case v1alpha1.DeliveryRetrying:
	}
}

// take takes the news of a Notifier to store them.
func (b *books) take(owner types.NamespacedName) *news {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.of(owner)
	delete(b.all, owner)
	return n
}

// giveBack takes back what could not be stored.
func (b *books) giveBack(owner types.NamespacedName, old *news) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.of(owner)
	n.delivered += old.delivered
	n.failed += old.failed
	n.settled = n.settled || old.settled
	if n.lastDelivery == nil {
		n.lastDelivery = old.lastDelivery
	}
	if n.lastError == nil && old.lastError != nil && !n.mended[old.lastError.Channel] {
		n.lastError = old.lastError
	}
	for channel := range old.mended {
		if n.mended == nil {
			n.mended = map[string]bool{}
		}
		n.mended[channel] = true
	}
	n.deliveries = merged(n.deliveries, old.deliveries)
}

// settle says that the next time, if nothing comes, it has been quiet.
func (b *books) settle(owner types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of(owner).settled = true
}

// drop forgets a Notifier that is gone.
func (b *books) drop(owner types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.all, owner)
}
