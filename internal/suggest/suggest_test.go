package suggest

import (
	"testing"
	"unicode/utf8"
)

func TestNearest(t *testing.T) {
	names := []string{"environment", "image", "name", "replicas", "to", "size", "side"}
	cases := map[string]struct {
		reason string
		name   string
		want   string
	}{
		"Missing":      {"one letter is missing", "imge", "image"},
		"Added":        {"one letter is too many", "imagee", "image"},
		"Swapped":      {"two neighbours are swapped: one mistake", "iamge", "image"},
		"Case":         {"another case is near", "Image", "image"},
		"ShortName":    {"a short name may differ in one letter", "tp", "to"},
		"ShortTooFar":  {"two of two letters differ", "xy", ""},
		"TooFar":       {"nothing is near", "workload", ""},
		"Itself":       {"the name itself is no suggestion", "replicas", ""},
		"Alphabetical": {"of equally near ones the first in the alphabet, so that messages are stable", "sine", "side"},
		"Empty":        {"no name, no suggestion", "", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := Nearest(tc.name, names); got != tc.want {
				t.Errorf("%s: Nearest(%q) = %q, want %q", tc.reason, tc.name, got, tc.want)
			}
		})
	}
}

func FuzzDistance(f *testing.F) {
	f.Add("image", "imge")
	f.Add("", "ä")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > maxLength || len(b) > maxLength || !utf8.ValidString(a) || !utf8.ValidString(b) {
			return // longer names and broken text are not compared
		}
		there, back := distance([]rune(a), []rune(b)), distance([]rune(b), []rune(a))
		if there != back {
			t.Errorf("distance(%q, %q) = %d, but %d the other way round", a, b, there, back)
		}
		if (there == 0) != (a == b) {
			t.Errorf("distance(%q, %q) = %d", a, b, there)
		}
	})
}
