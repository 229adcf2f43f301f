package facts

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
)

// What one ServiceAccount may take, so that the facts of one team never slow down another. Time counts as much as numbers: an API that
// answers slowly must not hold all workers.
const (
	// readsPerSecond and readsAtOnce bound how many reads there are, readsInFlight how many of them at the same time.
	readsPerSecond, readsAtOnce, readsInFlight = 50.0, 200.0, 8
	// timePerSecond and timeAtOnce bound for how many seconds reads may last, all together.
	timePerSecond, timeAtOnce = 0.5, 10.0
	// maxQueue is how long a read waits for others to end.
	maxQueue = 500 * time.Millisecond
	// maxAccounts is how many ServiceAccounts are remembered.
	maxAccounts = 4096
)

// limits bound what each ServiceAccount may take.
type limits struct {
	clock    clock.WithTicker
	mu       sync.Mutex
	accounts *lru.Cache
}

func newLimits(clk clock.WithTicker) *limits {
	return &limits{clock: clk, accounts: lru.New(maxAccounts)}
}

// allowance is what is left for one ServiceAccount.
type allowance struct {
	slots chan struct{}

	mu          sync.Mutex
	reads, time float64
	at          time.Time
}

func (l *limits) of(as account) *allowance {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.accounts.Get(as); ok {
		return known.(*allowance) //nolint:forcetypeassert // nothing else is put in
	}
	made := &allowance{slots: make(chan struct{}, readsInFlight), reads: readsAtOnce, time: timeAtOnce, at: l.clock.Now()}
	l.accounts.Add(as, made)
	return made
}

// begin takes a read from the allowance. Done must be called when it is over.
func (l *limits) begin(ctx context.Context, as account) (done func(), err error) {
	a, start := l.of(as), l.clock.Now()
	if err := a.take(start, as); err != nil {
		return nil, err
	}
	timer := l.clock.NewTimer(maxQueue)
	defer timer.Stop()
	select {
	case a.slots <- struct{}{}:
		return func() {
			<-a.slots
			if as.name != "" {
				a.spend(l.clock.Since(start))
			}
			// The operator's own book is in our API server, which is not slow: a list of it only waits until etcd has caught up.
		}, nil
	case <-timer.C():
		err = fmt.Errorf("%d facts are being read as %s already; try again in a moment", readsInFlight, as)
	case <-ctx.Done():
		err = fmt.Errorf("%d facts are being read as %s already: %w", readsInFlight, as, ctx.Err())
	}
	a.spend(l.clock.Since(start))
	return nil, err
}

func (a *allowance) take(now time.Time, as account) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	passed := max(now.Sub(a.at), 0).Seconds()
	a.reads, a.time, a.at = min(a.reads+passed*readsPerSecond, readsAtOnce), min(a.time+passed*timePerSecond, timeAtOnce), now
	switch {
	case a.reads < 1:
		return fmt.Errorf("too many facts were read as %s, more than %v each second; try again in a moment", as, readsPerSecond)
	case a.time <= 0:
		return fmt.Errorf("reading facts as %s takes too long, more than half of the time; try again in a while", as)
	}
	a.reads--
	return nil
}

func (a *allowance) spend(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.time -= d.Seconds()
}
