package calendar

import (
	"sort"
	"time"
)

// lookahead is how far the weekly windows are followed where no date interferes. Zones shift against each other every year, so
// what has not happened in two years does not happen.
const lookahead = int64(2 * 366 * 24 * time.Hour / time.Second)

// farthest is an instant so far from 1970 (some 35,000 years) that nothing is said beyond it.
const farthest = int64(1) << 40

// Calendar is a compiled CalendarSpec. It is immutable.
type Calendar struct {
	location *time.Location
	zones    []zone
	// marks are instants, sorted, a little before each instant at which a window of dates begins or ends.
	marks []int64
}

// Location is the Calendar's own zone, for showing times to people.
func (c *Calendar) Location() *time.Location {
	return c.location
}

// Contains tells whether the Calendar is open at an instant.
func (c *Calendar) Contains(t time.Time) bool {
	return c.openAt(t.Unix())
}

// NextChange gives the next instant after t at which the Calendar opens or closes. False: it never does again.
func (c *Calendar) NextChange(t time.Time) (time.Time, bool) {
	at, ok := c.nextChange(t.Unix())
	return c.show(at), ok
}

// Ends gives the instant at which the Calendar, open at t, closes. False: it is not open at t, or never closes.
func (c *Calendar) Ends(t time.Time) (time.Time, bool) {
	if !c.Contains(t) {
		return time.Time{}, false
	}
	return c.NextChange(t)
}

// Next gives the next instant after t at which the Calendar opens. False: it never does again.
func (c *Calendar) Next(t time.Time) (time.Time, bool) {
	at, ok := c.nextChange(t.Unix())
	if ok && !c.openAt(at) {
		at, ok = c.nextChange(at)
	}
	return c.show(at), ok
}

func (c *Calendar) show(at int64) time.Time {
	if at == never {
		return time.Time{}
	}
	return time.Unix(at, 0).In(c.location)
}

func (c *Calendar) openAt(at int64) bool {
	strongest := neutral
	for i := range c.zones {
		strongest = max(strongest, c.zones[i].state(at))
	}
	return strongest == open
}

// nextChange looks from mark to mark: between two of them only the weekly windows change anything.
func (c *Calendar) nextChange(at int64) (int64, bool) {
	if at > farthest || at < -farthest {
		return never, false
	}
	w := c.walker(at)
	for {
		mark := c.markAfter(w.at)
		if w.follow(min(mark, w.at+lookahead)) {
			return w.at, true
		}
		if mark == never {
			return never, false
		}
		if w.move(mark) {
			return w.at, true
		}
	}
}

func (c *Calendar) markAfter(at int64) int64 {
	i := sort.Search(len(c.marks), func(i int) bool { return c.marks[i] > at })
	if i == len(c.marks) {
		return never
	}
	return c.marks[i]
}
