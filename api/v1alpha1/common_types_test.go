package v1alpha1

import (
	"testing"
	"time"
)

func TestDurationValue(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason   string
		duration Duration
		want     time.Duration
		wantErr  bool
	}{
		"Unset":      {reason: "unset gives the fallback", duration: "", want: time.Minute},
		"Hours":      {reason: "one part", duration: "24h", want: 24 * time.Hour},
		"ThreeParts": {reason: "parts add up", duration: "1h30m15s", want: time.Hour + 30*time.Minute + 15*time.Second},
		"Longest":    {reason: "the longest that the schema takes fits", duration: "99999h99999h99999h", want: 3 * 99999 * time.Hour},
		"Days":       {reason: "a day is not always 24 hours", duration: "7d", wantErr: true},
		"Nonsense":   {reason: "an object stored by an older schema may hold anything", duration: "soon", wantErr: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tc.duration.Value(time.Minute)
			if (err != nil) != tc.wantErr || got != tc.want {
				t.Errorf("%s: want %v and an error: %t, got %v, %v", tc.reason, tc.want, tc.wantErr, got, err)
			}
		})
	}
}

func TestStageReferenceID(t *testing.T) {
	t.Parallel()
	seen := map[string]StageReference{}
	for _, reference := range []StageReference{
		{Name: "owners"}, {Name: "security"}, {Name: "owners", Policy: "freeze"}, {Name: "owners", Policy: "action"}, {Name: "freeze", Policy: "owners"},
	} {
		if other, twice := seen[reference.ID()]; twice {
			t.Errorf("want different ids, got %q for %v and %v", reference.ID(), other, reference)
		}
		seen[reference.ID()] = reference
	}
	if got := (StageReference{Name: "owners", Policy: "freeze"}).ID(); got != "policy/freeze/owners" {
		t.Errorf("want policy/freeze/owners, got %s", got)
	}
}
