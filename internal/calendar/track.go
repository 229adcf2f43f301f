package calendar

import (
	"math"
	"sort"
	"time"
)

const (
	day  = int64(24 * time.Hour / time.Second)
	week = 7 * day
	// monday is the wall-clock reading at which some week began: 1970-01-05 00:00.
	monday = 4 * day

	// never is later than every instant, always is earlier.
	never  = int64(math.MaxInt64)
	always = int64(math.MinInt64)
)

// state is what a track says. The strongest state of all tracks wins.
type state uint8

const (
	neutral state = iota
	open
	closed
)

// change is the wall-clock reading, in seconds, from which a track has a state.
type change struct {
	at    int64
	state state
}

// track is a step function over wall-clock readings, which are written as seconds since 1970-01-01 00:00 on that clock.
type track struct {
	// changes are sorted, and each has another state than the one before. A weekly track counts from the Monday of each
	// week, and its first change follows its last one. Any other track is neutral before the first change.
	changes []change
	weekly  bool
	// constant is the state of a track without changes.
	constant state
	opens    bool
	closes   bool
}

// newTrack makes a track of changes, of which some may change nothing.
func newTrack(changes []change, weekly bool) track {
	last := neutral
	if weekly {
		last = changes[len(changes)-1].state
	}
	t := track{weekly: weekly, constant: last}
	for _, c := range changes {
		t.opens = t.opens || c.state == open
		t.closes = t.closes || c.state == closed
		if c.state != last {
			t.changes = append(t.changes, c)
			last = c.state
		}
	}
	return t
}

// step is the part of a track around one reading: one state, from a reading until another one, that one excluded.
type step struct {
	state       state
	from, until int64
}

// around gives the step that contains a reading.
func (t *track) around(reading int64) step {
	if len(t.changes) == 0 {
		return step{state: t.constant, from: always, until: never}
	}
	if !t.weekly {
		return t.within(reading)
	}
	begin := reading - floorMod(reading-monday, week)
	s := t.within(reading - begin)
	if s.from == always {
		last := t.changes[len(t.changes)-1]
		s.state, s.from = last.state, last.at-week
	}
	if s.until == never {
		s.until = t.changes[0].at + week
	}
	return step{state: s.state, from: s.from + begin, until: s.until + begin}
}

// within gives the step that contains a reading, for one run through the changes.
func (t *track) within(reading int64) step {
	i := sort.Search(len(t.changes), func(i int) bool { return t.changes[i].at > reading })
	s := step{from: always, until: never}
	if i > 0 {
		s.state, s.from = t.changes[i-1].state, t.changes[i-1].at
	}
	if i < len(t.changes) {
		s.until = t.changes[i].at
	}
	return s
}

func floorMod(a, b int64) int64 {
	return ((a % b) + b) % b
}
