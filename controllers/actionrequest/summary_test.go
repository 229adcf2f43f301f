package actionrequest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/decision"
	"github.com/signoff-dev/signoff/internal/gate"
)

// binding is a change that takes people away, under a condition.
func binding(name string) v1alpha1.PlannedChange {
	return v1alpha1.PlannedChange{Operation: "patch", Object: "RoleBinding web/" + name, Fields: []string{
		"at the end, also where another step fails", `only when it holds then: "a"`, "WARNING: subjects gets shorter, 5 → 1", "subjects[bob]: {} → (removed)",
	}}
}

// TestWarningsAreShownFirst: however little room there is for a write, what it warns of comes first, and what is left out says whether it warns.
func TestWarningsAreShownFirst(t *testing.T) {
	const warning, many = "    WARNING: subjects gets shorter, 5 → 1", 30
	changes := make([]v1alpha1.PlannedChange, many)
	for i := range changes {
		changes[i] = binding(fmt.Sprint(i))
	}
	for most, want := range map[int]struct {
		warnings int
		last     string
	}{
		maxSummaryPlan: {many, "    … and 3 lines more, see spec.plan"},
		2 * many:       {many, warning + " … and 3 lines more, see spec.plan"},
		2*many - 3:     {many - 2, "  … and 4 lines more, see spec.plan (2 with a WARNING)"},
	} {
		got := planLines(changes, most)
		shown := slices.DeleteFunc(slices.Clone(got), func(line string) bool { return !strings.HasPrefix(line, warning) })
		if len(got) > most || len(shown) != want.warnings || got[len(got)-1] != want.last {
			t.Errorf("%d lines of %d, %d warnings of %d:\n%s", len(got), most, len(shown), want.warnings, strings.Join(got, "\n"))
		}
	}
	if fields := changes[0].Fields; strings.HasPrefix(fields[0], "WARNING") {
		t.Errorf("the plan itself must stay as it is: %q", fields)
	}
	whole := planLines(changes[:1], maxSummaryPlan)
	if want := append([]string{"  patch RoleBinding web/0"}, indented(changes[0].Fields)...); !slices.Equal(whole, want) {
		t.Errorf("where there is room for all, all stays in its order: %q", whole)
	}
}

func indented(lines []string) []string {
	out := make([]string, len(lines))
	for i := range lines {
		out[i] = "    " + lines[i]
	}
	return out
}

// TestNothingThatWarnsIsCut: neither what plan steps print nor how much is written pushes out of an Approval what would be refused, for how long it is, or
// how to vote.
func TestNothingThatWarnsIsCut(t *testing.T) {
	text, err := json.Marshal(map[string]string{"text": strings.Repeat("line\n", 50)})
	must(t, err)
	s := &scope{Reconciler: &Reconciler{Gate: hostileGate(t)}, request: &v1alpha1.ActionRequest{}, now: noon}
	action := &v1alpha1.Action{}
	action.Spec.Title, action.Spec.Temporary = "Do much", &v1alpha1.Temporary{MaxDuration: "1h", DefaultDuration: "1h"}
	action.Spec.Execution.Plan = &v1alpha1.PlanSteps{ServiceAccountName: "planner"}
	s.judgement = &gate.Judgement{Action: &catalog.Action{Object: action}, Verdict: &decision.Verdict{}}
	s.request.Spec.Requester = &v1alpha1.Identity{Username: "eve"}
	for i := range 30 {
		s.plannedSteps = append(s.plannedSteps, v1alpha1.PlannedStep{
			Name: fmt.Sprintf("plan%d", i), Declared: []v1alpha1.StepOutput{{Name: "text"}}, Outputs: &runtime.RawExtension{Raw: text},
		})
		if i == 0 {
			checkSummary(t, s, 30) // 40 lines of one output
		}
	}
	checkSummary(t, s, 21) // more outputs than there are lines for
}

// checkSummary demands that so many of 30 writes are shown.
func checkSummary(t *testing.T, s *scope, shown int) {
	t.Helper()
	s.plan = &preparation{refusals: []string{"step a: no", "step b: no", "step c: no", "step d: no", "step e: no"}, overridden: []string{"step f: a → b"}}
	approval := &v1alpha1.Approval{}
	approval.Name, approval.Spec.Digest, approval.Spec.Requester = "vote-here", strings.Repeat("d", 64), *s.request.Spec.Requester
	for i := range 30 {
		approval.Spec.Plan = append(approval.Spec.Plan, binding(fmt.Sprint(i)))
	}
	got := s.approvalSummary(approval)
	if len(got) > maxApprovalSummary {
		t.Errorf("%d lines are more than the API stores", len(got))
	}
	all := strings.Join(got, "\n")
	for _, words := range []string{
		"the API server would refuse some of it", "  step d: no", "  and 1 more", "would store some of it otherwise", "  step f: a → b",
		"It is temporary: what it does is taken back 1h after it is done.", "Who can approve: ", "Approve: kubectl patch approval", "Deny:    kubectl patch approval",
		fmt.Sprintf("  patch RoleBinding web/%d\n    WARNING: subjects gets shorter, 5 → 1", shown-1),
	} {
		if !strings.Contains(all, words) {
			t.Errorf("%q is cut off:\n%s", words, all)
		}
	}
}
