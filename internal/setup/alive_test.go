package setup

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/internal/guard"
	"github.com/signoff-dev/signoff/internal/guard/canary"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// later is a process that asks so much later how it is.
func later(by time.Duration) *Process {
	return &Process{wall: clocktesting.NewFakePassiveClock(time.Now().Add(by)), Store: snapshot.NewStore(nil)}
}

// says checks what a process answers who asks whether it lives. Empty: that it does.
func says(t *testing.T, reason string, p *Process, want string) {
	t.Helper()
	switch err := p.alive(nil); {
	case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s It says %v, want %q.", reason, err, want)
	}
}

// TestHangingStoreIsNotAlive: whoever makes snapshots waits for what never comes.
func TestHangingStoreIsNotAlive(t *testing.T) {
	entered, release, running := make(chan struct{}, 1), make(chan struct{}), false
	store := snapshot.NewStore(func() {
		if running {
			entered <- struct{}{}
			<-release
		}
	})
	running = true
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		store.Run(ctx)
		close(ended)
	}()
	says(t, "Where nothing is to be done, nothing hangs.", &Process{Store: store, wall: later(time.Hour).wall}, "")
	store.MarkSynced()
	<-entered
	says(t, "It may take a while.", &Process{Store: store, wall: later(time.Minute).wall}, "")
	says(t, "It does not take that long.", &Process{Store: store, wall: later(6 * time.Minute).wall}, "what reads the governing objects has hung for")
	cancel()
	close(release)
	<-ended
	says(t, "It went on.", &Process{Store: store, wall: later(time.Hour).wall}, "")
}

// sender sends canaries.
type sender struct {
	client.Writer
	send func(context.Context) error
}

func (s *sender) Create(ctx context.Context, _ client.Object, _ ...client.CreateOption) error {
	return s.send(ctx)
}

// TestHangingGuardIsNotAlive: an API server that is away is no reason to start anew, and a look that never ends is one.
func TestHangingGuardIsNotAlive(t *testing.T) {
	entered, release := make(chan struct{}, 1), make(chan struct{})
	for name, tc := range map[string]struct {
		reason string
		send   func(context.Context) error
		want   string
	}{
		"Away": {"Nobody answers, which a restart does not mend.", func(context.Context) error {
			select {
			case entered <- struct{}{}:
			default: // that it looks is known
			}
			return errors.New("connection refused")
		}, ""},
		"Hangs": {"It never comes back, whatever it was told.", func(context.Context) error {
			entered <- struct{}{}
			<-release
			return nil
		}, "the guard has hung for"},
	} {
		t.Run(name, func(t *testing.T) {
			p := later(6 * time.Minute)
			p.Guard = guard.New(guard.Options{
				Client: &sender{send: tc.send}, Checker: canary.Echo{}, Namespace: "signoff-system",
				Clock: clock.RealClock{}, Changed: func() {}, Log: logr.Discard(),
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- p.Guard.Start(ctx) }()
			<-entered
			if tc.want == "" {
				<-entered // the first look has ended
				cancel()
				finished(t, ended)
			}
			says(t, tc.reason, p, tc.want)
			if tc.want != "" {
				cancel()
				close(release)
				finished(t, ended)
			}
		})
	}
}

// finished waits for the end of what was told to end.
func finished(t *testing.T, ended <-chan error) {
	t.Helper()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
