package cli

import (
	"strings"
	"testing"
	"time"
)

// TestTimeGiven reads times in full, and how long from now.
func TestTimeGiven(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 500_000_000, time.UTC)
	for name, tc := range map[string]struct{ reason, text, want string }{
		"None":     {"nothing is asked for", "", ""},
		"Full":     {"as requests have it", "2026-12-24T09:00:00Z", "2026-12-24T09:00:00Z"},
		"Zone":     {"with an offset", "2026-12-24T10:00:00+01:00", "2026-12-24T10:00:00+01:00"},
		"Duration": {"from now, in whole seconds, and not earlier", "90m", "2026-11-23T13:30:01Z"},
		"Short":    {"less than a second is a second", "1ms", "2026-11-23T12:00:01Z"},
		"Past":     {"a time that is over is for the cluster to refuse", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"},
		"Fraction": {"requests have whole seconds", "2026-12-24T09:00:00.5Z", "wrong"},
		"Backward": {"nothing starts before it is asked for", "-1h", "wrong"},
		"Zero":     {"now is no time to wait for", "0s", "wrong"},
		"NoUnit":   {"of what?", "2", "wrong"},
		"Words":    {"no words", "tomorrow", "wrong"},
		"NoDay":    {"there is no such day", "2026-02-30T09:00:00Z", "wrong"},
		"NoZone":   {"whose nine o'clock?", "2026-12-24T09:00:00", "wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := timeGiven("--not-before", tc.text, now)
			if tc.want == "wrong" {
				if err == nil || !strings.HasPrefix(err.Error(), "failed to read --not-before \""+tc.text+"\": write a time in whole seconds, such as ") {
					t.Errorf("%s: got %q, %v", tc.reason, got, err)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Errorf("%s: got %q, %v, want %q", tc.reason, got, err, tc.want)
			}
		})
	}
}

// FuzzTimeGiven: whatever is taken is a time in full, in whole seconds.
func FuzzTimeGiven(f *testing.F) {
	for _, text := range []string{"", "2h", "-1h", "2026-12-24T09:00:00Z", "2026-12-24T09:00:00.5+01:00", "9223372036854775807ns"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := timeGiven("--expires-at", text, time.Unix(0, 0))
		if err != nil || text == "" {
			return
		}
		if at, err := time.Parse(time.RFC3339, got); err != nil || at.Nanosecond() != 0 {
			t.Errorf("%q is read as %q: %v", text, got, err)
		}
	})
}

// TestExplainSaysWhatIsMissing before anything is asked.
func TestExplainSaysWhatIsMissing(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		args   []string
		words  string
	}{
		"Nothing": {"there is nothing to explain", nil, "error: name what is to be explained: an Action with its inputs, a file with -f"},
		"Time":    {"a time that is none", []string{"a/b", "--at", "tomorrow"}, `failed to read --at "tomorrow"`},
		"Output":  {"an output that is none", []string{"a/b", "-o", "xml"}, `failed to read -o "xml": it is one of text, json, yaml`},
		"Reason":  {"a flag of the request without an Action is not passed over", []string{"-f", "-", "--reason", "r"}, "error: name the Action, or an earlier request with --from"},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, oneRequest, append([]string{"explain", "--server", server(t, 500, "")}, tc.args...)...)
			if got.exit != exitError || !strings.Contains(got.stderr, tc.words) || got.stdout != "" {
				t.Errorf("%s: it ends with %d and says %s%s", tc.reason, got.exit, got.stdout, got.stderr)
			}
		})
	}
}
