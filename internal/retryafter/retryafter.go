// Package retryafter reads the header Retry-After, in one way for everything that calls hosts.
package retryafter

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Pause is for how long a host wants to be left alone from now on: it says so in seconds, or until when. It is at most the longest that the caller would
// wait. Zero: it does not say, or that time is over.
func Pause(header string, now time.Time, longest time.Duration) time.Duration {
	header = strings.TrimSpace(header)
	seconds, err := strconv.ParseUint(header, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return longest
	case err == nil:
		// Bounded first: as nanoseconds, more would overflow.
		return min(time.Duration(min(seconds, uint64(longest/time.Second)+1))*time.Second, longest) //nolint:gosec // it is at most a second longer than longest
	}
	if until, err := http.ParseTime(header); err == nil {
		return min(max(until.Sub(now), 0), longest)
	}
	return 0
}
