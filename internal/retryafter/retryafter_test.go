package retryafter

import (
	"testing"
	"time"
)

func TestPause(t *testing.T) {
	now, longest := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), 15*time.Minute+time.Second/2
	for name, tc := range map[string]struct {
		reason, header string
		want           time.Duration
	}{
		"Seconds":  {"a number", "7", 7 * time.Second},
		"Blanks":   {"what is around it does not count", " 7\t", 7 * time.Second},
		"Zero":     {"at once", "0", 0},
		"Date":     {"a date counts from now", "Mon, 23 Nov 2026 12:01:30 GMT", 90 * time.Second},
		"OldDate":  {"also in an old form", "Monday, 23-Nov-26 12:00:09 GMT", 9 * time.Second},
		"Past":     {"what is over is no pause", "Mon, 23 Nov 2026 11:00:00 GMT", 0},
		"Minus":    {"nor is less than nothing", "-7", 0},
		"Plus":     {"a sign is no number of seconds", "+7", 0},
		"Part":     {"nor is a part of one", "7.5", 0},
		"Long":     {"nobody is left alone for ever", "3600", longest},
		"Overflow": {"however many nanoseconds that would be", "9223372036854775807", longest},
		"Unsigned": {"or seconds", "18446744073709551615", longest},
		"Huge":     {"or digits", "99999999999999999999999999", longest},
		"FarDate":  {"not until some date either", "Fri, 31 Dec 9999 23:59:59 GMT", longest},
		"OldYear":  {"nor since one", "Mon, 01 Jan 0001 00:00:00 GMT", 0},
		"Nothing":  {"what says nothing asks for nothing", "", 0},
		"Words":    {"nor does what nobody can read", "later", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Pause(tc.header, now, longest); got != tc.want {
				t.Errorf("%s: %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

func FuzzPause(f *testing.F) {
	for _, header := range []string{"7", "-7", "Mon, 23 Nov 2026 12:01:30 GMT", "99999999999999999999"} {
		f.Add(header, int64(time.Minute))
	}
	f.Fuzz(func(t *testing.T, header string, longest int64) {
		longest = max(longest, 0)
		if got := Pause(header, time.Unix(0, 0), time.Duration(longest)); got < 0 || got > time.Duration(longest) {
			t.Errorf("%q: %s", header, got)
		}
	})
}
