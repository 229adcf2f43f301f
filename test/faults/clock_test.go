package faults

import (
	"time"

	"k8s.io/utils/clock"
)

// speed is how much faster than the real clock that of the test runs, so that what waits for minutes does not make the test last for hours.
const speed = 10

// fast is a clock that runs faster.
type fast struct {
	clock.RealClock
	start time.Time
}

var _ clock.WithTicker = &fast{}

// Now implements clock.Clock.
func (f *fast) Now() time.Time { return f.start.Add(time.Since(f.start) * speed) }

// Since implements clock.Clock.
func (f *fast) Since(t time.Time) time.Duration { return f.Now().Sub(t) }

// After implements clock.Clock.
func (f *fast) After(d time.Duration) <-chan time.Time { return f.RealClock.After(d / speed) }

// Sleep implements clock.Clock.
func (f *fast) Sleep(d time.Duration) { f.RealClock.Sleep(d / speed) }

// NewTimer implements clock.Clock.
func (f *fast) NewTimer(d time.Duration) clock.Timer { return &timer{f.RealClock.NewTimer(d / speed)} }

// NewTicker implements clock.WithTicker.
func (f *fast) NewTicker(d time.Duration) clock.Ticker { return f.RealClock.NewTicker(d / speed) }

// timer is a timer of a fast clock.
type timer struct{ clock.Timer }

// Reset implements clock.Timer.
func (t *timer) Reset(d time.Duration) bool { return t.Timer.Reset(d / speed) }
