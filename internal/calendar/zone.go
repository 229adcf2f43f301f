package calendar

import "time"

// maxOffset is more than any clock differs from UTC.
const maxOffset = int64(26 * time.Hour / time.Second)

// zone holds the tracks of one time zone.
type zone struct {
	location *time.Location
	tracks   []track
}

// offset is how many seconds the clock of the zone is ahead of UTC at an instant.
func (z *zone) offset(at int64) int64 {
	_, offset := time.Unix(at, 0).In(z.location).Zone()
	return int64(offset)
}

// state is what the zone says at an instant.
func (z *zone) state(at int64) state {
	reading := at + z.offset(at)
	strongest := neutral
	for i := range z.tracks {
		strongest = max(strongest, z.tracks[i].around(reading).state)
	}
	return strongest
}

// until gives an instant after at before which a track does not leave the step that contains its reading. At that instant it
// may or may not.
//
// A clock does not only go forward, so a reading is turned into an instant only where the offset is known not to change in
// between. Far from both ends of the step no offset matters: that is how dates in many years are reached in one stride.
func (z *zone) until(s step, at int64) int64 {
	if s.until == never && (s.from == always || at-maxOffset >= s.from) {
		return never
	}
	if (s.from == always || at-maxOffset >= s.from) && at+maxOffset < s.until {
		return s.until - maxOffset
	}
	next := never
	if s.until != never {
		next = s.until - z.offset(at)
	}
	return min(next, z.offsetUntil(at))
}

// offsetUntil gives an instant after at before which the offset does not change.
func (z *zone) offsetUntil(at int64) int64 {
	_, end := time.Unix(at, 0).In(z.location).ZoneBounds()
	if end.IsZero() {
		return never
	}
	if end.Unix() > at {
		return end.Unix()
	}
	// Go counts 365 days in every year when it follows the rule of a zone, so on 31 December of a leap year the end that it
	// gives is already over. What begins on the next day is right.
	begin, _ := time.Unix(at+day, 0).In(z.location).ZoneBounds()
	return max(begin.Unix(), at+1)
}
