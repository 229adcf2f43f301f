package expression

import (
	"context"
	"testing"
	"time"
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
		"BareNow":       {"now outside of calendars is cut to the minute, and changes with the next", "now == timestamp('2026-11-23T12:00:00Z')", true, minute},
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
