package calendar

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// changesCase asks for the changes that follow an instant. "never" ends the list where there are no more.
type changesCase struct {
	reason string
	zone   string
	open   []v1alpha1.Window
	except []v1alpha1.Window
	from   string
	isOpen bool
	want   []string
}

func (tc changesCase) run(t *testing.T) {
	spec := &v1alpha1.CalendarSpec{TimeZone: tc.zone, Windows: tc.open, Except: tc.except}
	c := mustCompile(t, spec)
	at, isOpen := mustTime(t, tc.from), tc.isOpen
	for i, want := range tc.want {
		checkInstant(t, c, at, isOpen)
		next, ok := c.NextChange(at)
		if got := show(next, ok); got != want {
			t.Fatalf("%s: change %d after %s: got %s, want %s", tc.reason, i, at.In(c.Location()), got, want)
		}
		if !ok {
			return
		}
		checkInstant(t, c, next.Add(-time.Nanosecond), isOpen)
		at, isOpen = next, !isOpen
	}
	checkInstant(t, c, at, isOpen)
}

func show(at time.Time, ok bool) string {
	if !ok {
		return "never"
	}
	return at.Format(time.RFC3339)
}

// checkInstant checks Contains, and that Ends and Next agree with NextChange.
func checkInstant(t *testing.T, c *Calendar, at time.Time, isOpen bool) {
	t.Helper()
	if got := c.Contains(at); got != isOpen {
		t.Fatalf("Contains(%s): got %v, want %v", at.In(c.Location()), got, isOpen)
	}
	change, changes := c.NextChange(at)
	ends, ok := c.Ends(at)
	if want := show(change, changes && isOpen); show(ends, ok) != want {
		t.Fatalf("Ends(%s): got %s, want %s", at, show(ends, ok), want)
	}
	if isOpen && changes {
		change, changes = c.NextChange(change)
	}
	next, ok := c.Next(at)
	if want := show(change, changes); show(next, ok) != want {
		t.Fatalf("Next(%s): got %s, want %s", at, show(next, ok), want)
	}
}

func TestChanges(t *testing.T) {
	weekdays := "Mon Tue Wed Thu Fri"
	cases := map[string]changesCase{
		"BusinessHours": {
			reason: "a weekend is jumped over", zone: "Europe/London", open: windows(weekly(weekdays, "09:00", "17:30")),
			from: "2026-11-20T12:00:00Z", isOpen: true,
			want: []string{"2026-11-20T17:30:00Z", "2026-11-23T09:00:00Z", "2026-11-23T17:30:00Z", "2026-11-24T09:00:00Z"},
		},
		"AtTheVeryBeginning": {
			reason: "a window contains its beginning", zone: "UTC", open: windows(weekly("Mon", "09:00", "10:00")),
			from: "2026-11-23T09:00:00Z", isOpen: true, want: []string{"2026-11-23T10:00:00Z", "2026-11-30T09:00:00Z"},
		},
		"OverMidnight": {
			reason: "days are those on which a window begins", zone: "Asia/Kolkata", open: windows(weekly("Sun", "22:00", "06:00")),
			from: "2026-11-22T00:30:00+05:30",
			want: []string{"2026-11-22T22:00:00+05:30", "2026-11-23T06:00:00+05:30", "2026-11-29T22:00:00+05:30"},
		},
		"UntilMidnight": {
			reason: "to 00:00 is the end of the day", zone: "UTC", open: windows(weekly("Fri", "22:00", "00:00")),
			from: "2026-11-20T21:00:00Z", want: []string{"2026-11-20T22:00:00Z", "2026-11-21T00:00:00Z", "2026-11-27T22:00:00Z"},
		},
		"WholeDaysTouch": {
			reason: "days that touch are one span", zone: "Europe/London", open: windows(weekly("Sat Sun", "", "")),
			from: "2026-11-20T12:00:00Z", want: []string{"2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-28T00:00:00Z"},
		},
		"AlwaysOpen": {
			reason: "a calendar that is always open never changes", zone: "Europe/London", open: windows(weekly(everyDay, "", "")),
			from: "2026-11-20T12:00:00Z", isOpen: true, want: []string{"never"},
		},
		"ExceptEverything": {
			reason: "what is excepted never opens", zone: "Europe/London", open: windows(weekly(weekdays, "09:00", "17:00")),
			except: windows(weekly(everyDay, "", "")), from: "2026-11-20T12:00:00Z", want: []string{"never"},
		},
		"ExceptEverythingInAnotherZone": {
			reason: "covered twice a year by another zone as well", zone: "Europe/London",
			open:   windows(weekly(weekdays, "09:00", "17:00")),
			except: windows(in("America/New_York", weekly(weekdays, "01:00", "16:00"))),
			from:   "2026-11-20T12:00:00Z", want: []string{"never"},
		},
		"OpenOnlyWhileZonesDisagree": {
			reason: "the weeks in March in which only New York has summer time", zone: "Europe/London",
			open:   windows(weekly("Sun", "13:00", "14:00")),
			except: windows(in("America/New_York", weekly("Sun", "08:00", "09:00"))),
			from:   "2026-11-20T12:00:00Z",
			want: []string{"2027-03-14T13:00:00Z", "2027-03-14T14:00:00Z", "2027-03-21T13:00:00Z", "2027-03-21T14:00:00Z",
				"2027-10-31T13:00:00Z"},
		},
		"Holidays": {
			reason: "an exception closes and opens again in the middle of nothing", zone: "Europe/London",
			open: windows(weekly(weekdays, "09:00", "17:00")), except: windows(dates("2026-12-24", "2026-12-27")),
			from: "2026-12-23T12:00:00Z", isOpen: true, want: []string{"2026-12-23T17:00:00Z", "2026-12-28T09:00:00Z"},
		},
		"HolidayCutsANight": {
			reason: "an exception begins inside a window that lasts over midnight", zone: "Europe/London",
			open: windows(weekly(everyDay, "20:00", "04:00")), except: windows(dates("2026-12-24", "2026-12-24")),
			from: "2026-12-23T12:00:00Z",
			want: []string{"2026-12-23T20:00:00Z", "2026-12-24T00:00:00Z", "2026-12-25T00:00:00Z", "2026-12-25T04:00:00Z"},
		},
		"YearsAway": {
			reason: "dates far away are reached in one stride, past exceptions every week", zone: "America/New_York",
			open: windows(dates("2999-02-28", "2999-03-01")), except: windows(weekly(weekdays, "09:00", "17:00")),
			from: "2026-11-20T12:00:00Z",
			want: []string{"2999-02-28T00:00:00-05:00", "2999-02-28T09:00:00-05:00", "2999-02-28T17:00:00-05:00",
				"2999-03-01T09:00:00-05:00", "2999-03-01T17:00:00-05:00", "2999-03-02T00:00:00-05:00", "never"},
		},
		"FreezeFarAway": {
			reason: "an exception far away ends what is otherwise always open", zone: "UTC",
			open: windows(weekly(everyDay, "", "")), except: windows(dates("9999-12-31", "9999-12-31")),
			from: "2026-11-20T12:00:00Z", isOpen: true, want: []string{"9999-12-31T00:00:00Z", "10000-01-01T00:00:00Z", "never"},
		},
		"PastDates": {
			reason: "what is over does not come back", zone: "UTC", open: windows(dates("2020-01-01", "2020-12-31")),
			from: "2026-11-20T12:00:00Z", want: []string{"never"},
		},
		"DatesTouch": {
			reason: "ranges that touch or overlap are one span", zone: "UTC",
			open: windows(dates("2026-12-01", "2026-12-10"), dates("2026-12-11", "2026-12-12"), dates("2026-12-05", "2026-12-13")),
			from: "2026-11-20T12:00:00Z", want: []string{"2026-12-01T00:00:00Z", "2026-12-14T00:00:00Z", "never"},
		},
		"LeapDay": {
			reason: "29 February is a day", zone: "Asia/Kolkata", open: windows(dates("2028-02-29", "2028-02-29")),
			from: "2026-11-20T12:00:00Z", want: []string{"2028-02-29T00:00:00+05:30", "2028-03-01T00:00:00+05:30", "never"},
		},
		"AWindowInAnotherZone": {
			reason: "a day in Kolkata begins before one in London, and times are shown in London", zone: "Europe/London",
			open: windows(in("Asia/Kolkata", dates("2026-12-01", "2026-12-01"))),
			from: "2026-11-20T12:00:00Z", want: []string{"2026-11-30T18:30:00Z", "2026-12-01T18:30:00Z", "never"},
		},
		"BeforeEverything": {
			reason: "the year 1 is no problem", zone: "Europe/London", open: windows(dates("2026-12-01", "2026-12-01")),
			from: "0001-01-01T00:00:00Z", want: []string{"2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z", "never"},
		},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}

func TestLocation(t *testing.T) {
	c := mustCompile(t, &v1alpha1.CalendarSpec{TimeZone: "Europe/London", Windows: windows(in("Asia/Kolkata", weekly("Mon", "", "")))})
	if diff := cmp.Diff("Europe/London", c.Location().String()); diff != "" {
		t.Errorf("the zone is the Calendar's own (-want +got):\n%s", diff)
	}
}

func TestBeyondAllTime(t *testing.T) {
	c := mustCompile(t, &v1alpha1.CalendarSpec{TimeZone: "Europe/London", Windows: windows(weekly("Mon", "09:00", "10:00"))})
	for _, seconds := range []int64{-1 << 63, -1 << 50, 1 << 50, 1<<63 - 1} {
		if next, ok := c.NextChange(time.Unix(seconds, 0)); ok {
			t.Errorf("NextChange(%d): got %s, want never", seconds, next)
		}
	}
}
