package calendar

// walker follows all tracks of a Calendar forward in time. It asks a track, and a zone, again only where its last answer ends.
type walker struct {
	cursors []cursor
	// at is where the walker is, open whether the Calendar is open there, next an instant before which it surely stays so.
	at, next int64
	open     bool
}

// walker gives a walker that stands at an instant.
func (c *Calendar) walker(at int64) *walker {
	w := &walker{cursors: make([]cursor, 0, 2*len(c.zones))}
	for i := range c.zones {
		for j := range c.zones[i].tracks {
			w.cursors = append(w.cursors, cursor{
				zone: &c.zones[i], track: &c.zones[i].tracks[j], until: always, offsetUntil: always,
			})
		}
	}
	w.move(at)
	return w
}

// cursor is one track at one instant.
type cursor struct {
	zone  *zone
	track *track
	// state is what the track says before until.
	state state
	until int64
	// offset is that of the zone before offsetUntil.
	offset, offsetUntil int64
}

// move brings the cursor to an instant, which is not before that of the last move.
func (c *cursor) move(at int64) {
	if at < c.until {
		return
	}
	if at >= c.offsetUntil {
		c.offset, c.offsetUntil = c.zone.offset(at), c.zone.offsetUntil(at)
	}
	now := c.track.around(at + c.offset)
	c.state, c.until = now.state, c.stays(now, at)
}

// stays gives an instant after at before which the track does not leave the step that contains its reading. At that instant
// it may or may not.
//
// A clock does not only go forward, so a reading is turned into an instant only where the offset is known not to change in
// between. Far from both ends of the step no offset matters: that is how dates in many years are reached in one stride.
func (c *cursor) stays(s step, at int64) int64 {
	if s.from == always || at-maxOffset >= s.from {
		if s.until == never {
			return never
		}
		if at+maxOffset < s.until {
			return s.until - maxOffset
		}
	}
	if s.until == never {
		return c.offsetUntil
	}
	return min(s.until-c.offset, c.offsetUntil)
}

// follow goes on until the Calendar opens or closes, and tells whether it did so up to the limit.
func (w *walker) follow(limit int64) bool {
	for w.at < limit {
		if w.move(min(w.next, limit)) {
			return true
		}
	}
	return false
}

// move brings all tracks to an instant, and tells whether the Calendar is open there and was not, or the other way round.
func (w *walker) move(at int64) bool {
	was := w.open
	w.at = at
	for i := range w.cursors {
		w.cursors[i].move(at)
	}
	w.open, w.next = w.judge()
	return w.open != was
}

// judge tells whether the Calendar is open, and an instant before which it surely stays so: while an exception lasts, nothing
// else matters; an open window matters until its end or an exception; and where there is neither, only what may open.
func (w *walker) judge() (bool, int64) {
	strongest, opens, closes := neutral, never, never
	ends := [closed + 1]int64{always, always, always}
	for i := range w.cursors {
		c := &w.cursors[i]
		strongest = max(strongest, c.state)
		ends[c.state] = max(ends[c.state], c.until)
		if c.track.opens {
			opens = min(opens, c.until)
		}
		if c.track.closes {
			closes = min(closes, c.until)
		}
	}
	switch strongest {
	case closed:
		return false, ends[closed]
	case open:
		return true, min(ends[open], closes)
	default:
		return false, opens
	}
}
