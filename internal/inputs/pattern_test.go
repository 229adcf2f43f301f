package inputs

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// TestDearPatterns: a pattern that a text of the length that is allowed could keep busy for long is refused.
func TestDearPatterns(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, properties string
		refused            bool
	}{
		"Name":     {"What names need is cheap.", `{"a":{"type":"string","maxLength":253,"pattern":"^[a-z0-9]([-a-z0-9]{0,251}[a-z0-9])?$"}}`, false},
		"Names":    {"Also many of them.", `{"a":{"type":"array","maxItems":256,"items":{"type":"string","maxLength":63,"pattern":"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}}}`, false},
		"Long":     {"A long text with a plain pattern is.", `{"a":{"type":"string","maxLength":65536,"pattern":"^[A-Za-z0-9+/=]*$"}}`, false},
		"Dear":     {"Each letter takes thousands of steps.", `{"a":{"type":"string","maxLength":65536,"pattern":"(.{0,500}x){2}y"}}`, true},
		"Many":     {"In a list they add up.", `{"a":{"type":"array","maxItems":1024,"items":{"type":"string","maxLength":1000,"pattern":"(.{0,200}x)y"}}}`, true},
		"One":      {"One of two may.", `{"a":{"type":"string","maxLength":20000,"pattern":"(.{0,500}x)y"}}`, false},
		"Together": {"Both may not.", `{"a":{"type":"string","maxLength":20000,"pattern":"(.{0,500}x)y"},"b":{"type":"string","maxLength":20000,"pattern":"(.{0,500}x)z"}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := Compile([]byte(`{"type":"object","properties":`+tc.properties+`}`), field.NewPath("spec"))
			if refused := len(errs) > 0 && strings.Contains(errs.ToAggregate().Error(), "the patterns are too dear"); refused != tc.refused || len(errs) > 1 || len(errs) == 1 && !refused {
				t.Errorf("%s Got %v.", tc.reason, errs)
			}
		})
	}
}
