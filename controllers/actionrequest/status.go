package actionrequest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	corev1 "k8s.io/api/core/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/metrics"
	"github.com/signoff-dev/signoff/internal/plan"
	"github.com/signoff-dev/signoff/internal/visible"
)

// The API bounds what these may hold.
const (
	maxMessage    = 1024
	maxWaitingFor = 200
	// maxNote is in bytes.
	maxNote = 1000
)

// ending says how a request ended.
type ending struct {
	reason  string
	message string
	record  *v1alpha1.Record
	// fact is what the audit log says of it. Nil: what the outcome says.
	fact *audit.Event
	// rejected says that there is no evidence for what it says, or none any more.
	rejected bool
}

func setCondition(conditions *[]metav1.Condition, generation int64, now time.Time, kind string, is bool, reason, message string) {
	status := metav1.ConditionFalse
	if is {
		status = metav1.ConditionTrue
	}
	setConditionStatus(conditions, generation, now, kind, status, reason, message)
}

func setConditionStatus(conditions *[]metav1.Condition, generation int64, now time.Time, kind string, status metav1.ConditionStatus, reason, message string) {
	condition := metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: gate.Cut(message, maxMessage),
		ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now),
	}
	if old := meta.FindStatusCondition(*conditions, kind); old != nil && old.Status == status {
		condition.LastTransitionTime = old.LastTransitionTime
	}
	meta.SetStatusCondition(conditions, condition)
}

func (s *scope) condition(kind string, is bool, reason, message string) {
	setCondition(&s.request.Status.Conditions, s.request.Generation, s.now, kind, is, reason, message)
}

// waiting sets the conditions of a request that goes on.
func (s *scope) waiting(phase v1alpha1.Phase, reason, message, waitingFor string) {
	status := &s.request.Status
	if status.Phase != phase {
		s.event(s.request, string(phase), message)
	}
	status.Phase, status.WaitingFor = phase, gate.Cut(waitingFor, maxWaitingFor)
	if phase != v1alpha1.PhaseOutcomeUnknown {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionStalled)
	}
	setConditionStatus(&status.Conditions, s.request.Generation, s.now, v1alpha1.ConditionReady, metav1.ConditionUnknown, reason, message)
	s.condition(v1alpha1.ConditionFinished, false, reason, message)
	s.condition(v1alpha1.ConditionExecuted, false, reason, message)
}

// hold keeps a request that cannot go ahead at the moment.
func (s *scope) hold(ctx context.Context, problem *gate.Problem) error {
	phase := v1alpha1.PhasePending
	if problem.Reason == v1alpha1.ReasonDeniedByRule || problem.Reason == v1alpha1.ReasonNotAuthorized {
		phase = v1alpha1.PhaseHeld
	}
	s.showVerdict(ctx)
	s.waiting(phase, problem.Reason, problem.Message, s.column(problem))
	s.condition(v1alpha1.ConditionAuthorized, false, problem.Reason, problem.Message)
	if over, err := s.showVotes(ctx); over || err != nil {
		return err
	}
	if problem.Transient || s.judgement.Volatile {
		s.lookAgain()
	}
	return s.store(ctx)
}

// column says in the table why a request is held. The message of a rule is the best reason there is; a rule without one gives what it read.
func (s *scope) column(problem *gate.Problem) string {
	if problem.Reason != v1alpha1.ReasonDeniedByRule {
		return problem.Column()
	}
	if rules := s.judgement.Verdict.By(v1alpha1.EffectDeny); len(rules) > 0 && rules[0].Message == "" {
		return s.judgement.Column(v1alpha1.EffectDeny, s.because)
	}
	return problem.Column()
}

// because says why a rule gave its answer, as far as the stored verdict shows it.
func (s *scope) because(rule string) []string {
	for i := range s.request.Status.Verdict.Rules {
		if found := &s.request.Status.Verdict.Rules[i]; found.Name == rule {
			return found.Because
		}
	}
	return nil
}

// lookAgain makes a request that rests on facts be judged again although nothing wakes it: after a pause that grows with its
// age, from a second to five minutes.
func (s *scope) lookAgain() {
	s.at(s.now.Add(pause(s.now.Sub(s.request.CreationTimestamp.Time))))
}

// pause is how long something rests that nothing wakes: it grows with its age, from a second to five minutes.
func pause(age time.Duration) time.Duration {
	const shortest, longest, part = time.Second, 5 * time.Minute, 10
	return min(max(age/part, shortest), longest)
}

// held tells whether the start must wait although everybody agreed, and shows why.
func (s *scope) held() bool {
	spec := &s.request.Spec
	if spec.NotBefore != nil && s.now.Before(spec.NotBefore.Time) {
		s.at(spec.NotBefore.Time)
		why, then := "notBefore "+gate.Time(spec.NotBefore.Time, s.now), "starts by itself."
		if end := s.expires(); !spec.NotBefore.Time.Before(end) {
			then = "expires before that, " + gate.Time(end, s.now) + ", and never runs as things are."
		}
		s.waiting(v1alpha1.PhaseHeld, v1alpha1.ReasonHeld, "Held by "+why+"; "+then, why)
		return true
	}
	if len(s.judgement.Verdict.By(v1alpha1.EffectHold)) == 0 {
		return s.delayed()
	}
	if s.judgement.Volatile {
		s.lookAgain()
	}
	s.waiting(v1alpha1.PhaseHeld, v1alpha1.ReasonHeld,
		strings.TrimSpace("Held by "+gate.HeldBy(s.judgement, false)+"; starts by itself. "+gate.WhoPasses(s.judgement)), s.judgement.Column(v1alpha1.EffectHold, s.because))
	return true
}

// delayed tells whether the request can still be cancelled before it starts, and shows until when.
func (s *scope) delayed() bool {
	delay := gate.Delay(s.judgement.Action.Object, &s.request.Spec)
	if delay == 0 {
		return false
	}
	from := s.agreedAt
	if from.IsZero() {
		from = s.request.CreationTimestamp.Time
	}
	start := from.Add(delay)
	if !s.now.Before(start) {
		return false
	}
	s.at(start)
	at, end := gate.Time(start, s.now), s.expires()
	message, column := fmt.Sprintf("Starts %s by itself; until then it can be cancelled without effect.", at), "starts "+at+" unless cancelled"
	if !start.Before(end) {
		message = fmt.Sprintf("The delay of the Action ends %s; expires before that, %s, and never runs as things are.", at, gate.Time(end, s.now))
		column = "expires " + gate.Time(end, s.now) + ", before it can start"
	}
	s.waiting(v1alpha1.PhaseHeld, v1alpha1.ReasonDelayed, message, column)
	return true
}

// tally shows how far the approvals have come, and tells whether all are there.
func (s *scope) tally(ctx context.Context, stages []*stageState) (bool, error) {
	s.showVerdict(ctx)
	s.request.Status.Digest, s.request.Status.Plan = s.plan.digest, s.plan.changes
	s.condition(v1alpha1.ConditionAuthorized, true, v1alpha1.ReasonAllowed, "The requester may ask, and no rule denies it.")
	approved := 0
	for _, stage := range stages {
		if stage.approved() {
			approved++
			s.agreed(stage)
			s.plan.approvedBy = append(s.plan.approvedBy, recorded(stage))
		}
	}
	s.request.Status.Summary = bounded(s.requestSummary(stages), maxRequestSummary)
	if len(stages) == 0 {
		s.request.Status.Approvals = ""
		s.condition(v1alpha1.ConditionApproved, true, v1alpha1.ReasonNotRequired, "No rule demands an approval.")
		return true, nil
	}
	s.request.Status.Approvals = fmt.Sprintf("%d/%d", approved, len(stages))
	if approved == len(stages) {
		s.condition(v1alpha1.ConditionApproved, true, v1alpha1.ReasonApproved, s.approvedText(stages))
		return true, nil
	}
	s.awaiting(stages)
	return false, s.store(ctx)
}

// awaiting says whose agreement is missing, or why there can be none.
func (s *scope) awaiting(stages []*stageState) {
	if again := s.judgement.AskAgain(); again != nil {
		s.unjudgeable(capital(again.Message), mustBeAskedAgain)
		return
	}
	var short, long []string
	reason := v1alpha1.ReasonAwaitingApproval
	if changed := s.changed(stages); changed != "" {
		reason = v1alpha1.ReasonPlanChanged
		long = append(long, changed)
	}
	for _, stage := range stages {
		if stage.approved() {
			continue
		}
		poll, opened := s.pollOf(stage)
		requirements := poll.Demands(s.now)
		needs := gate.Needs(requirements, stage.result.Missing)
		if s.Gate.Unsatisfiable(s.judgement, poll) {
			reason = v1alpha1.ReasonUnsatisfiable
			short = append(short, fmt.Sprintf("%s: UNSATISFIABLE, %s needed", stage.Ref.Name, needs))
			long = append(long, fmt.Sprintf("Stage %s: %s needed, and %s. Add members, or cancel: %s",
				stage.Ref.Name, needs, s.tooFew(requirements), gate.CancelCommand(s.request.Namespace, s.request.Name, "…")))
			continue
		}
		if !opened {
			continue
		}
		short = append(short, fmt.Sprintf("%s: %s (%s)", stage.Ref.Name, needs, s.Gate.People(s.judgement, requirements, s.request.Spec.Requester)))
		long = append(long, s.stageLine(stage))
	}
	if again := s.judgement.JudgedAgain(); again != "" {
		long = append(long, capital(again))
	}
	message := strings.Join(long, " ")
	s.condition(v1alpha1.ConditionApproved, false, reason, message)
	s.waiting(v1alpha1.PhaseAwaitingApproval, reason, message, strings.Join(short, "; "))
}

// tooFew says who could meet requirements that too few can.
func (s *scope) tooFew(requirements []v1alpha1.Requirement) string {
	requester := s.request.Spec.Requester
	able, asks := s.Gate.Who(s.judgement, requirements, requester), s.Gate.Named(s.judgement, requirements, requester)
	switch {
	case able == "" && asks:
		return "nobody is able to but " + visible.Inside(requester.Username) + ", who asked for it"
	case able == "":
		return "nobody is able to"
	case asks:
		return fmt.Sprintf("too few people are able to (%s; not %s, who asked for it)", able, visible.Inside(requester.Username))
	}
	return fmt.Sprintf("too few people are able to (%s)", able)
}

// agreeAgain ends the sentences that say what changed, so that they are found again: they are told until somebody agrees to what is new.
const agreeAgain = "It must be agreed to again."

// changed says that votes of before do not count, since what will be executed changed. Empty: it did not, or somebody has looked at it since.
func (s *scope) changed(stages []*stageState) string {
	if s.before.Digest == "" {
		return ""
	}
	if s.before.Digest != s.plan.digest {
		lead := "What will be executed changed."
		if len(s.voided) > 0 {
			lead += " Votes of " + strings.Join(s.voided, ", ") + " no longer count."
		}
		return gate.Cut(strings.Join(append([]string{lead}, s.differs...), " "), maxMessage/2) + " " + agreeAgain
	}
	told := meta.FindStatusCondition(s.before.Conditions, v1alpha1.ConditionApproved)
	if told == nil || told.Reason != v1alpha1.ReasonPlanChanged || slices.ContainsFunc(stages, func(st *stageState) bool { return st.ballot != nil && len(st.ballot.Votes) > 0 }) {
		return ""
	}
	lead, _, found := strings.Cut(told.Message, agreeAgain)
	if !found {
		return ""
	}
	return lead + agreeAgain
}

// pollOf is what people vote on in a stage, or will once it opens.
func (s *scope) pollOf(stage *stageState) (poll *gate.Poll, opened bool) {
	if stage.approval == nil {
		return s.judgement.Poll(stage.Stage, s.request.Spec.Requester), false
	}
	return gate.PollOf(stage.approval), true
}

// mustBeAskedAgain says in the table that nobody can agree to a request any more.
const mustBeAskedAgain = "must be asked again: its Action was deleted and made again"

// unjudgeable says that no vote can be judged, so that the request waits.
func (s *scope) unjudgeable(message, waitingFor string) {
	s.waiting(v1alpha1.PhaseAwaitingApproval, v1alpha1.ReasonIndeterminate, message, waitingFor)
	s.condition(v1alpha1.ConditionApproved, false, v1alpha1.ReasonIndeterminate, message)
}

// showVerdict stores the verdict and why it is so. That it was evaluated again is not worth a write, nor another explanation.
func (s *scope) showVerdict(ctx context.Context) {
	verdict := gate.VerdictStatus(s.judgement)
	if verdict == nil {
		return
	}
	old := s.before.Verdict
	if old != nil && equal(answers(verdict), answers(old)) {
		s.request.Status.Verdict = old.DeepCopy()
		return
	}
	s.judgement.Explain(ctx)
	s.request.Status.Verdict = gate.VerdictStatus(s.judgement)
	if old != nil && decides(old) != decides(verdict) {
		s.event(s.request, v1alpha1.ReasonVerdictChanged, verdictNote(s.request.Status.Verdict))
	}
}

// answers is a verdict without its reasons and without when it was made.
func answers(verdict *v1alpha1.Verdict) *v1alpha1.Verdict {
	out := verdict.DeepCopy()
	out.EvaluatedAt = metav1.Time{}
	for i := range out.Rules {
		out.Rules[i].Because, out.Rules[i].Differ = nil, nil
	}
	return out
}

// decides names what a verdict says and by which rules.
func decides(verdict *v1alpha1.Verdict) string {
	text := string(verdict.Effect)
	for i := range verdict.Rules {
		if rule := &verdict.Rules[i]; rule.Answer != v1alpha1.RuleNotApplicable {
			text += fmt.Sprintf(" %s=%s", rule.Name, rule.Answer)
		}
	}
	return text
}

// verdictNote tells people what the rules say now, and why.
func verdictNote(verdict *v1alpha1.Verdict) string {
	var lines []string
	for i := range verdict.Rules {
		rule := &verdict.Rules[i]
		if rule.Answer == v1alpha1.RuleNotApplicable {
			continue
		}
		line := fmt.Sprintf("%s (%s, %s)", rule.Name, rule.Effect, rule.Answer)
		if len(rule.Because) > 0 {
			line += ": " + strings.Join(rule.Because, "; ")
		}
		lines = append(lines, line)
	}
	return fmt.Sprintf("The verdict is now %s. %s", verdict.Effect, strings.Join(lines, ". "))
}

// showExecuting shows that steps are running and what is waited for: also that it was cancelled, where something must come to its end first.
func (s *scope) showExecuting(record *v1alpha1.Record, step *v1alpha1.RenderedStep, objects []v1alpha1.ObjectReference) {
	s.showExecution(record)
	message, column := runningText(record, step), "step "+step.Name
	if s.stopped() && !isLast(record, step.Name) {
		awaited := "step " + step.Name
		if len(objects) == 1 && objects[0].Kind == "Job" {
			awaited = plan.Name(objects[0])
		}
		column = gate.Cut(strings.ToLower(s.stopWord())+"; waits for "+awaited+" to end", maxWaitingFor)
		told := fmt.Sprintf("%s It waits for %s to end, and begins nothing after that%s.", s.stopText(), awaited, butLast(record))
		message = told + " " + message
		if s.before.WaitingFor != column {
			s.event(s.request, v1alpha1.ReasonExecuting, told)
		}
	}
	s.waiting(v1alpha1.PhaseExecuting, v1alpha1.ReasonExecuting, message, column)
}

// butLast completes that no further step begins: nobody stops those of finally.
func butLast(record *v1alpha1.Record) string {
	if len(record.Spec.Finally) == 0 {
		return ""
	}
	return " but the steps of finally"
}

// stopWord says in a word how a request was stopped.
func (s *scope) stopWord() string {
	if s.request.Spec.Cancellation == nil {
		return "Deleted"
	}
	return "Cancelled"
}

// runningText says which step runs, and what it waits for.
func runningText(record *v1alpha1.Record, step *v1alpha1.RenderedStep) string {
	for _, status := range record.Status.Steps {
		if status.Name == step.Name && status.Message != "" {
			return fmt.Sprintf("Running step %s: %s", step.Name, status.Message)
		}
	}
	return "Running step " + step.Name + "."
}

func (s *scope) showExecution(record *v1alpha1.Record) {
	status := &s.request.Status
	status.ActiveUntil = record.Status.ActiveUntil
	status.Steps, status.Digest, status.Plan = record.Status.Steps, record.Spec.Digest, record.Spec.Plan
	if status.Execution == nil {
		status.Execution = &v1alpha1.ExecutionClaim{
			ID: record.Name, StartedAt: metav1.NewTime(record.Spec.ClaimedAt.Time), Digest: record.Spec.Digest,
		}
	}
}

// finish ends a request that has not started. A Record that exists all the same has the last word.
func (s *scope) finish(ctx context.Context, outcome v1alpha1.Outcome, end ending) error {
	if s.request.Status.Execution == nil {
		record, err := s.record(ctx)
		if err != nil {
			return err
		}
		if record != nil {
			s.claimed = true
			return s.proceed(ctx, record)
		}
	}
	if err := s.dropPlan(ctx); err != nil {
		return err
	}
	return s.end(ctx, outcome, end)
}

// end writes the final status.
func (s *scope) end(ctx context.Context, outcome v1alpha1.Outcome, end ending) error {
	status, waiting := &s.request.Status, s.request.Status.DeepCopy()
	status.Outcome, status.Phase, status.WaitingFor = outcome, v1alpha1.Phase(outcome), ""
	if outcome == v1alpha1.OutcomeFailed {
		status.WaitingFor = gate.Cut(end.message, gate.ColumnWidth)
	}
	success := outcome == v1alpha1.OutcomeSucceeded || outcome == v1alpha1.OutcomeReverted
	s.condition(v1alpha1.ConditionReady, success, end.reason, end.message)
	s.condition(v1alpha1.ConditionFinished, true, end.reason, end.message)
	s.condition(v1alpha1.ConditionExecuted, success, end.reason, end.message)
	if success {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionStalled)
	} else {
		s.condition(v1alpha1.ConditionStalled, true, end.reason, end.message)
	}
	s.notApproved(outcome, end)
	if s.neverRan() {
		// Its review opened before the start, and is closed below.
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionReviewed)
	}
	status.Summary = bounded(append(s.endSummary(end), status.Summary...), maxRequestSummary)
	if err := s.closeRest(ctx, end); err != nil {
		return err
	}
	if err := s.ended(ctx, outcome, end); err != nil {
		*status = *waiting
		return err
	}
	if err := s.store(ctx); err != nil {
		return err
	}
	if !s.orphan { // one that is gone shows no end that would keep the next process from counting it
		metrics.Finished(outcome)
	}
	s.event(s.request, end.reason, end.message)
	// Not the message, which can quote people.
	logr.FromContextOrDiscard(ctx).Info("the request is over", "action", s.request.Spec.ActionRef.String(), "outcome", outcome, "reason", end.reason)
	return s.release(ctx)
}

// neverRan tells of a request that is over and of which nothing was executed.
func (s *scope) neverRan() bool {
	return s.request.Status.Outcome != "" && s.request.Status.Execution == nil
}

// notApproved shows of a request that ended without them that the approvals will not come. That one was cancelled later does not take back what was agreed.
func (s *scope) notApproved(outcome v1alpha1.Outcome, end ending) {
	agreed := meta.IsStatusConditionTrue(s.request.Status.Conditions, v1alpha1.ConditionApproved)
	if outcome == v1alpha1.OutcomeDenied || outcome == v1alpha1.OutcomeExpired || outcome == v1alpha1.OutcomeCancelled && !agreed {
		s.condition(v1alpha1.ConditionApproved, false, end.reason, end.message)
	}
}

// closeRest closes the Approvals that are still open when a request ends without them.
func (s *scope) closeRest(ctx context.Context, end ending) error {
	list, err := s.ownApprovals(ctx, s.Client)
	if err != nil {
		return err
	}
	for i := range list {
		if err := s.supersedeOne(ctx, &list[i], "The request ended: "+end.message); err != nil {
			return err
		}
	}
	return nil
}

func (s *scope) event(object runtime.Object, reason, note string) {
	if note == "" {
		note = reason
	}
	s.Events.Eventf(object, nil, eventType(reason), reason, "Signoff", "%s", cutBytes(note, maxNote))
}

// sentence ends a text with a full stop, if it has no other end.
func sentence(text string) string {
	if text == "" || strings.HasSuffix(text, ".") || strings.HasSuffix(text, "!") || strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// cutBytes shortens a text to so many bytes, without breaking a character.
func cutBytes(text string, most int) string {
	const mark = "…"
	if len(text) <= most {
		return text
	}
	end := most - len(mark)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}

func eventType(reason string) string {
	switch reason {
	case v1alpha1.ReasonFailed, v1alpha1.ReasonRevertFailed, v1alpha1.ReasonDenied, v1alpha1.ReasonExpired, v1alpha1.ReasonNotStamped,
		v1alpha1.ReasonOutcomeUnknown, v1alpha1.ReasonBreakGlass, v1alpha1.ReasonReviewDenied, v1alpha1.ReasonReviewOverdue:
		return corev1.EventTypeWarning
	}
	return corev1.EventTypeNormal
}
