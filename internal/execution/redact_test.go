package execution

import (
	"encoding/base64"
	"strings"
	"testing"
)

// TestRedacted takes a value out of what a host answers, however it repeats it.
func TestRedacted(t *testing.T) {
	const secret = "hunter2 is/not+safe?"
	std, url := base64.StdEncoding, base64.URLEncoding
	for name, tc := range map[string]struct{ reason, text, want string }{
		"Plain":    {"as it is", "you sent " + secret + ".", "you sent (secret)."},
		"Query":    {"in a query", "/a?token=hunter2+is%2Fnot%2Bsafe%3F", "/a?token=(secret)"},
		"Path":     {"in a path", "/a/hunter2%20is%2Fnot+safe%3F", "/a/(secret)"},
		"Base64":   {"encoded", std.EncodeToString([]byte(secret)), "(secret)"},
		"NoPad":    {"encoded without padding", std.WithPadding(base64.NoPadding).EncodeToString([]byte(secret)), "(secret)"},
		"URL":      {"encoded for a URL", url.EncodeToString([]byte(secret)), "(secret)"},
		"Unmarked": {"nothing of it", "hunter3", "hunter3"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := redacted(tc.text, []string{"", secret}); !strings.HasPrefix(got, tc.want[:len(tc.want)-1]) || strings.Contains(got, "unter2") {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
	// As a part of something longer, such as user:password, at each place within three bytes.
	for _, before := range []string{"a", "ab", "abc", "user:"} {
		for _, after := range []string{"", "x", "xy"} {
			got := redacted(std.EncodeToString([]byte(before+secret+after)), []string{secret})
			decoded, err := std.DecodeString(strings.ReplaceAll(got, "(secret)", ""))
			if !strings.Contains(got, "(secret)") || err == nil && strings.Contains(string(decoded), "nter2 is") {
				t.Errorf("%q, %q: got %q", before, after, got)
			}
		}
	}
}
