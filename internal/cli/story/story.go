// Package story tells what became of a request, for people: who asked and why, what will be done, who agreed, and what to do next. All of it was
// written by others, so nothing hidden in it passes.
package story

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli/replan"
	"github.com/signoff-dev/signoff/internal/digest"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/visible"
)

// Of tells the story of a request, a line each. Check is what whoever looks has found out about its plan. Nil: they have not looked.
func Of(request *v1alpha1.ActionRequest, approvals []v1alpha1.Approval, check *replan.Check, now time.Time) []string {
	s := &story{request: request, approvals: ours(request, approvals), check: check, now: now}
	s.head()
	s.asked()
	s.rules()
	s.planned()
	s.plan()
	s.agreed()
	s.steps()
	s.next()
	return s.lines
}

// story is one in the making.
type story struct {
	request   *v1alpha1.ActionRequest
	approvals []v1alpha1.Approval
	check     *replan.Check
	now       time.Time
	lines     []string
}

// ours are the Approvals of exactly this request, in the order in which they were opened.
func ours(request *v1alpha1.ActionRequest, approvals []v1alpha1.Approval) []v1alpha1.Approval {
	found := slices.DeleteFunc(slices.Clone(approvals), func(a v1alpha1.Approval) bool { return a.Spec.RequestRef.UID != request.UID })
	slices.SortStableFunc(found, func(a, b v1alpha1.Approval) int {
		if order := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); order != 0 {
			return order
		}
		return strings.Compare(a.Name, b.Name)
	})
	return found
}

// line adds a line in which nothing hidden stays hidden.
func (s *story) line(format string, args ...any) {
	s.lines = append(s.lines, visible.Escaped(fmt.Sprintf(format, args...)))
}

// words adds what somebody wrote, in quotes, in full, and with its own lines below each other.
func (s *story) words(title, text string) {
	if text == "" {
		return
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) == 1 {
		s.line("%s: %q", title, text)
		return
	}
	s.line("%s:", title)
	indent := title[:len(title)-len(strings.TrimLeft(title, " "))]
	for _, line := range lines {
		s.line("%s  | %s", indent, line)
	}
}

// Phase is how far a request is, in one word.
func Phase(request *v1alpha1.ActionRequest) v1alpha1.Phase {
	if request.Status.Phase == "" {
		return v1alpha1.PhasePending
	}
	return request.Status.Phase
}

// Unknown is the step of a request of which nobody knows how it ended. Nil: there is none.
func Unknown(request *v1alpha1.ActionRequest) *v1alpha1.StepStatus {
	for i := range request.Status.Steps {
		if step := &request.Status.Steps[i]; step.State == v1alpha1.StepUnknown {
			return step
		}
	}
	return nil
}

// Reverting tells whether what a request has done is being taken back, and something of it is left. That of another one before it is not its own.
func Reverting(request *v1alpha1.ActionRequest) bool {
	ready := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionReady)
	return Phase(request) == v1alpha1.PhaseReverting && ready != nil && ready.Reason != v1alpha1.ReasonAlreadyExecuted
}

// decided says in a sentence what somebody has decided.
func (s *story) decided(given *v1alpha1.NewResolution) string {
	if s.request.EndsRevert(given) {
		return "what is left is taken back by hand or may stay"
	}
	return fmt.Sprintf("step %s %s", given.Step, strings.ToLower(string(given.Outcome)))
}

func (s *story) head() {
	s.line("%s/%s: %s", s.request.Namespace, s.request.Name, Phase(s.request))
	if s.request.Status.WaitingFor != "" {
		s.line("Waiting for: %s", s.request.Status.WaitingFor)
	}
	if finished := meta.FindStatusCondition(s.request.Status.Conditions, v1alpha1.ConditionFinished); s.request.Status.Outcome != "" && finished != nil {
		s.line("Ended: %s, %s", gate.Time(finished.LastTransitionTime.Time, s.now), finished.Message)
	}
	if s.request.Status.Outcome == "" && Phase(s.request) != v1alpha1.PhaseReverting {
		s.time("Stays until", s.request.Status.ActiveUntil)
	}
}

func (s *story) asked() {
	spec := &s.request.Spec
	s.line("Action: %s", spec.ActionRef)
	if spec.Requester == nil {
		s.line("Asked by: nobody knows. It was stored without Signoff's webhook, and never runs")
	} else {
		s.line("Asked by: %s, %s", spec.Requester.Username, gate.Time(s.request.CreationTimestamp.Time, s.now))
	}
	if spec.OnBehalfOf != nil {
		// Nobody has proved it.
		s.line("  as it says on behalf of %q", spec.OnBehalfOf.Username)
	}
	s.words("Reason", spec.Reason)
	if spec.BreakGlass != nil {
		s.words("Emergency", spec.BreakGlass.Reason)
	}
	s.inputs()
	s.time("Not before", spec.NotBefore)
	s.time("Expires", spec.ExpiresAt)
	if spec.Duration != "" {
		s.line("For: %s", spec.Duration)
	}
	if spec.Cancellation != nil {
		who := "somebody"
		if spec.Cancellation.By != nil {
			who = spec.Cancellation.By.Username
		}
		s.words("Cancelled by "+who, spec.Cancellation.Reason)
	}
	for i := range spec.Resolutions {
		r := &spec.Resolutions[i]
		s.words(r.By.Username+" decided that "+s.decided(&r.NewResolution), r.Comment)
	}
}

func (s *story) time(title string, at *metav1.Time) {
	if at != nil {
		s.line("%s: %s", title, gate.Time(at.Time, s.now))
	}
}

func (s *story) inputs() { s.values(s.request.Spec.Inputs, "Inputs:", "  ") }

// values shows the fields of an object, each in full, below a title, if there are any.
func (s *story) values(raw *runtime.RawExtension, title, indent string) {
	values := map[string]any{}
	if raw == nil || json.Unmarshal(raw.Raw, &values) != nil || len(values) == 0 {
		return
	}
	if title != "" {
		s.line("%s", title)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if text, ok := values[name].(string); ok {
			s.words(indent+name, text)
			continue
		}
		encoded, err := json.Marshal(values[name])
		if err == nil {
			s.line("%s%s: %s", indent, name, encoded)
		}
	}
}

// rules tells which rules apply, and why.
func (s *story) rules() {
	if s.request.Status.Verdict == nil {
		return
	}
	var lines []string
	for i := range s.request.Status.Verdict.Rules {
		rule := &s.request.Status.Verdict.Rules[i]
		if rule.Answer == v1alpha1.RuleNotApplicable {
			continue
		}
		text := fmt.Sprintf("  %s (%s)", rule.Name, rule.Effect)
		if rule.Message != "" {
			text += ": " + rule.Message
		}
		lines = append(lines, text)
		for _, because := range rule.Because {
			lines = append(lines, "    because "+because)
		}
	}
	if len(lines) > 0 {
		s.line("Rules that apply:")
	}
	for _, line := range lines {
		s.line("%s", line)
	}
}

// agreed tells of each Approval whether it is about what will be done, and who voted.
func (s *story) agreed() {
	if len(s.approvals) > 0 {
		s.line("Approvals:")
	}
	for i := range s.approvals {
		s.approval(&s.approvals[i])
	}
}

func (s *story) approval(a *v1alpha1.Approval) {
	text := fmt.Sprintf("  %s, stage %s: %s, needs %s", a.Name, a.Spec.Stage.Name, state(a), a.Spec.Needs)
	if a.Spec.Review {
		text += ", a review"
	}
	if state(a) == v1alpha1.ApprovalOpen {
		text += ", until " + a.Spec.Expires
	}
	s.line("%s", text)
	for _, warning := range s.doubts(a) {
		s.line("    NOTE: %s", warning)
	}
	for i := range a.Spec.Votes {
		s.vote(&a.Spec.Votes[i])
	}
	if state(a) != v1alpha1.ApprovalSuperseded && len(a.Spec.Votes) > 0 {
		return // the votes say who decided
	}
	for _, line := range a.Status.Decided {
		s.line("    %s", line)
	}
}

func state(a *v1alpha1.Approval) v1alpha1.ApprovalState {
	if a.Status.State == "" {
		return v1alpha1.ApprovalOpen
	}
	return a.Status.State
}

// comesOf says what comes of votes on an Approval that shows what is no longer there.
var comesOf = map[v1alpha1.DriftPolicy]string{
	v1alpha1.DriftReapprove: "Once enough have approved it, it no longer counts, and people are asked again about what is there then",
	v1alpha1.DriftFail:      "Once enough have approved it, the request ends as Failed, and nothing is executed",
	v1alpha1.DriftProceed:   "Approving it counts all the same, and does what is shown above",
}

// doubts say what is not as it should be with an Approval.
func (s *story) doubts(a *v1alpha1.Approval) []string {
	var doubts []string
	about := s.request.Status.Digest
	if claim := s.request.Status.Execution; claim != nil {
		about = claim.Digest
	}
	if s.check != nil && s.check.Computed != "" {
		about = s.check.Computed
	}
	if counts := state(a) == v1alpha1.ApprovalOpen || state(a) == v1alpha1.ApprovalApproved; counts && about != "" && a.Spec.Digest != about {
		doubts = append(doubts, fmt.Sprintf("it is about %s, and not about %s, which is what will be done", digest.Short(a.Spec.Digest), digest.Short(about)))
	}
	if s.check != nil {
		if i := slices.IndexFunc(s.check.Outdated, func(o replan.Outdated) bool { return o.Approval == a.Name }); i >= 0 {
			doubts = append(doubts, "it shows what was there when it was opened, and that has changed since. "+comesOf[s.check.Outdated[i].OnDrift])
		}
	}
	if a.Spec.Seal == nil {
		doubts = append(doubts, "it is not sealed, so it was not opened by Signoff and never counts")
	}
	return doubts
}

func (s *story) vote(v *v1alpha1.Vote) {
	text := fmt.Sprintf("    %s: %s at %s", v.By(), v.Decision, gate.Time(v.At.Time, s.now))
	if v.Comment != "" {
		text += fmt.Sprintf(" (%q)", v.Comment)
	}
	if v.Seal == "" {
		text += ". NOTE: it is not sealed and never counts"
	}
	s.line("%s", text)
}

// planned tells what the plan steps gave, however long it is: that is what people agree to.
func (s *story) planned() {
	planning := s.request.Status.Planning
	if planning == nil || len(planning.Steps) == 0 {
		return
	}
	s.line("Plan steps:")
	s.time("  What they gave holds until", planning.ValidUntil)
	for i := range planning.Steps {
		s.step(&planning.Steps[i])
		// What a plan step that is done gave is said by its outputs.
		if step := &planning.Steps[i]; step.State != v1alpha1.StepDone {
			s.ended(step.Job)
		}
	}
}

// steps tells how far each step is, and how it ended.
func (s *story) steps() {
	if len(s.request.Status.Steps) > 0 {
		s.line("Steps:")
	}
	for i := range s.request.Status.Steps {
		s.step(&s.request.Status.Steps[i])
		s.ended(s.request.Status.Steps[i].Job)
	}
}

func (s *story) step(step *v1alpha1.StepStatus) {
	text := fmt.Sprintf("  %s: %s", step.Name, step.State)
	if step.Message != "" {
		text += ", " + step.Message
	}
	s.line("%s", text)
	s.values(step.Outputs, "", "    ")
}

func (s *story) ended(job *v1alpha1.JobResult) {
	if job == nil {
		return
	}
	s.line("    exit code %d", job.ExitCode)
	s.words("    message", job.Message)
	s.words("    log", job.Log)
}

// next are the commands that help now.
func (s *story) next() {
	of := fmt.Sprintf("-n %s %s", s.request.Namespace, s.request.Name)
	var lines []string
	for i := range s.approvals {
		if a := &s.approvals[i]; state(a) == v1alpha1.ApprovalOpen {
			on := fmt.Sprintf("-n %s %s --digest %s", a.Namespace, a.Name, digest.Short(a.Spec.Digest))
			if s.check == nil || s.check.Digest != replan.Differs {
				lines = append(lines, "kubectl signoff approve "+on)
			}
			lines = append(lines, `kubectl signoff deny `+on+` --comment "…"`)
		}
	}
	if Unknown(s.request) != nil {
		lines = append(lines, `kubectl signoff resolve `+of+` --outcome succeeded|failed --comment "…"`)
	}
	if Reverting(s.request) {
		lines = append(lines, `kubectl signoff resolve `+of+` --outcome succeeded --comment "…"`)
	}
	if s.request.Status.Outcome == "" {
		lines = append(lines, "kubectl signoff wait "+of, `kubectl signoff cancel `+of+` --reason "…"`)
	} else {
		lines = append(lines, fmt.Sprintf("kubectl signoff request -n %s --from %s", s.request.Namespace, s.request.Name))
	}
	s.line("Next:")
	for _, line := range lines {
		s.line("  %s", line)
	}
}
