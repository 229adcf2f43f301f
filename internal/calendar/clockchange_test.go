package calendar

import "testing"

// TestClockChanges holds the rule of the package comment against days on which clocks are changed.
func TestClockChanges(t *testing.T) {
	cases := map[string]changesCase{
		"LondonSpringPartlySkipped": {
			reason: "01:00 to 02:00 does not happen, so the window begins at 02:00", zone: "Europe/London",
			open: windows(weekly("Sun", "01:30", "02:30")), from: "2026-03-28T12:00:00Z",
			want: []string{"2026-03-29T02:00:00+01:00", "2026-03-29T02:30:00+01:00", "2026-04-05T01:30:00+01:00"},
		},
		"LondonSpringWhollySkipped": {
			reason: "a window that does not happen is left out", zone: "Europe/London",
			open: windows(weekly("Sun", "01:00", "02:00")), from: "2026-03-28T12:00:00Z",
			want: []string{"2026-04-05T01:00:00+01:00", "2026-04-05T02:00:00+01:00"},
		},
		"LondonSpringNight": {
			reason: "a night is an hour shorter", zone: "Europe/London",
			open: windows(weekly("Sat", "22:00", "06:00")), from: "2026-03-28T12:00:00Z",
			want: []string{"2026-03-28T22:00:00Z", "2026-03-29T06:00:00+01:00"},
		},
		"LondonAutumnTwice": {
			reason: "01:15 to 01:45 happens twice", zone: "Europe/London",
			open: windows(weekly("Sun", "01:15", "01:45")), from: "2026-10-24T12:00:00Z",
			want: []string{"2026-10-25T01:15:00+01:00", "2026-10-25T01:45:00+01:00",
				"2026-10-25T01:15:00Z", "2026-10-25T01:45:00Z", "2026-11-01T01:15:00Z"},
		},
		"LondonAutumnEndTwice": {
			reason: "01:00 to 01:30 happens again", zone: "Europe/London",
			open: windows(weekly("Sun", "00:30", "01:30")), from: "2026-10-24T12:00:00Z",
			want: []string{"2026-10-25T00:30:00+01:00", "2026-10-25T01:30:00+01:00",
				"2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"},
		},
		"LondonAutumnBeginTwice": {
			reason: "01:30 comes, goes and comes again", zone: "Europe/London",
			open: windows(weekly("Sun", "01:30", "02:30")), from: "2026-10-24T12:00:00Z",
			want: []string{"2026-10-25T01:30:00+01:00", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"},
		},
		"NewYorkSpringOfTheDesign": {
			reason: "02:30 to 03:30 begins at 03:00", zone: "America/New_York",
			open: windows(weekly("Sun", "02:30", "03:30")), from: "2026-03-07T12:00:00Z",
			want: []string{"2026-03-08T03:00:00-04:00", "2026-03-08T03:30:00-04:00", "2026-03-15T02:30:00-04:00"},
		},
		"NewYorkAutumnAllDay": {
			reason: "a day of 25 hours is open without a gap", zone: "America/New_York",
			open: windows(weekly("Sun", "", "")), from: "2026-10-31T12:00:00Z",
			want: []string{"2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00"},
		},
		"NewYorkAutumnExcept": {
			reason: "an exception happens twice too", zone: "America/New_York",
			open: windows(weekly("Sun", "", "")), except: windows(weekly("Sun", "01:00", "01:30")), from: "2026-11-01T04:00:00Z",
			isOpen: true,
			want: []string{"2026-11-01T01:00:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-01T01:00:00-05:00",
				"2026-11-01T01:30:00-05:00", "2026-11-02T00:00:00-05:00"},
		},
		"LordHoweSpring": {
			reason: "02:00 to 02:30 is skipped", zone: "Australia/Lord_Howe",
			open: windows(weekly("Sun", "02:15", "02:45")), from: "2026-10-03T00:00:00Z",
			want: []string{"2026-10-04T02:30:00+11:00", "2026-10-04T02:45:00+11:00", "2026-10-11T02:15:00+11:00"},
		},
		"LordHoweAutumn": {
			reason: "01:30 to 02:00 happens twice", zone: "Australia/Lord_Howe",
			open: windows(weekly("Sun", "01:45", "02:15")), from: "2026-04-04T00:00:00Z",
			want: []string{"2026-04-05T01:45:00+11:00", "2026-04-05T01:30:00+10:30", "2026-04-05T01:45:00+10:30",
				"2026-04-05T02:15:00+10:30", "2026-04-12T01:45:00+10:30"},
		},
		"KolkataHasNoSummerTime": {
			reason: "half an hour off, all year", zone: "Asia/Kolkata",
			open: windows(weekly("Sun", "02:00", "03:00")), from: "2026-03-28T12:00:00Z",
			want: []string{"2026-03-29T02:00:00+05:30", "2026-03-29T03:00:00+05:30", "2026-04-05T02:00:00+05:30"},
		},
		"ApiaSkippedFridayDate": {
			reason: "30 December 2011 did not happen", zone: "Pacific/Apia",
			open: windows(dates("2011-12-30", "2011-12-30")), from: "2011-12-01T00:00:00Z", want: []string{"never"},
		},
		"ApiaSkippedFridayRange": {
			reason: "Thursday is followed by Saturday", zone: "Pacific/Apia",
			open: windows(dates("2011-12-29", "2011-12-31")), from: "2011-12-01T00:00:00Z",
			want: []string{"2011-12-29T00:00:00-10:00", "2012-01-01T00:00:00+14:00", "never"},
		},
		"ApiaSkippedFridayNight": {
			reason: "the morning that belongs to the Friday night happened on Saturday", zone: "Pacific/Apia",
			open: windows(weekly("Fri", "22:00", "06:00")), from: "2011-12-29T12:00:00-10:00",
			want: []string{"2011-12-31T00:00:00+14:00", "2011-12-31T06:00:00+14:00", "2012-01-06T22:00:00+14:00"},
		},
		"CaracasChangedItsOffset": {
			reason: "02:30 became 03:00 on 2016-05-01", zone: "America/Caracas",
			open: windows(weekly("Sun", "02:00", "02:45")), from: "2016-04-30T12:00:00Z",
			want: []string{"2016-05-01T02:00:00-04:30", "2016-05-01T03:00:00-04:00", "2016-05-08T02:00:00-04:00"},
		},
		"BeirutSpringAtMidnight": {
			reason: "the day begins at 01:00", zone: "Asia/Beirut",
			open: windows(dates("2022-03-27", "2022-03-27")), from: "2022-03-01T00:00:00Z",
			want: []string{"2022-03-27T01:00:00+03:00", "2022-03-28T00:00:00+03:00", "never"},
		},
		"StJohnsAutumnOverMidnight": {
			reason: "at 00:01 the clock went back to 23:01 of the day before", zone: "America/St_Johns",
			open: windows(dates("2006-10-29", "2006-10-29")), from: "2006-10-01T00:00:00Z",
			want: []string{"2006-10-29T00:00:00-02:30", "2006-10-28T23:01:00-03:30", "2006-10-29T00:00:00-03:30",
				"2006-10-30T00:00:00-03:30", "never"},
		},
		"StJohnsBackIntoTheLastDay": {
			reason: "the last day of a calendar was over for a minute", zone: "America/St_Johns",
			open: windows(dates("2006-10-28", "2006-10-28")), from: "2006-10-01T00:00:00Z",
			want: []string{"2006-10-28T00:00:00-02:30", "2006-10-29T00:00:00-02:30", "2006-10-28T23:01:00-03:30",
				"2006-10-29T00:00:00-03:30", "never"},
		},
		"LastDayOfALeapYear": {
			reason: "Go gives bounds of the zone that are over on that day", zone: "Europe/London",
			open: windows(weekly("Mon", "09:00", "10:00"), dates("2040-12-31", "2041-01-01")), from: "2040-12-30T12:00:00Z",
			want: []string{"2040-12-31T00:00:00Z", "2041-01-02T00:00:00Z", "2041-01-07T09:00:00Z"},
		},
		"MonroviaOffsetInSeconds": {
			reason: "boundaries are whole minutes of the wall clock, not of UTC", zone: "Africa/Monrovia",
			open: windows(dates("1960-01-01", "1960-01-01")), from: "1959-12-01T00:00:00Z",
			want: []string{"1960-01-01T00:00:00-00:44", "1960-01-02T00:00:00-00:44", "never"},
		},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}
