package calendar

import (
	"slices"
	"time"
)

const (
	minutesPerDay  = 24 * 60
	minutesPerWeek = 7 * minutesPerDay
)

// minutes is a span of minutes of the week, counted from Monday 00:00. It may reach into the next week.
type minutes struct{ from, until int }

// dateSpan is a span of wall-clock readings from the midnight that begins a day to the midnight that ends one.
type dateSpan struct {
	from, until int64
	state       state
}

// zoneBuilder gathers the windows of one zone.
type zoneBuilder struct {
	location *time.Location
	// week has a state per minute, once a weekly window was painted.
	week  []state
	dates []dateSpan
}

// paint gives a state to minutes of the week. A stronger state stays.
func (z *zoneBuilder) paint(spans []minutes, s state) {
	if z.week == nil {
		z.week = make([]state, minutesPerWeek)
	}
	for _, span := range spans {
		for m := span.from; m < span.until; m++ {
			z.week[m%minutesPerWeek] = max(z.week[m%minutesPerWeek], s)
		}
	}
}

// tracks gives the tracks of the zone that say anything, and the marks of its dates.
func (z *zoneBuilder) tracks() ([]track, []int64) {
	var tracks []track
	if z.week != nil {
		tracks = append(tracks, newTrack(z.weekChanges(), true))
	}
	if len(z.dates) == 0 {
		return tracks, nil
	}
	changes := z.dateChanges()
	marks := make([]int64, 0, len(changes))
	for _, c := range changes {
		marks = append(marks, c.at-maxOffset)
	}
	return append(tracks, newTrack(changes, false)), marks
}

func (z *zoneBuilder) weekChanges() []change {
	changes := []change{{at: 0, state: z.week[0]}}
	for m := 1; m < minutesPerWeek; m++ {
		if z.week[m] != z.week[m-1] {
			changes = append(changes, change{at: int64(m) * 60, state: z.week[m]})
		}
	}
	return changes
}

// dateChanges finds the state after each midnight at which a span begins or ends.
func (z *zoneBuilder) dateChanges() []change {
	var midnights []int64
	for _, d := range z.dates {
		midnights = append(midnights, d.from, d.until)
	}
	slices.Sort(midnights)
	midnights = slices.Compact(midnights)
	changes := make([]change, 0, len(midnights))
	for _, at := range midnights {
		changes = append(changes, change{at: at, state: z.stateFrom(at)})
	}
	return changes
}

func (z *zoneBuilder) stateFrom(at int64) state {
	strongest := neutral
	for _, d := range z.dates {
		if d.from <= at && at < d.until {
			strongest = max(strongest, d.state)
		}
	}
	return strongest
}
