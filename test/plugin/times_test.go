package plugin

import (
	"testing"
	"time"
)

// TestTimesOfARequest gives times in full, or from now on.
func TestTimesOfARequest(t *testing.T) {
	before := time.Now()
	request := asked(t, users.Alice, "timed", "text=a", "level=high", "--not-before", "1h", "--expires-at", "2999-12-24T10:00:00+01:00")
	after := time.Now()
	at := request.Spec.NotBefore
	if at == nil || at.Time.Before(before.Add(time.Hour)) || at.After(after.Add(time.Hour+time.Second)) {
		t.Errorf("it starts at %v", at)
	}
	if got := request.Spec.ExpiresAt; got == nil || !got.Time.Equal(time.Date(2999, 12, 24, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("it ends at %v", got)
	}
	kubectl(t, users.Alice, "", "request", "platform/note", "text=a", "-n", "payments", "--not-before", "soon").says(t, 2, `error: failed to read --not-before "soon": write a time in whole seconds`)
	kubectl(t, users.Alice, "", "request", "platform/note", "text=a", "-n", "payments", "--expires-at", "2020-01-01T00:00:00Z").says(t, 1, "spec.expiresAt: Invalid value")
	// What is repeated is not the time.
	kubectl(t, users.Alice, "", "request", "--from", "timed", "-n", "payments", "--name", "timeless").says(t, 0)
	if again := stored(t, "timeless"); again.Spec.NotBefore != nil || again.Spec.ExpiresAt != nil {
		t.Errorf("it was stored as %+v", again.Spec)
	}
	// The explanation of what is there asks for the same, times included.
	for _, word := range []string{"timed", "actionrequest.signoff.dev/timed", "payments/timed"} {
		kubectl(t, users.Alice, "", "explain", "-n", "payments", "--request", word).says(t, 0, "payments/timed, asked as alice", "Note: the request exists already", "Answer: needs approval (RequireApproval)")
	}
	kubectl(t, users.Alice, "", "explain", "-n", "payments", "--from", "actionrequest.signoff.dev/timed", "--name", "timed-again").says(t, 0, "payments/timed-again, asked as alice")
}

// TestExplainWords: an Action and its inputs are explained as request would ask for them.
func TestExplainWords(t *testing.T) {
	catalogReaders(t)
	inForce(t)
	kubectl(t, users.Alice, "", "explain", "platform/note", "text=7", "level=two", "count=3", "-n", "payments").says(t, 0, "payments/note-…, asked as alice", "Must approve:\n  action/checkers: ")
	kubectl(t, users.Alice, "", "explain", "platform/note", "text=7", "count=many", "-n", "payments").says(t, 1, "Answer: refused (Invalid)", "spec.inputs.count")
	kubectl(t, users.Bob, "", "explain", "platform/deploy", "service=checkout", "-n", "payments", "--at", christmas, "--break-glass", "down").says(t, 0, "passed by breakGlass")
	answer := kubectl(t, users.Alice, atNight, "explain", "-f", "-", "platform/note", "text=a", "--name", "words", "-n", "payments", "-o", "json", "--at", noon)
	answer.says(t, 0, `"request": "payments/at-night"`, `"request": "payments/words"`)
	kubectl(t, users.Alice, "", "explain", "--request", "nothing", "-n", "payments").says(t, 2, "there is no ActionRequest payments/nothing")
	kubectl(t, users.Alice, "", "__complete", "explain", "-n", "payments", "platform/note", "text=a", "").says(t, 0, "count=\nlevel=\ntags=\n")
}
