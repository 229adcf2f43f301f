package schema

import "testing"

func TestCalendar(t *testing.T) { run(t, "calendar", calendarCases()) }

func calendarCases() map[string]schemaCase {
	return map[string]schemaCase{
		"Full":         {reason: "every property together is a good Calendar"},
		"WholeDays":    {reason: "a window without times is the whole day", change: "spec: {windows: [{weekly: {days: [Sat, Sun]}}], except: null}"},
		"OverMidnight": {reason: "a window may end on the next day", change: "spec: {windows: [{weekly: {days: [Fri], from: '22:00', to: '06:00'}}]}"},
		"NoWindows":    {reason: "a Calendar that is never open is a mistake", change: "spec: {windows: []}", want: "spec.windows: Invalid value"},
		"Neither":      {reason: "a window needs a time", change: "spec: {windows: [{}]}", want: "exactly one of the fields in [weekly dates] must be set"},
		"OnlyZone":     {reason: "a zone is no time", change: "spec: {windows: [{timeZone: UTC}]}", want: "exactly one of the fields in [weekly dates] must be set"},
		"Both": {
			reason: "two times in one window would have to be joined somehow",
			change: "spec: {except: [{weekly: {days: [Mon]}, dates: {from: '2026-12-24', through: '2026-12-24'}}]}",
			want:   "exactly one of the fields in [weekly dates] must be set",
		},
		"NoDays":       {reason: "a week without days never comes", change: "spec: {windows: [{weekly: {days: []}}]}", want: "spec.windows[0].weekly.days: Invalid value"},
		"BadDay":       {reason: "days have one spelling", change: "spec: {windows: [{weekly: {days: [Monday]}}]}", want: `Unsupported value: "Monday": supported values: "Mon"`},
		"DayTwice":     {reason: "one day, one entry", change: "spec: {windows: [{weekly: {days: [Mon, Mon]}}]}", want: "spec.windows[0].weekly.days[1]: Duplicate value"},
		"Midnight":     {reason: "a day ends at 24:00", change: "spec: {windows: [{weekly: {days: [Mon], from: '00:00', to: '24:00'}}]}"},
		"From24":       {reason: "no day begins at 24:00", change: "spec: {windows: [{weekly: {days: [Mon], from: '24:00'}}]}", want: "spec.windows[0].weekly.from: Invalid value"},
		"To2401":       {reason: "24:00 is the last time of a day", change: "spec: {windows: [{weekly: {days: [Mon], to: '24:01'}}]}", want: "spec.windows[0].weekly.to: Invalid value"},
		"ShortHour":    {reason: "hours have two digits", change: "spec: {windows: [{weekly: {days: [Mon], from: '9:00'}}]}", want: "spec.windows[0].weekly.from: Invalid value"},
		"OneDay":       {reason: "the last day is included", change: "spec: {windows: [{dates: {from: '2026-12-24', through: '2026-12-24'}}]}"},
		"LeapDay":      {reason: "2028 has a 29 February", change: "spec: {windows: [{dates: {from: '2028-02-29', through: '2028-02-29'}}]}"},
		"NoLeapDay":    {reason: "2026 has none", change: "spec: {windows: [{dates: {from: '2026-02-29', through: '2026-03-01'}}]}", want: "spec.windows[0].dates.from: Invalid value"},
		"Feb30":        {reason: "no year has a 30 February", change: "spec: {windows: [{dates: {from: '2026-02-01', through: '2026-02-30'}}]}", want: "spec.windows[0].dates.through: Invalid value"},
		"Backwards":    {reason: "time runs forward", change: "spec: {except: [{dates: {from: '2027-01-01', through: '2026-12-31'}}]}", want: "through is before from"},
		"NoThrough":    {reason: "a range has two ends", change: "spec: {windows: [{dates: {from: '2026-12-24', through: null}}]}", want: "spec.windows[0].dates.through: Required value"},
		"Local":        {reason: "the zone of the process is not in the object", change: "spec: {timeZone: Local}", want: "Local is not a place"},
		"LocalInside":  {reason: "the zone of the process is not in the object", change: "spec: {windows: [{timeZone: Local, weekly: {days: [Mon]}}]}", want: "Local is not a place"},
		"Path":         {reason: "a zone is no path", change: "spec: {timeZone: ../etc/passwd}", want: "spec.timeZone: Invalid value"},
		"NoZone":       {reason: "a time without a zone is no time", change: "spec: {timeZone: null}", want: "spec.timeZone: Required value"},
		"ThreePartsUp": {reason: "some zones have three parts", change: "spec: {timeZone: America/Indiana/Knox_IN}"},
		"NoSpec":       {reason: "a Calendar without spec says nothing", change: "spec: null", want: "spec: Required value"},
	}
}
