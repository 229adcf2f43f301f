package calendar

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func TestCompileRefuses(t *testing.T) {
	good := windows(weekly("Mon", "09:00", "17:00"))
	manyZones := &v1alpha1.CalendarSpec{TimeZone: "UTC", Windows: good}
	for _, name := range append([]string{"Asia/Tokyo"}, propertyZones...) {
		manyZones.Windows = append(manyZones.Windows, in(name, weekly("Mon", "", "")))
	}
	both := weekly("Mon", "", "")
	both.Dates = &v1alpha1.DatesWindow{From: "2026-01-01", Through: "2026-01-01"}
	cases := map[string]struct {
		reason string
		spec   *v1alpha1.CalendarSpec
		want   []string
	}{
		"Nothing": {
			reason: "no spec at all", spec: nil,
			want: []string{"spec: Required value: says when the Calendar is open"},
		},
		"Empty": {
			reason: "every error is reported", spec: &v1alpha1.CalendarSpec{},
			want: []string{
				`spec.timeZone: Required value: an IANA time zone such as "Europe/London" or "UTC" is needed`,
				"spec.windows: Required value: at least one window is needed",
			},
		},
		"UnknownZones": {
			reason: "the Calendar's and a window's", spec: &v1alpha1.CalendarSpec{
				TimeZone: "Europe/Londn", Windows: windows(in("CET+1", weekly("Mon", "", ""))),
			},
			want: []string{
				`spec.timeZone: Invalid value: "Europe/Londn": not a known time zone: an IANA name such as "Europe/London" or "UTC" is accepted`,
				`spec.windows[0].timeZone: Invalid value: "CET+1": not a known time zone: an IANA name such as "Europe/London" or "UTC" is accepted`,
			},
		},
		"MachineZone": {
			reason: "a zone must not depend on the machine", spec: &v1alpha1.CalendarSpec{TimeZone: "Local", Windows: good},
			want: []string{
				`spec.timeZone: Invalid value: "Local": not a known time zone: an IANA name such as "Europe/London" or "UTC" is accepted`,
			},
		},
		"ImpossibleDates": {
			reason: "30 February is not a day, nor is 29 in most years",
			spec: &v1alpha1.CalendarSpec{TimeZone: "UTC", Windows: windows(dates("2026-02-29", "2026-02-30")),
				Except: windows(dates("1 May", ""))},
			want: []string{
				`spec.windows[0].dates.from: Invalid value: "2026-02-29": there is no such day`,
				`spec.windows[0].dates.through: Invalid value: "2026-02-30": there is no such day`,
				`spec.except[0].dates.from: Invalid value: "1 May": a day "YYYY-MM-DD" is accepted, such as "2026-12-24"`,
				`spec.except[0].dates.through: Required value: a day "YYYY-MM-DD" is needed`,
			},
		},
		"BackwardDates": {
			reason: "a range goes forward",
			spec:   &v1alpha1.CalendarSpec{TimeZone: "UTC", Windows: windows(dates("2026-05-02", "2026-05-01"))},
			want: []string{
				`spec.windows[0].dates.through: Invalid value: "2026-05-01": before from: the same day or a later one is accepted`,
			},
		},
		"SameTimes": {
			reason: "from and to alike mean nothing clear, written or by default",
			spec: &v1alpha1.CalendarSpec{TimeZone: "UTC", Windows: windows(weekly("Mon", "09:00", "09:00")),
				Except: windows(weekly("Mon", "", "00:00"))},
			want: []string{
				`spec.windows[0].weekly.to: Invalid value: "09:00": the same as from, which could mean no time or a whole day: use from "00:00" and to "24:00" for whole days`,
				`spec.except[0].weekly.to: Invalid value: "00:00": the same as from, which could mean no time or a whole day: use from "00:00" and to "24:00" for whole days`,
			},
		},
		"BadTimes": {
			reason: "times of day have five characters and exist",
			spec:   &v1alpha1.CalendarSpec{TimeZone: "UTC", Windows: windows(weekly("Mon", "9:00", "24:01"), weekly("Mon", "24:00", ""))},
			want: []string{
				`spec.windows[0].weekly.from: Invalid value: "9:00": a local time "HH:MM" is accepted, such as "09:00"`,
				`spec.windows[0].weekly.to: Invalid value: "24:01": a local time "HH:MM" is accepted, such as "09:00"`,
				`spec.windows[1].weekly.from: Invalid value: "24:00": a window begins at "23:59" at the latest: use "00:00" and the next day`,
			},
		},
		"BadDays": {
			reason: "days have one spelling",
			spec:   &v1alpha1.CalendarSpec{TimeZone: "UTC", Windows: windows(weekly("Mon monday", "", ""), weekly("", "", ""))},
			want: []string{
				`spec.windows[0].weekly.days[1]: Unsupported value: "monday": supported values: "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"`,
				"spec.windows[1].weekly.days: Required value: at least one day is needed",
			},
		},
		"UnknownUnionMember": {
			reason: "neither and both are refused", spec: &v1alpha1.CalendarSpec{TimeZone: "UTC", Windows: windows(v1alpha1.Window{}, both)},
			want: []string{
				"spec.windows[0]: Required value: one of weekly and dates is needed",
				"spec.windows[1].dates: Forbidden: exactly one of weekly and dates is accepted: use two windows",
			},
		},
		"TooManyZones": {
			reason: "the cost of an answer is bounded", spec: manyZones,
			want: []string{"spec.windows: Forbidden: the windows and exceptions use 17 time zones: at most 16 are accepted"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c, errs := Compile(tc.spec, field.NewPath("spec"))
			var got []string
			for _, err := range errs {
				got = append(got, err.Error())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if c != nil {
				t.Errorf("%s: a Calendar was given in spite of errors", tc.reason)
			}
		})
	}
}

// FuzzCompile shows that nothing a person writes makes Compile panic, and that what it accepts behaves as the oracle says.
func FuzzCompile(f *testing.F) {
	f.Add("Europe/London", "America/New_York", "Mon", "09:00", "17:30", "2026-12-24", "2026-12-27", int64(1774746000))
	f.Add("UTC", "", "Sun", "22:00", "06:00", "2028-02-29", "9999-12-31", int64(0))
	f.Add("Local", "../etc/passwd", "Sunday", "24:00", "00:00", "2026-02-30", "0000-00-00", int64(-1<<63))
	f.Fuzz(func(t *testing.T, zone, other, days, from, to, first, last string, seconds int64) {
		spec := &v1alpha1.CalendarSpec{
			TimeZone: zone, Windows: windows(weekly(days, from, to), in(other, dates(first, last))),
			Except: windows(in(other, weekly(days, to, from))),
		}
		c, errs := Compile(spec, field.NewPath("spec"))
		if (c == nil) == (len(errs) == 0) {
			t.Fatalf("exactly one of a Calendar and errors is wanted, got %v and %v", c, errs)
		}
		if c == nil {
			return
		}
		at := time.Unix(seconds%(1<<38), 0)
		if got, want := c.Contains(at), oracleOpen(spec, at); got != want && at.Year() > 0 && at.Year() < 10000 {
			t.Fatalf("Contains(%s): got %v, want %v", at, got, want)
		}
		if next, ok := c.NextChange(at); ok && (!next.After(at) || c.Contains(next) == c.Contains(at)) {
			t.Fatalf("NextChange(%s) is %s, where nothing changes", at, next)
		}
	})
}

func BenchmarkBusinessHours(b *testing.B) {
	c, errs := Compile(&v1alpha1.CalendarSpec{
		TimeZone: "Europe/London", Windows: windows(weekly("Mon Tue Wed Thu Fri", "09:00", "17:30")),
		Except: windows(dates("2026-12-24", "2026-12-27")),
	}, nil)
	if len(errs) > 0 {
		b.Fatal(errs.ToAggregate())
	}
	at := time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)
	b.Run("Contains", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Contains(at)
		}
	})
	b.Run("NextChange", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.NextChange(at)
		}
	})
}
