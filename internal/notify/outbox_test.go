package notify

import (
	"context"
	"errors"
	"fmt"
	"runtime"
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
	return &Message{ID: id, Time: noon, Channel: &Channel{NotifierChannel: &v1alpha1.NotifierChannel{Name: "c"}}}
}

func (b *box) put(owner types.NamespacedName, m *Message) { b.Put(&Delivery{Owner: owner, Message: m}) }

// answer answers what is sent after a pause. The clock is moved as often as it takes: the queue reads it and sets its timer in
// two steps, and a clock that is moved between them only once leaves the timer waiting for ever.
func (b *box) answer(t *testing.T, pause time.Duration, err error) {
	t.Helper()
	for {
		select {
		case b.answers <- err:
			return
		case <-t.Context().Done():
			t.Fatal("nothing is sent")
		default:
			b.clock.Step(pause)
			runtime.Gosched()
		}
	}
}

// TestOutboxTriesAgain: with pauses that grow, as long as it helps.
func TestOutboxTriesAgain(t *testing.T) {
	b := newBox(t)
	b.put(owner, letterTo("a"))
	down := errors.New("the receiver is down")
	for attempt, pause := range []time.Duration{0, 2 * time.Second, 4 * time.Second} {
		b.answer(t, pause, down)
		d := <-b.changes
		if d.State != v1alpha1.DeliveryRetrying || d.Attempts != int32(attempt+1) || d.Problem != "the receiver is down" {
			t.Fatalf("attempt %d came to %+v", attempt, d)
		}
	}
	if count, oldest := b.Waiting(owner); count != 1 || !oldest.Equal(noon) {
		t.Errorf("%d wait, since %s", count, oldest)
	}
	b.answer(t, 8*time.Second, nil)
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
	b.put(owner, letterTo("gone"))
	b.answers <- fmt.Errorf("not there: %w", &FinalError{errors.New("404")})
	if d := <-b.changes; d.State != v1alpha1.DeliveryFailed || d.Attempts != 1 {
		t.Errorf("what is gone came to %+v", d)
	}
	b.put(owner, letterTo("down"))
	for attempt := int32(1); ; attempt++ {
		b.answer(t, longestPause, errors.New("down"))
		d := <-b.changes
		if d.State == v1alpha1.DeliveryFailed {
			if d.Attempts != maxAttempts {
				t.Errorf("it was given up after %d attempts", d.Attempts)
			}
			return
		}
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
		b.put(owner, letterTo(fmt.Sprint(i)))
	}
	b.put(owner, letterTo("one too many"))
	if d := <-b.changes; d.State != v1alpha1.DeliveryFailed || d.Message.ID != "one too many" || d.Attempts != 0 || d.Problem != "too many messages wait" {
		t.Errorf("one too many came to %+v", d)
	}
	other := types.NamespacedName{Namespace: "search", Name: "chat"}
	b.put(other, letterTo("a"))
	if count, _ := b.Waiting(other); count != 1 {
		t.Errorf("%d of another Notifier wait", count)
	}
	b.Forget(owner)
	if count, _ := b.Waiting(owner); count != 0 {
		t.Errorf("%d of one that is gone wait", count)
	}
}

// TestOutboxCountsBytes: neither one Notifier nor all of them fill the memory, and what is gone makes room.
func TestOutboxCountsBytes(t *testing.T) {
	b := newBox(t)
	large := func() *Message {
		m := letterTo("large")
		m.Content = make([]byte, maxBytes/2+1)
		return m
	}
	taken := 0
	for i := range 2 * maxAllBytes / maxBytes {
		for range 3 {
			b.put(types.NamespacedName{Namespace: "search", Name: fmt.Sprint(i)}, large())
		}
		count, _ := b.Waiting(types.NamespacedName{Namespace: "search", Name: fmt.Sprint(i)})
		if taken += count; count > 1 {
			t.Errorf("%d are more than one Notifier has room for", count)
		}
	}
	// Each is a little larger than its half.
	if want := 2*maxAllBytes/maxBytes - 1; taken != want {
		t.Errorf("%d were taken, want %d", taken, want)
	}
	b.Forget(types.NamespacedName{Namespace: "search", Name: "0"})
	b.put(owner, large())
	if count, _ := b.Waiting(owner); count != 1 {
		t.Error("what is gone makes no room")
	}
}

// TestOutboxIsFair: a Notifier whose receivers do not answer holds up no other, and none of its channels for ever.
func TestOutboxIsFair(t *testing.T) {
	b := newBox(t)
	sending, release := make(chan string, 2*maxWaiting), make(chan struct{})
	b.Send = func(ctx context.Context, d *Delivery) error {
		sending <- d.Owner.Name + "/" + d.Message.Channel.Name
		if d.Owner != owner {
			return nil
		}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	}
	for i := range 4 * workers {
		m := letterTo("a")
		m.Channel = &Channel{NotifierChannel: &v1alpha1.NotifierChannel{Name: fmt.Sprint(i)}}
		b.put(owner, m)
	}
	for range perOwner {
		<-sending
	}
	other := types.NamespacedName{Namespace: "search", Name: "other"}
	b.put(other, letterTo("b"))
	if got := <-sending; got != "other/c" {
		t.Errorf("%s is sent", got)
	}
	close(release)
	seen := map[string]bool{}
	for range 4*workers - perOwner {
		seen[<-sending] = true
	}
	if len(seen) != 4*workers-perOwner {
		t.Errorf("%d channels were waited for", len(seen))
	}
}

// TestOutboxRemembersPauses: two messages of one channel that wait for different times are both sent.
func TestOutboxRemembersPauses(t *testing.T) {
	b := newBox(t)
	b.put(owner, letterTo("a"))
	b.answers <- errors.New("down")
	<-b.changes
	b.put(owner, letterTo("b"))
	b.answers <- &BusyError{errors.New("busy"), time.Minute}
	<-b.changes
	for _, step := range []time.Duration{2 * time.Second, time.Minute} {
		b.answer(t, step, nil)
		if d := <-b.changes; d.State != v1alpha1.DeliveryDelivered {
			t.Errorf("it came to %+v", d)
		}
	}
}
