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
