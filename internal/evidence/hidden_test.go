package evidence

import (
	"regexp"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/internal/seal"
)

// TestHidden: only who has the key can compute what stands for something hidden, and it is another one wherever it could be compared.
func TestHidden(t *testing.T) {
	of := func(cluster, name, request, what string) string {
		t.Helper()
		got, err := NewBook(cluster, newKeys(t, name)).Hidden(types.UID(request), []byte(what))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	is := of("c", "one", "r", "what")
	if again := of("c", "one", "r", "what"); again != is || !regexp.MustCompile(`^keyed-[0-9a-f]{16}:[0-9a-f]{64}$`).MatchString(is) {
		t.Errorf("it is the same each time, as the API has it: %s %s", is, again)
	}
	for reason, other := range map[string]string{
		"another cluster": of("d", "one", "r", "what"), "another key": of("c", "two", "r", "what"),
		"another request": of("c", "one", "s", "what"), "another value": of("c", "one", "r", "that"),
		// No boundary between two parts can move.
		"a longer request": of("c", "one", "rw", "hat"),
	} {
		if other == is {
			t.Errorf("%s gives the same", reason)
		}
	}
	lost := newKeys(t, "one")
	delete(lost.signers, seal.Controller)
	if got, err := NewBook("c", lost).Hidden("r", nil); err == nil || got != "" || !Of(err).Lasting {
		t.Errorf("without a key nobody can: %q, %v", got, err)
	}
}

func TestIncomparable(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"keyed-a:x", "keyed-a:y", false}, {"keyed-a:x", "keyed-b:x", true}, {"keyed-a:x", "sha256:x", true},
		{"sha256:x", "keyed-a:x", true},
		{"sha256:x", "sha256:y", false}, {"", "keyed-a:x", false}, {"keyed-a:x", "", false},
	} {
		if got := Incomparable(tc.a, tc.b); got != tc.want {
			t.Errorf("%q and %q: %t", tc.a, tc.b, got)
		}
	}
}
