package expression

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTrace(t *testing.T) {
	minute := time.Date(2026, 11, 23, 12, 1, 0, 0, time.UTC)
	never := time.Time{}
	cases := map[string]struct {
		reason string
		source string
		want   bool
		change time.Time
	}{
		"NoTime":        {"an answer without time never changes", "inputs.force", true, never},
		"Calendar":      {"a calendar knows when its answer changes", "calendar('open').contains(now)", true, calendars["open"].to},
		"Soon":          {"also when it is closed", "calendar('soon').contains(now)", false, calendars["soon"].from},
		"Past":          {"a calendar that never changes again", "calendar('past').contains(now)", false, never},
		"Ends":          {"the end changes with the calendar", "calendar('open').ends(now) > timestamp('2026-01-01T00:00:00Z')", true, calendars["open"].to},
		"Next":          {"and so does the next opening", "calendar('soon').next(now) > timestamp('2026-01-01T00:00:00Z')", true, calendars["soon"].from},
		"Earliest":      {"the earliest counts", "calendar('open').contains(now) && calendar('soon').contains(now)", false, calendars["soon"].from},
		"NotReached":    {"a calendar that was not asked does not count", "inputs.force || calendar('soon').contains(now)", true, never},
		"BareNow":       {"now outside of calendars and of comparisons is cut to the minute, and looked at again with the next", "now == timestamp('2026-11-23T12:00:00Z')", true, minute},
		"ExactNow":      {"inside of a calendar it is exact: this one opened 10 s ago, after the full minute", "calendar('second').contains(now)", true, calendars["second"].to},
		"Shifted":       {"a time computed from now is cut, too", "calendar('second').contains(now + duration('0s'))", false, minute},
		"OtherTime":     {"a time that is not now does not change the answer", "calendar('open').contains(request.createdAt)", true, never},
		"NowNotReached": {"now that was not read does not count", "inputs.force || now > request.createdAt", true, never},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := newCompiler(t, ActionRule).Bool(tc.source)
			if err != nil {
				t.Fatal(err)
			}
			vars := exampleVars()
			got, err := p.EvalBool(context.Background(), vars, nil)
			if err != nil || got != tc.want {
				t.Errorf("%s: got %v, %v, want %v", tc.reason, got, err, tc.want)
			}
			if !vars.Trace.NextChange.Equal(tc.change) {
				t.Errorf("%s: next change is %v, want %v", tc.reason, vars.Trace.NextChange, tc.change)
			}
		})
	}
}

// TestMoments: a comparison of now with what does not depend on the time changes at one instant, which is known.
func TestMoments(t *testing.T) {
	at := func(text string) time.Time {
		out, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	never, minute := time.Time{}, at("2026-11-23T12:01:00Z")
	type want struct {
		Answer, Guessed bool
		Change          time.Time
	}
	for name, tc := range map[string]struct {
		reason, source string
		want           want
	}{
		"Before":        {"it is before until the instant", "now < timestamp('2026-12-27T00:00:05Z')", want{true, false, at("2026-12-27T00:00:05Z")}},
		"At":            {"at most the instant is also the instant itself", "now <= timestamp('2026-12-27T00:00:00Z')", want{true, false, at("2026-12-27T00:00:00.000000001Z")}},
		"Since":         {"it will be at least the instant from then on", "now >= timestamp('2026-12-27T00:00:00Z')", want{false, false, at("2026-12-27T00:00:00Z")}},
		"After":         {"more than the instant comes after it", "now > timestamp('2026-12-27T00:00:00Z')", want{false, false, at("2026-12-27T00:00:00.000000001Z")}},
		"Over":          {"what is over never changes again", "now < timestamp('2026-11-23T12:00:20Z')", want{false, false, never}},
		"Seconds":       {"the time is not cut to minutes", "now >= timestamp('2026-11-23T12:00:20Z')", want{true, false, never}},
		"Mirrored":      {"the other way round it is the same", "timestamp('2026-12-27T00:00:00Z') > now", want{true, false, at("2026-12-27T00:00:00Z")}},
		"Exactly":       {"now itself is not before now", "now < timestamp('2026-11-23T12:00:30Z')", want{false, false, never}},
		"Minus":         {"an hour before now is before it until an hour later", "now - duration('1h') < timestamp('2026-11-23T12:00:00Z')", want{true, false, at("2026-11-23T13:00:00Z")}},
		"Plus":          {"an hour after now reaches it an hour earlier", "now + duration('1h') >= timestamp('2026-11-23T14:00:00Z')", want{false, false, at("2026-11-23T13:00:00Z")}},
		"PlusNow":       {"sums have two sides", "duration('1h') + now >= timestamp('2026-11-23T14:00:00Z')", want{false, false, at("2026-11-23T13:00:00Z")}},
		"Age":           {"an age reaches a duration at one instant", "now - request.createdAt > duration('1h')", want{false, false, at("2026-11-23T12:59:30.000000001Z")}},
		"Left":          {"so does what is left", "timestamp('2026-11-23T14:00:00Z') - now <= duration('1h')", want{false, false, at("2026-11-23T13:00:00Z")}},
		"LeftMirrored":  {"written the other way round, too", "duration('1h') >= timestamp('2026-11-23T14:00:00Z') - now", want{false, false, at("2026-11-23T13:00:00Z")}},
		"Distant":       {"instants at the end of all times do not overflow", "now - duration('1h') < timestamp('9999-12-31T23:59:59Z')", want{true, false, at("9999-12-31T23:59:59Z").Add(time.Hour)}},
		"Both":          {"the earlier of two instants counts", "now < timestamp('2026-12-27T00:00:00Z') && now < timestamp('2026-12-25T00:00:00Z')", want{true, false, at("2026-12-25T00:00:00Z")}},
		"Input":         {"an input does not depend on the time", "now < timestamp(inputs.force ? '2026-12-27T00:00:00Z' : '2026-12-25T00:00:00Z')", want{true, false, at("2026-12-27T00:00:00Z")}},
		"EndOfCalendar": {"the end of a calendar is known, and when that changes", "now < calendar('open').ends(now)", want{true, false, calendars["open"].to}},
		"Hours":         {"of parts of the time nobody can tell", "now.getHours() >= 17", want{false, true, minute}},
		"Itself":        {"nor of now compared with itself", "now < now + duration('1h')", want{true, true, minute}},
		"Equal":         {"whole minutes can be equal", "now == timestamp('2026-11-23T12:00:00Z')", want{true, true, minute}},
		"Mixed":         {"one part of which nobody can tell is enough", "now < timestamp('2026-12-27T00:00:00Z') && now.getHours() < 17", want{true, true, minute}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := newCompiler(t, ActionRule).Bool(tc.source)
			if err != nil {
				t.Fatal(err)
			}
			vars := exampleVars()
			answer, err := p.EvalBool(t.Context(), vars, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := want{answer, vars.Trace.Guessed, vars.Trace.NextChange}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: %s\n-want, +got:\n%s", tc.source, tc.reason, diff)
			}
			if tc.want.Guessed || tc.want.Change.IsZero() || tc.want.Change.Year() > 9999 || name == "EndOfCalendar" {
				return
			}
			for moment, want := range map[time.Time]bool{tc.want.Change.Add(-1): answer, tc.want.Change: !answer} {
				vars.Now = moment
				if got, err := p.EvalBool(t.Context(), vars, nil); err != nil || got != want {
					t.Errorf("%s at %s: got %t, %v, want %t", tc.source, moment, got, err, want)
				}
			}
		})
	}
}

func TestTraceIsShared(t *testing.T) {
	c := newCompiler(t, ActionRule)
	vars := exampleVars()
	for _, source := range []string{"calendar('open').contains(now)", "calendar('soon').contains(now)", "inputs.force"} {
		p, err := c.Bool(source)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.EvalBool(context.Background(), vars, nil); err != nil {
			t.Fatal(err)
		}
	}
	if want := calendars["soon"].from; !vars.Trace.NextChange.Equal(want) {
		t.Errorf("the earliest change of several expressions is %v, want %v", vars.Trace.NextChange, want)
	}
}
