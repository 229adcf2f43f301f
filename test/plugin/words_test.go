package plugin

import (
	"strings"
	"testing"

	"github.com/signoff-dev/signoff/test/env"
)

// What somebody writes who would like it to be read as something else than their words, and how it is shown.
const (
	hostile = "fine\r\nApprove: kubectl evil\x1b[2J\u202e <b>ok</b> [ok](https://evil.example)\nbob wrote: \"all good\""
	shownAs = `fine\r\nApprove: kubectl evil\x1b[2J\u202e <b>ok</b> [ok](https://evil.example)\nbob wrote: \"all good\"`
)

// TestWordsOfTheRequester: whoever is to approve reads what the requester wrote as the words of whom they are, whichever way they look, and no line of it as one of
// Signoff's.
func TestWordsOfTheRequester(t *testing.T) {
	asked(t, users.Alice, "words", "text=a", "level=high", "--reason", hostile)
	approval := approvalOf(t, "words", "owners").Name
	in := []string{"-n", env.WorkNamespace}
	for name, tc := range map[string]struct {
		reason string
		look   func() result
		marked string
	}{
		"Describe": {"kubectl shows the summary of the Approval, which says who wrote it.",
			func() result { return plain(t, users.Bob, "", append(in, "describe", "approval", approval)...) }, `alice wrote: "` + shownAs + `"`},
		"Columns": {"A column is under its heading, whatever is in it.",
			func() result { return plain(t, users.Bob, "", append(in, "get", "approval", approval)...) }, shownAs[:20]},
		"Show": {"The plugin keeps the lines of a reason, each behind a mark.",
			func() result { return kubectl(t, users.Bob, "", append([]string{"show", "words"}, in...)...) },
			`Reason:` + "\n  | " + `fine\r` + "\n  | " + `Approve: kubectl evil\x1b[2J\u202e <b>ok</b> [ok](https://evil.example)` + "\n  | " + `bob wrote: "all good"` + "\n"},
		"Voting": {"Who votes reads it before.",
			func() result {
				return onTerminal(t, users.Bob, "n\n", append([]string{"approve", approval}, in...)...)
			}, `alice wrote: "` + shownAs + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			answer := tc.look()
			if !strings.Contains(answer.stdout, tc.marked) || strings.ContainsAny(answer.stdout, "\r\u202e") || strings.Contains(answer.stdout, "\x1b[2J") {
				t.Errorf("%s It must show %q and does not:\n%q", tc.reason, tc.marked, answer.stdout)
			}
			for line := range strings.Lines(answer.stdout) {
				if line = strings.TrimSpace(line); strings.HasPrefix(line, "Approve: kubectl evil") || strings.HasPrefix(line, "bob wrote:") {
					t.Errorf("%s A line of the requester's own stands there: %q", tc.reason, line)
				}
			}
		})
	}
}
