package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

var owner = types.NamespacedName{Namespace: "payments", Name: "chat"}

// box is an outbox whose receiver answers what it is told to.
type box struct {
	*Outbox

	clock   *clocktesting.FakeClock
	answers chan error
	changes chan Delivery
}

func newBox(t *testing.T) *box {
	t.Helper()
	clk := clocktesting.NewFakeClock(noon)
	b := &box{Outbox: NewOutbox(clk), clock: clk, answers: make(chan error), changes: make(chan Delivery, 2*maxWaiting)}
	b.Send = func(ctx context.Context, _ *Delivery) error {
		select {
		case err := <-b.answers:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b.Changed = func(d Delivery) { b.changes <- d }
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = b.Start(ctx) })
	t.Cleanup(func() { cancel(); group.Wait() })
	return b
}

func letterTo(id string) *Message {
	return &Message{Event: &Event{ID: id, Time: noon}, Channel: &Channel{NotifierChannel: &v1alpha1.NotifierChannel{Name: "c"}}}
}

// steps moves the clock on until something waits for it no more.
func (b *box) pass(t *testing.T, pause time.Duration) {
	t.Helper()
	for !b.clock.HasWaiters() {
		if t.Context().Err() != nil {
			t.Fatal("nothing waits")
		}
	}
	b.clock.Step(pause)
}

// TestOutboxTriesAgain: with pauses that grow, as long as it helps.
func TestOutboxTriesAgain(t *testing.T) {
	b := newBox(t)
	b.Put(owner, letterTo("a"))
	b.Put(owner, letterTo("a"))
	down := errors.New("the receiver is down")
	for attempt, pause := range []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second} {
		b.answers <- down
		d := <-b.changes
		if d.State != v1alpha1.DeliveryRetrying || d.Attempts != int32(attempt+1) || d.Problem != "the receiver is down" {
			t.Fatalf("attempt %d came to %+v", attempt, d)
		}
		b.pass(t, pause)
	}
	if count, oldest := b.Waiting(owner); count != 1 || !oldest.Equal(noon) {
		t.Errorf("%d wait, since %s", count, oldest)
	}
	b.answers <- nil
	if d := <-b.changes; d.State != v1alpha1.DeliveryDelivered || d.Attempts != 4 || d.Problem != "" {
		t.Errorf("at last it came to %+v", d)
	}
	if count, _ := b.Waiting(owner); count != 0 {
		t.Errorf("%d still wait", count)
	}
}

// TestOutboxGivesUp: at once where it cannot help, else after a while.
func TestOutboxGivesUp(t *testing.T) {
	b := newBox(t)
	b.Put(owner, letterTo("gone"))
	b.answers <- fmt.Errorf("not there: %w", &FinalError{errors.New("404")})
	if d := <-b.changes; d.State != v1alpha1.DeliveryFailed || d.Attempts != 1 {
		t.Errorf("what is gone came to %+v", d)
	}
	b.Put(owner, letterTo("down"))
	for attempt := int32(1); ; attempt++ {
		b.answers <- errors.New("down")
		d := <-b.changes
		if d.State == v1alpha1.DeliveryFailed {
			if d.Attempts != maxAttempts {
				t.Errorf("it was given up after %d attempts", d.Attempts)
			}
			return
		}
		b.pass(t, longestPause)
	}
}

// TestOutboxIsPatient: a receiver that says how long it wants to rest is left alone for so long.
func TestOutboxIsPatient(t *testing.T) {
	b := newBox(t)
	d := &Delivery{Message: letterTo("a")}
	var got []time.Duration
	for _, err := range []error{&BusyError{errors.New("busy"), time.Minute}, &BusyError{errors.New("busy"), 0}, errors.New("down")} {
		go func() { b.answers <- err }()
		got = append(got, b.try(t.Context(), d))
	}
	if diff := cmp.Diff([]time.Duration{time.Minute, 4 * time.Second, 8 * time.Second}, got); diff != "" {
		t.Errorf("the pauses (-want +got):\n%s", diff)
	}
}

// TestOutboxIsBounded: what has no room is given up, and others have their own room.
func TestOutboxIsBounded(t *testing.T) {
	b := newBox(t)
	for i := range maxWaiting {
		b.Put(owner, letterTo(fmt.Sprint(i)))
	}
	b.Put(owner, letterTo("one too many"))
	if d := <-b.changes; d.State != v1alpha1.DeliveryFailed || d.Message.Event.ID != "one too many" || d.Attempts != 0 || d.Problem != "too many messages wait" {
		t.Errorf("one too many came to %+v", d)
	}
	other := types.NamespacedName{Namespace: "search", Name: "chat"}
	b.Put(other, letterTo("a"))
	if count, _ := b.Waiting(other); count != 1 {
		t.Errorf("%d of another Notifier wait", count)
	}
	b.Forget(owner)
	if count, _ := b.Waiting(owner); count != 0 {
		t.Errorf("%d of one that is gone wait", count)
	}
}
