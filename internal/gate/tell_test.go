package gate

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestExplanationText leaves out of an explanation what has no room in an annotation, and says so. The answer itself stays.
func TestExplanationText(t *testing.T) {
	large := strings.Repeat("x", 1000)
	for name, tc := range map[string]struct {
		reason  string
		change  func(*Explanation)
		omitted []string
	}{
		"Small":  {"Everything fits.", func(*Explanation) {}, nil},
		"Inputs": {"Who asks has the inputs.", func(e *Explanation) { e.Inputs = map[string]any{"text": large} }, []string{"inputs"}},
		"Rules": {"The answer is more than its reasons.", func(e *Explanation) {
			e.Verdict.Rules = []v1alpha1.RuleResult{{Message: large}}
		}, []string{"inputs", "verdict"}},
		"Stages": {"And more than who must approve.", func(e *Explanation) {
			e.Stages = []ExplainedStage{{Stage: large}}
		}, []string{"inputs", "verdict", "stages"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := &Explanation{Reason: "Denied", Message: "no", Verdict: &v1alpha1.Verdict{Effect: v1alpha1.EffectDeny}, Inputs: map[string]any{"a": "b"}}
			tc.change(e)
			var got Explanation
			if err := json.Unmarshal([]byte(e.Text(500)), &got); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if !slices.Equal(got.Omitted, tc.omitted) || got.Reason != "Denied" || got.Message != "no" {
				t.Errorf("%s\ngot %+v", tc.reason, got)
			}
			if len(tc.omitted) > 0 && e.Inputs == nil {
				t.Error("the explanation itself must stay whole")
			}
		})
	}
	if text := (&Explanation{Message: large}).Text(500); text != "" {
		t.Errorf("nothing fits, and it says %q", text)
	}
}
