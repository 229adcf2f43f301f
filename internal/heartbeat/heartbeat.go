// Package heartbeat tells whether a loop still goes round: a turn of it that never ends is a deadlock, and only a restart helps then.
package heartbeat

import (
	"sync/atomic"
	"time"
)

// Turn is what a loop does at the moment. One that waits for something to do has no turn, however long it waits. The zero value is ready.
type Turn struct{ begun atomic.Pointer[time.Time] }

// Begin says that a turn begins. What it gives back says that it has ended.
func (t *Turn) Begin(now time.Time) (end func()) {
	t.begun.Store(&now)
	return func() { t.begun.Store(nil) }
}

// Lasts is for how long the turn has lasted that has not ended. 0: there is none.
func (t *Turn) Lasts(now time.Time) time.Duration {
	if begun := t.begun.Load(); begun != nil {
		return now.Sub(*begun)
	}
	return 0
}
