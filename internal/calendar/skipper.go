package calendar

// skipper finds out how long all tracks together leave a Calendar as it is.
type skipper struct {
	strongest state
	// ends is, per state, until when at least one of the tracks that have it now keeps it.
	ends [closed + 1]int64
	// opens and closes are the first instants at which a track that ever opens, or ever closes, may change.
	opens, closes int64
	filled        bool
}

// add takes a track into account that keeps its state until an instant.
func (s *skipper) add(t *track, now state, until int64) {
	if !s.filled {
		s.opens, s.closes, s.filled = never, never, true
		s.ends = [closed + 1]int64{always, always, always}
	}
	s.strongest = max(s.strongest, now)
	s.ends[now] = max(s.ends[now], until)
	if t.opens {
		s.opens = min(s.opens, until)
	}
	if t.closes {
		s.closes = min(s.closes, until)
	}
}

// result is the first instant at which something may change. While an exception lasts, nothing else matters; an open window
// matters until its end or an exception; and where there is neither, only what may open.
func (s *skipper) result() int64 {
	if !s.filled {
		return never
	}
	switch s.strongest {
	case closed:
		return s.ends[closed]
	case open:
		return min(s.ends[open], s.closes)
	case neutral:
		return s.opens
	}
	return never
}
