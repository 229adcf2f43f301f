package heartbeat

import (
	"testing"
	"time"
)

func TestTurn(t *testing.T) {
	turn, start := Turn{}, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	expect := func(reason string, after, want time.Duration) {
		t.Helper()
		if got := turn.Lasts(start.Add(after)); got != want {
			t.Errorf("%s Got %s, want %s.", reason, got, want)
		}
	}
	expect("A loop that has nothing to do lives.", time.Hour, 0)
	end := turn.Begin(start)
	expect("A turn lasts from its beginning.", time.Minute, time.Minute)
	end()
	expect("It has ended.", time.Hour, 0)
	turn.Begin(start.Add(time.Hour))
	expect("The next one counts from its own beginning.", time.Hour+time.Second, time.Second)
}
